"""The scene: the bodies of a photo, and the photo on the frustum of its camera."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smplifyx.errors import InputError
from smplifyx.export.motion import PersonKey
from smplifyx.output import person_color
from smplifyx.result import FitResult
from smplifyx.viewer.people import ShownPerson, backdrop, read_people

if TYPE_CHECKING:
    import viser

#: The photo hangs this much behind the last body, and at least so far from its camera, metres.
_BEHIND, _NEAREST = 0.4, 1.0


class PhotoScene:
    """Bodies in the camera frame of their photo: the camera is in the origin, x goes right, y down, z forward.

    Attributes:
        people: those of the photo.
        results: their parameters as shown, which the user may have changed.
    """

    def __init__(self, server: viser.ViserServer) -> None:
        self._server = server
        self.people: list[ShownPerson] = []
        self.results: list[FitResult] = []
        self._bodies: list[Any] = []
        self._frustum: Any = None
        self._fov, self._depth = 0.9, 3.0
        self._shows_photo, self._shows_wires = True, False
        scene = server.scene
        scene.set_up_direction("-y")
        scene.configure_environment_map(None)  # it would be loaded from the network
        scene.add_light_hemisphere("/light", sky_color=(255, 255, 255), ground_color=(150, 150, 160), intensity=1.2)
        self._floor = scene.add_grid("/floor", 6.0, 6.0, plane="xz", cell_size=0.25)

    def show(self, files: dict[PersonKey, Path], models: Path | None) -> list[InputError]:
        """Show the people of a photo as they were fitted; returns the reasons why others are not shown."""
        self.people, problems = read_people(files, models)
        self.results = [one.result for one in self.people]
        with self._server.atomic():
            for body in self._bodies:
                body.remove()
            self._bodies = [self._add_body(one) for one in self.people]
            self._show_photo()
        return problems

    def pose(self, number: int, result: FitResult) -> None:
        """Show a person with other parameters."""
        self.results[number] = result
        self._bodies[number].vertices = self.people[number].vertices(result)

    def show_photo(self, is_shown: bool) -> None:
        """Show or hide the photo and its camera."""
        self._shows_photo = is_shown
        if self._frustum is not None:
            self._frustum.visible = is_shown

    def show_wires(self, is_shown: bool) -> None:
        """Show the edges of the triangles alone, or the surface."""
        self._shows_wires = is_shown
        for body in self._bodies:
            body.wireframe = is_shown

    def look(self, camera: Any, from_photo: bool) -> None:
        """Put the camera of a browser in the place of that of the photo, or beside it."""
        depth = self._depth
        camera.position = (0.0, 0.0, 0.0) if from_photo else (0.75 * depth, -0.3 * depth, 0.05 * depth)
        camera.look_at = (0.0, 0.0, depth)
        camera.fov = self._fov if from_photo else 0.9

    def _add_body(self, person: ShownPerson) -> Any:
        colour = tuple(round(255 * one ** (1 / 2.2)) for one in person_color(person.key.number))
        return self._server.scene.add_mesh_simple(
            f"/people/{person.key.node_name}",
            person.vertices(person.result),
            person.faces,
            color=colour,
            wireframe=self._shows_wires,
        )

    def _show_photo(self) -> None:
        if self._frustum is not None:
            self._frustum.remove()
            self._frustum = None
        if not self.people:
            return
        photo = backdrop(self.people[0].result)
        points = np.concatenate([np.asarray(body.vertices) for body in self._bodies])
        self._floor.position = (float(points[:, 0].mean()), float(points[:, 1].max()), float(points[:, 2].mean()))
        self._frustum = self._server.scene.add_camera_frustum(
            "/photo",
            photo.fov,
            photo.aspect,
            scale=frustum_scale(photo.fov, photo.aspect, max(_NEAREST, float(points[:, 2].max()) + _BEHIND)),
            thickness=0.004,
            color=(90, 96, 104),
            image=photo.picture,
            format="jpeg",
            cast_shadow=False,
            receive_shadow=False,
            visible=self._shows_photo,
        )
        self._fov, self._depth = photo.fov, max(0.2, float(np.median(points[:, 2])))


def frustum_scale(fov: float, aspect: float, depth: float) -> float:
    """The scale of viser's frustum whose picture is at a depth: it makes frustums of one volume."""
    half = np.tan(fov / 2.0)
    return depth * float(np.cbrt(half * half * aspect / 3.0))
