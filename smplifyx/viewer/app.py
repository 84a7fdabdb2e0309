"""The server: the scene of one photo at a time, with controls in the browser."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from smplifyx.errors import UsageError, reason
from smplifyx.export.motion import PersonKey
from smplifyx.result import FitResult
from smplifyx.viewer.controls import PersonControls
from smplifyx.viewer.scene import PhotoScene

_NOBODY = "nobody"


def require_viser() -> None:
    """Check that the library is there; raises UsageError."""
    try:
        import viser  # noqa: F401
    except ImportError as error:
        raise UsageError(f"the viewer needs another library: pip install 'smplifyx[view]' ({error})") from error


def _check_host(host: str) -> None:
    """Raise UsageError for an address that is not of this machine; viser would wait for ever."""
    try:
        family, kind, *_, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as one:
            one.bind(address)
    except OSError as error:
        raise UsageError(f"--host {host}: cannot be listened at: {reason(error)}") from error


class Viewer:
    """A server with the photos of a run; all browsers that connect see the same scene.

    Args:
        photos: the result files of each photo, in the order of the frames.
        host: address to listen at.
        port: to listen at; the next free one is taken.
        models: the only folder to take body models from; None for the usual places.

    Raises:
        UsageError: viser is missing, or nothing can be listened at.
    """

    def __init__(
        self,
        photos: Mapping[str, dict[PersonKey, Path]],
        host: str = "127.0.0.1",
        port: int = 8080,
        models: Path | None = None,
    ) -> None:
        require_viser()
        import viser

        self._photos, self._names, self._models = photos, list(photos), models
        # controls call from threads of their own
        self._lock = threading.RLock()
        self._shown = -1
        self._is_showing = False  # values that are set from here call back too
        self._controls: PersonControls | None = None
        self._ending = threading.Event()
        _check_host(host)
        with redirect_stdout(io.StringIO()):  # it prints a banner
            self.server = viser.ViserServer(host=host, port=port, label="smplifyx", verbose=False)
        self.scene = PhotoScene(self.server)
        self._add_controls()
        self.show(0)
        self.scene.look(self.server.initial_camera, from_photo=False)
        threading.Thread(target=self._play, name="smplifyx-player", daemon=True).start()

    @property
    def address(self) -> str:
        """Address for the browser."""
        host = self.server.get_host()
        return f"http://{'localhost' if host in ('127.0.0.1', '0.0.0.0') else host}:{self.server.get_port()}"

    def wait(self) -> None:
        """Serve until interrupted."""
        self._ending.wait()

    def stop(self) -> None:
        """End the server."""
        self._ending.set()
        with redirect_stdout(io.StringIO()):
            self.server.stop()

    def show(self, number: int) -> None:
        """Show a photo, its people as they were fitted."""
        with self._lock:
            if number == self._shown:
                return
            self._shown, self._is_showing = number, True
            problems = self.scene.show(self._photos[self._names[number]], self._models)
            self._problems.value = "\n".join(map(str, problems))
            self._problems.visible = bool(problems)
            self._slider.value, self._name.value = number, self._names[number]
            names = tuple(one.key.node_name for one in self.scene.people) or (_NOBODY,)
            chosen = self._person.value if self._person.value in names else names[0]
            self._person.options, self._person.value = names, chosen
            self._is_showing = False
            self._add_person_controls()

    def _add_controls(self) -> None:
        gui: Any = self.server.gui
        many = len(self._names) > 1
        gui.configure_theme(show_logo=False, show_share_button=False)
        # plain text: Markdown would run HTML in a file name
        self._problems = gui.add_text("not shown", "", multiline=True, disabled=True, visible=False)
        self._name = gui.add_dropdown("photo", self._names, initial_value=self._names[0])
        self._slider = gui.add_slider("number", 0, max(len(self._names) - 1, 1), 1, 0, disabled=not many)
        self._playing = gui.add_checkbox(
            "play", False, disabled=not many, hint="the photos in order, again and again"
        )
        self._rate = gui.add_slider("photos a second", 1, 30, 1, 10, disabled=not many)
        self._name.on_update(lambda _: self.show(self._names.index(self._name.value)))
        self._slider.on_update(lambda _: self.show(int(self._slider.value)))
        self._playing.on_update(lambda _: self._add_person_controls())
        views = gui.add_button_group("look from", ("the photo", "beside"))

        @views.on_click
        def _(event: Any) -> None:
            if event.client is not None:
                self.scene.look(event.client.camera, views.value == "the photo")

        photo = gui.add_checkbox("show photo", True)
        photo.on_update(lambda _: self.scene.show_photo(photo.value))
        wires = gui.add_checkbox("wireframe", False)
        wires.on_update(lambda _: self.scene.show_wires(wires.value))
        self._person = gui.add_dropdown("person", (_NOBODY,))
        self._person.on_update(lambda _: self._add_person_controls())
        gui.add_button("as fitted").on_click(lambda _: self._reset())

    def _chosen(self) -> int | None:
        """Position of the chosen person."""
        names = [one.key.node_name for one in self.scene.people]
        return names.index(self._person.value) if self._person.value in names else None

    def _add_person_controls(self) -> None:
        with self._lock:
            if self._is_showing:
                return
            if self._controls is not None:
                self._controls.remove()
                self._controls = None
            number = self._chosen()
            if number is None or self._playing.value:
                return

            def change(result: FitResult) -> None:
                with self._lock:
                    self.scene.pose(number, result)

            self._controls = PersonControls(self.server, self.scene.results[number], change)

    def _reset(self) -> None:
        with self._lock:
            number = self._chosen()
            if number is not None:
                self.scene.pose(number, self.scene.people[number].result)
                self._add_person_controls()

    def _play(self) -> None:
        """Show photo after photo while that is asked for."""
        due = time.monotonic()
        while not self._ending.wait(max(0.005, due - time.monotonic())):
            due = time.monotonic() + 1.0 / self._rate.value
            if self._playing.value:
                self.show((self._shown + 1) % len(self._names))
