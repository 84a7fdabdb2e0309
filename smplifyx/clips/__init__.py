"""Clips of people over time and from several cameras: their files, tracks, fits and outputs."""

from smplifyx.clips.listing import Clip, Shot, list_clips

__all__ = ["Clip", "Shot", "list_clips"]
