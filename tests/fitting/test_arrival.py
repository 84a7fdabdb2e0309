"""Fits of copies of one person at several places of a photo: none gets lower from where another one ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import smplifyx
from smplifyx.camera import resolve_cameras
from smplifyx.fitting.batch import Hypotheses
from smplifyx.fitting.fitter import Fitter
from smplifyx.fitting.hypotheses import turned_hands
from smplifyx.fitting.schedule import SelectBest, Stage, TurnHands
from smplifyx.keypoints import Observation, read_keypoints

_DEMO = Path(smplifyx.__file__).parent / "data" / "demo"
_SIZE = 1600, 900
_LAST = 5


def _copies(middles: Sequence[tuple[int, int]], scale: float) -> list[Observation]:
    """The woman of the demo who reaches for something, around several pixels of a wide photo."""
    (one,) = read_keypoints(_DEMO / "keypoints" / "reaching_keypoints.json", _DEMO / "images" / "reaching.jpg")
    seen = one.keypoints[:, 2] > 0
    middle = one.keypoints[seen, :2].mean(0)
    copies = []
    for place in middles:
        keypoints = one.keypoints.copy()
        keypoints[seen, :2] = scale * (keypoints[seen, :2] - middle) + place
        copies.append(replace(one, keypoints=keypoints, image_size=_SIZE, camera=None))
    return copies


def _from_each_other(fitter: Fitter, ends: Hypotheses) -> np.ndarray:
    """Losses [P, P] of each person after the last stage, from the bodies of all: their own place and heading."""
    number = len(ends.x)
    own, other = torch.arange(number).repeat_interleave(number), torch.arange(number).repeat(number)
    slices = fitter.solver.parameters.layout.slices
    x = ends.x[other]
    for name in ("translation", "global_orient"):
        x[:, slices[name]] = ends.x[own][:, slices[name]]
    found = Stage(_LAST).run(fitter.solver, replace(ends.index(own), x=x))
    return found.loss.reshape(number, number).numpy()


@pytest.mark.slow
def test_copies_get_no_lower_from_where_others_end():
    """Copies elsewhere in a photo are other problems: seen in perspective from other directions."""
    fitter = Fitter(batch_size=64)
    people = resolve_cameras(_copies([(300, 400), (800, 500), (1300, 350)], 0.6), fitter.config.camera)
    before = SelectBest().run(fitter.solver, fitter.competing_hypotheses(people))
    ends = Stage(_LAST).run(fitter.solver, before)
    losses = ends.loss.numpy()
    lowest = _from_each_other(fitter, ends).min(1)
    assert (losses < 1.003 * lowest).all()


@pytest.mark.slow
def test_hands_that_are_seen_from_the_wrong_side_are_turned():
    fitter = Fitter(overrides={"collision.enabled": False})
    people = resolve_cameras(_copies([(800, 450)], 0.6), fitter.config.camera)
    best = SelectBest().run(fitter.solver, fitter.competing_hypotheses(people))
    usual = Stage(_LAST).run(fitter.solver, best)
    x = turned_hands(fitter.solver.first_view, usual.x, usual.initial).flatten(0, 2)
    wrong = replace(best.index(torch.zeros(len(x), dtype=torch.int64)), x=x, person=torch.arange(len(x)))
    stuck = Stage(_LAST).run(fitter.solver, wrong)
    mended = Stage(_LAST, select=True).run(fitter.solver, TurnHands(_LAST).run(fitter.solver, wrong))
    assert (mended.loss < 1.01 * usual.loss).all()
    assert (stuck.loss > 1.1 * usual.loss).any()
