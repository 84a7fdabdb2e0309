"""Figures of the first stages on the demo's people: a change of structure leaves them as they are.

The first stages are convex enough that rounding hardly changes their minima; later ones amplify it, see
``tests/golden.py`` for the comparison of whole fits on one machine.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import smplifyx

_DEMO = Path(smplifyx.__file__).parent / "data" / "demo"
#: Loss at the end of stages 1 and 2, with the neutral body.
_STAGE_LOSSES = {
    ("sitting", 0): (44207.2, 43945.0),
    ("talking", 0): (22593.9, 22346.2),
    ("talking", 1): (22562.5, 22474.3),
    ("walking", 0): (46622.9, 46391.1),
}


@pytest.fixture(scope="module")
def fits() -> dict[tuple[str, int], smplifyx.FitResult]:
    config = smplifyx.load_config()
    config = replace(
        config,
        stages=config.stages[:2],
        starts=replace(config.starts, select_after_stage=2, depth_flips=0),
        collision=replace(config.collision, enabled=False),
    )
    people = smplifyx.read_keypoints(_DEMO / "keypoints", _DEMO / "images")
    people = [one for one in people if (one.stem, one.person_index) in _STAGE_LOSSES]
    results = smplifyx.Fitter(config=config).fit(people)
    return {(one.stem, one.person_index): result for one, result in zip(people, results, strict=True)}


@pytest.mark.parametrize("person", _STAGE_LOSSES)
def test_stage_losses(person: tuple[str, int], fits: dict[tuple[str, int], smplifyx.FitResult]) -> None:
    np.testing.assert_allclose(fits[person].stage_losses, _STAGE_LOSSES[person], rtol=1e-3)
