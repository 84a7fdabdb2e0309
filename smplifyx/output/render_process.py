"""A renderer in a process of its own: it starts while a fit starts, and draws while the fit goes on."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from multiprocessing.connection import Connection
from types import TracebackType
from typing import TYPE_CHECKING

from smplifyx.child_processes import ignore_signals, starting_a_child

if TYPE_CHECKING:  # the process is to start before this one imports NumPy
    import numpy as np

    from smplifyx.camera import Camera
    from smplifyx.output.render import BodyMesh, BodyRenderer


class RendererProcess:
    """The best renderer of this machine, in another process. One thread at a time may use it.

    A process that ends, or never starts, is replaced by a renderer in this process. Use it as a context manager.
    """

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), name="smplifyx-renderer")
        with starting_a_child():
            self._process.start()
        theirs.close()
        self._own: BodyRenderer | None = None

    def __enter__(self) -> RendererProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process; once more changes nothing."""
        self._connection.close()
        self._process.kill()
        self._process.join()

    def open(self) -> tuple[BodyRenderer, str | None]:
        """Wait until it has started; once. Returns as :func:`~smplifyx.output.render.open_renderer`."""
        try:
            return self, self._connection.recv()
        except (EOFError, OSError):
            return _open_renderer()

    def render(self, meshes: Sequence[BodyMesh], camera: Camera) -> np.ndarray:
        """RGBA `[H, W, 4]` uint8, colours premultiplied by alpha, of all bodies as ``camera`` sees them."""
        if self._own is None:
            try:
                self._connection.send((list(meshes), camera))
                answer = self._connection.recv()
            except (EOFError, OSError):
                self._own, _ = _open_renderer()
            else:
                if isinstance(answer, Exception):
                    raise answer
                return answer
        return self._own.render(meshes, camera)


def _open_renderer() -> tuple[BodyRenderer, str | None]:
    from smplifyx.output.render import open_renderer

    return open_renderer()


def _serve(connection: Connection) -> None:
    """Open a renderer and draw until the other end is closed."""
    ignore_signals()
    try:
        renderer, remark = _open_renderer()
        connection.send(remark)
        while True:
            meshes, camera = connection.recv()
            try:
                connection.send(renderer.render(meshes, camera))
            except Exception as error:
                connection.send(error)
    except (EOFError, OSError):
        return
