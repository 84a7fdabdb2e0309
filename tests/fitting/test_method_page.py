"""docs/method.md states the terms, weights and schedule of the code."""

from __future__ import annotations

import re
from pathlib import Path

from smplifyx.config import Config, Override, load_config
from smplifyx.fitting.schedule import FlipDepths, Stage, Step, Trial, TurnHands, make_schedule
from smplifyx.fitting.terms import CAMERA_DEPTH, default_terms, stage_weights

_PAGE = (Path(__file__).resolve().parents[2] / "docs" / "method.md").read_text(encoding="utf-8")
_ROW = re.compile(r"^\| `(\w+)` \| .* \| ([^|]*) \| [^|]* \|$", re.MULTILINE)
_TERMS = _PAGE[_PAGE.index("## Terms") : _PAGE.index("## Schedule")]


def _weights_on_the_page() -> dict[str, list[float | tuple[float, ...]]]:
    def weight(text: str) -> float | tuple[float, ...]:
        numbers = tuple(float(number) for number in text.split("/"))
        return numbers if len(numbers) > 1 else numbers[0]

    return {name: [weight(text) for text in column.split(",")] for name, column in _ROW.findall(_TERMS)}


def test_the_page_names_all_terms_in_their_order() -> None:
    names = [term.name for term in default_terms()]
    assert list(_weights_on_the_page()) == [*names, CAMERA_DEPTH.name]


def test_the_page_has_the_default_weights() -> None:
    config, page = Config(), _weights_on_the_page()
    assert page.pop(CAMERA_DEPTH.name) == [CAMERA_DEPTH.weight]
    stages = stage_weights(default_terms(), config)
    assert page == {name: [weights[name] for weights in stages] for name in page}


def test_the_page_has_the_settings_of_sequences() -> None:
    section = _PAGE[_PAGE.index("## Sequences") : _PAGE.index("## Optimiser")]
    named = dict(re.findall(r"`sequence\.(\w+)`(?: =)? ([\d.]+)", section))
    assert {name: float(value) for name, value in named.items()} == vars(Config().sequence)


def test_the_page_has_the_default_schedule() -> None:
    def name(step: Step) -> str:
        return type(step).__name__ + (f" {step.number}" if isinstance(step, Stage | Trial | TurnHands) else "")

    steps = make_schedule(Config(), has_body=True)
    assert ", ".join(map(name, steps)) in _PAGE
    assert [step.stage for step in steps if isinstance(step, FlipDepths)] == [4]
    assert [step.number for step in steps if isinstance(step, Stage) and step.select] == [5]
    assert [step.number for step in steps if isinstance(step, Stage) and not step.resolve_collisions] == [4]


def test_flips_in_the_last_stage_are_decided_there() -> None:
    config = load_config(overrides=[Override("starts.select_after_stage", "4", "test")])
    *_, flip, trial, last = make_schedule(config, has_body=True)
    assert flip == FlipDepths(8, stage=5) and trial == Trial(5) and last == Stage(5, select=True)


def test_without_flips_nothing_is_decided_late() -> None:
    steps = make_schedule(load_config("fit_smplx_paper"), has_body=True)
    assert not any(isinstance(step, Trial | FlipDepths | TurnHands) for step in steps)
    assert not any(step.select for step in steps if isinstance(step, Stage))


def test_the_joint_limits_are_those_of_the_paper() -> None:
    """3.17 times the weight of the body pose, which is not squared there."""
    for stage in Config().stages:
        assert abs(stage.joint_limits**2 / (3.17 * stage.body_pose) - 1.0) < 1e-6
