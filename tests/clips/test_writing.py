"""Meshes of tracks, posed many frames at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from smplifyx.clips import writing
from smplifyx.clips.writing import _Bodies
from smplifyx.result import FitResult
from tests.random_result import random_result


class Fits:
    """A stand-in for the fitter: the betas of a person are the body."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def meshes(self, results: Sequence[FitResult]) -> list[tuple[np.ndarray, np.ndarray]]:
        assert all(one.status != "failed" for one in results)
        self.sizes.append(len(results))
        return [(np.outer(one.betas, [1, 2, 3]), np.zeros((1, 3), int)) for one in results]


def test_meshes_of_a_track_are_those_of_its_frames_one_by_one() -> None:
    frames = writing._FRAMES_HELD + 6
    results = [random_result(betas=np.full(5, number, np.float32)) for number in range(frames)]
    results[3] = replace(results[3], status="failed")
    fits = Fits()
    bodies = _Bodies(results, 1, fits)  # type: ignore[arg-type]
    for position, one in enumerate(results):
        mesh = bodies.mesh(position)
        if position == 3:
            assert mesh is None
        else:
            assert mesh is not None
            np.testing.assert_array_equal(mesh.vertices, fits.meshes([one])[0][0] + one.camera_translation)
    assert [size for size in fits.sizes if size > 1] == [writing._FRAMES_HELD - 1, 6]
    assert bodies.mesh(-1) is None and bodies.mesh(frames) is None
