"""A renderer that is opened by the thread that draws."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smplifyx.cli import console
from smplifyx.output import BodyMesh, BodyRenderer, PhotoCamera, Renderer, open_renderer


class LazyRenderer:
    """Opens the best renderer of this machine at first use, since an OpenGL context belongs to one thread at a time.

    All calls must come from the same thread.
    """

    def __init__(self) -> None:
        self._opened: BodyRenderer | None = None

    def open(self) -> BodyRenderer:
        """The renderer, opened if need be; says so where it is not the best one."""
        if self._opened is None:
            self._opened, remark = open_renderer()
            if remark:
                console.note(remark)
        return self._opened

    def render(self, meshes: Sequence[BodyMesh], camera: PhotoCamera) -> np.ndarray:
        """RGBA `[H, W, 4]` uint8, as :meth:`smplifyx.output.BodyRenderer.render`."""
        return self.open().render(meshes, camera)

    def release(self) -> None:
        """Give the OpenGL context up, so that another thread of this process can draw."""
        if isinstance(self._opened, Renderer):
            from OpenGL import EGL, platform

            if type(platform.PLATFORM).__name__ == "EGLPlatform":
                EGL.eglReleaseThread()
        self._opened = None
