"""Results in a scene to walk through, with sliders for the parameters of the body (needs viser)."""

from smplifyx.viewer.app import Viewer, require_viser

__all__ = ["Viewer", "require_viser"]
