"""Controls of one person: shape, expression, and the pose by joint."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from smplifyx.result import FitResult
from smplifyx.viewer.people import angles, with_angles, with_coefficient

if TYPE_CHECKING:
    import viser

#: Range of the sliders: coefficients in standard deviations, degrees.
_COEFFICIENTS, _DEGREES = 4.0, 180.0
_AXES = ("x", "y", "z")


class PersonControls:
    """Sliders that change a copy of a person's result.

    Args:
        server: gets the controls.
        result: the person as shown.
        changed: called with the new result after each change.
    """

    def __init__(self, server: viser.ViserServer, result: FitResult, changed: Callable[[FitResult], None]) -> None:
        self._result, self._changed = result, changed
        self._gui: Any = server.gui
        self._folders: list[Any] = []
        self._is_setting = False
        with self._folder("pose"):
            self._add_joint_sliders()
        for title, name in (("shape", "betas"), ("expression", "expression")):
            if getattr(result, name).size:
                with self._folder(title):
                    self._add_coefficients(name)

    def remove(self) -> None:
        """Take the controls away."""
        for folder in self._folders:
            folder.remove()

    def _folder(self, title: str) -> Any:
        folder = self._gui.add_folder(title, expand_by_default=title == "pose")
        self._folders.append(folder)
        return folder

    def _add_coefficients(self, name: str) -> None:
        for number, value in enumerate(getattr(self._result, name).tolist()):
            low, high = min(-_COEFFICIENTS, value), max(_COEFFICIENTS, value)
            slider = self._gui.add_slider(str(number + 1), low, high, 0.01, value)

            @slider.on_update
            def _(event: Any, number: int = number) -> None:
                self._change(with_coefficient(self._result, name, number, float(event.target.value)))

    def _add_joint_sliders(self) -> None:
        names = self._result.joint_names
        joint = self._gui.add_dropdown("joint", names, initial_value=names[0])
        degrees = [self._gui.add_slider(axis, -_DEGREES, _DEGREES, 0.5, 0.0) for axis in _AXES]

        def show_angles() -> None:
            self._is_setting = True
            for slider, angle in zip(degrees, angles(self._result, joint.value), strict=True):
                slider.value = angle
            self._is_setting = False

        @joint.on_update
        def _(_: Any) -> None:
            show_angles()

        for slider in degrees:

            @slider.on_update
            def _(_: Any) -> None:
                if not self._is_setting:
                    x, y, z = (float(one.value) for one in degrees)
                    self._change(with_angles(self._result, joint.value, (x, y, z)))

        show_angles()

    def _change(self, result: FitResult) -> None:
        self._result = result
        self._changed(result)
