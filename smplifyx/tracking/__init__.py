"""One person over time and from several cameras: cameras in the world, and tracks of observations."""

from smplifyx.tracking.track import Track
from smplifyx.tracking.view import View

__all__ = ["Track", "View"]
