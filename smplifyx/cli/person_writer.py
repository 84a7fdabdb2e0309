"""Writes everything that a run leaves behind for one person, and the picture of all people of a photo."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import smplifyx
from smplifyx.cli.lazy_renderer import LazyRenderer
from smplifyx.config import OutputConfig
from smplifyx.fitting.fitter import Fitter
from smplifyx.fitting.result import FitResult
from smplifyx.keypoints import Observation, read_image
from smplifyx.output import (
    BodyMesh,
    BodyRenderer,
    OutputLayout,
    PhotoCamera,
    close_up,
    overlay,
    person_color,
    save_mesh,
    save_picture,
    save_result,
    save_smplifyx_pickle,
    side_view,
)

#: Models that are no whole bodies.
_PARTS = ("mano", "flame")


def _remembering_the_last(read: Callable[[Path], np.ndarray]) -> Callable[[Path], np.ndarray]:
    """The same function; people of one photo are written one after the other, and it is read for the first alone."""
    return functools.lru_cache(maxsize=1)(read)


@dataclass(frozen=True)
class PersonWriter:
    """Writes one person's files; the parameters come last, so that their presence means that all is written.

    Attributes:
        layout: where the files lie.
        wanted: which files are wanted.
        renderer: draws the pictures; None where none are wanted.
        read_photo: reads the photo that is drawn on.
    """

    layout: OutputLayout
    wanted: OutputConfig
    renderer: LazyRenderer | None
    read_photo: Callable[[Path], np.ndarray] = field(default_factory=lambda: _remembering_the_last(read_image))

    def write(self, observation: Observation, result: FitResult, vertices: np.ndarray, faces: np.ndarray) -> None:
        """Write the files of one person.

        Args:
            observation: what was fitted.
            result: the fit.
            vertices: `[V, 3]` in the camera frame without the camera translation, metres.
            faces: vertex numbers `[F, 3]`.

        Raises:
            InputError: the photo cannot be read any more.
        """
        who = (observation.stem, observation.person_index, observation.side)
        camera = _camera(result)
        if self.wanted.save_mesh:
            save_mesh(vertices, faces, self.layout.mesh_path(*who), camera, result.camera_translation)
        if self.renderer is not None:
            self._draw(self.renderer, observation, result, vertices, faces, camera)
        if self.wanted.save_pickle:
            save_smplifyx_pickle(result, self.layout.pickle_path(*who))
        save_result(
            result,
            observation.image_path,
            observation.keypoint_path,
            smplifyx.__version__,
            self.layout.result_path(*who),
        )

    def open(self) -> None:
        """Open the renderer now, in this thread, rather than with the first picture."""
        if self.renderer is not None:
            self.renderer.open()

    def close(self) -> None:
        """Let other threads draw; to be called by the thread that wrote."""
        if self.renderer is not None:
            self.renderer.release()

    def is_done(self, observation: Observation) -> bool:
        """Whether all the wanted files of this person are there."""
        return self.layout.is_done(
            observation.stem,
            observation.person_index,
            observation.side,
            mesh=self.wanted.save_mesh,
            overlay=self.wanted.render,
            pickle=self.wanted.save_pickle,
        )

    def has_group(self, stem: str) -> bool:
        """Whether the picture of all people of this photo is there."""
        return self.layout.group_overlay_path(stem).is_file()

    def write_group(self, observation: Observation, bodies: Sequence[tuple[int, FitResult, Fitter]]) -> None:
        """Write the photo with all its people; does nothing where no pictures are wanted.

        Args:
            observation: anyone of the photo.
            bodies: number of the person, fit, and the fitter that poses it; a photo has but one camera, the first's.

        Raises:
            InputError: the photo cannot be read any more.
        """
        if self.renderer is None:
            return
        meshes = [
            BodyMesh(fitter.vertices(result) + result.camera_translation, fitter.faces, person_color(person))
            for person, result, fitter in bodies
        ]
        photo = self.read_photo(observation.image_path)
        picture = overlay(photo, meshes, _camera(bodies[0][1]), self.renderer, self.wanted.max_render_size)
        save_picture(picture, self.layout.group_overlay_path(observation.stem))

    def _draw(
        self,
        renderer: BodyRenderer,
        observation: Observation,
        result: FitResult,
        vertices: np.ndarray,
        faces: np.ndarray,
        camera: PhotoCamera,
    ) -> None:
        who, longest_side = (
            (observation.stem, observation.person_index, observation.side),
            self.wanted.max_render_size,
        )
        mesh = BodyMesh(vertices + result.camera_translation, faces, person_color(observation.person_index))
        photo = self.read_photo(observation.image_path)
        save_picture(overlay(photo, [mesh], camera, renderer, longest_side), self.layout.overlay_path(*who))
        if result.model_type in _PARTS:
            photo, camera = close_up(photo, camera, mesh.vertices, longest_side)
            save_picture(overlay(photo, [mesh], camera, renderer, longest_side), self.layout.close_up_path(*who))
        if self.wanted.side_view:
            picture = side_view(mesh, result.joints[0], camera, renderer, longest_side)
            save_picture(picture, self.layout.side_view_path(*who))


def _camera(result: FitResult) -> PhotoCamera:
    return PhotoCamera.of_arrays(result.focal_length, result.principal_point, result.image_size)
