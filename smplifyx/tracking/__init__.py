"""One person over time and from several cameras: cameras in the world, and tracks of observations."""

from smplifyx.tracking.people import TrackingOptions
from smplifyx.tracking.track import Track
from smplifyx.tracking.tracks import TrackSummary, find_tracks, summary_of
from smplifyx.tracking.view import View

__all__ = ["Track", "TrackSummary", "TrackingOptions", "View", "find_tracks", "summary_of"]
