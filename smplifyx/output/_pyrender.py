"""pyrender, imported so that it works without a display, without pyglet and with NumPy 2."""

from __future__ import annotations

import functools
import os
import sys
from types import ModuleType
from typing import Any

import numpy as np


class _NoViewer:
    """Stands for pyrender's window, which needs pyglet and a display."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        raise RuntimeError("pyrender was imported for pictures only, without its viewer")


@functools.cache
def load_pyrender() -> ModuleType:
    """The module; pictures are made through EGL unless ``PYOPENGL_PLATFORM`` names another way.

    Raises:
        ImportError, OSError, AttributeError: libraries are missing, as PyOpenGL reports it.
    """
    os.environ.setdefault("PYOPENGL_PLATFORM", "egl")
    stub = ModuleType("pyrender.viewer")
    stub.Viewer = _NoViewer  # type: ignore[attr-defined]
    stubbed = sys.modules.setdefault("pyrender.viewer", stub) is stub
    try:
        import pyrender
    finally:
        if stubbed:
            del sys.modules["pyrender.viewer"]
    if not hasattr(np, "infty"):
        # pyrender.mesh asks for np.infty, which NumPy 2 dropped: its own view of numpy gets the name, nobody else's
        numpy_view = ModuleType("numpy")
        numpy_view.__dict__.update(vars(np), infty=np.inf)
        sys.modules["pyrender.mesh"].np = numpy_view  # type: ignore[attr-defined]
    return pyrender


@functools.cache
def offscreen_renderer() -> Any:
    """The one OffscreenRenderer of this process.

    All of a process's contexts live on one EGL display, and deleting any of them closes it, so one is made and kept;
    its viewport takes any size. Raises whatever pyrender, PyOpenGL or the driver raise.
    """
    return load_pyrender().OffscreenRenderer(viewport_width=64, viewport_height=64)


def release_context(offscreen: Any) -> None:
    """Let go of the OpenGL context, so that another thread may draw; pyrender itself never does under EGL."""
    display = getattr(offscreen._platform, "_egl_display", None)
    if display is not None:
        from OpenGL import EGL

        EGL.eglMakeCurrent(display, EGL.EGL_NO_SURFACE, EGL.EGL_NO_SURFACE, EGL.EGL_NO_CONTEXT)
