"""One gender for a track, by votes."""

from __future__ import annotations

import pytest

from smplifyx.clips.genders import joint_vote
from smplifyx.gender import GenderDecision
from smplifyx.gender.decision import fallback, given

MALE, FEMALE, UNSURE = GenderDecision("male", "face", 0.97), GenderDecision("female", "body", 0.93), fallback("small")


@pytest.mark.parametrize(
    ("votes", "gender", "source"),
    [
        ([given("female")], "female", "given"),
        ([MALE, UNSURE, UNSURE], "male", "face"),
        ([MALE, MALE, FEMALE], "male", "face"),
        ([MALE, FEMALE], "neutral", "fallback"),
        ([MALE, MALE, MALE, FEMALE, FEMALE], "neutral", "fallback"),
        ([UNSURE, UNSURE], "neutral", "fallback"),
    ],
)
def test_two_thirds_of_the_verdicts_decide(votes: list[GenderDecision], gender: str, source: str) -> None:
    decision = joint_vote(votes)
    assert (decision.gender, decision.source) == (gender, source)


def test_a_tie_tells_the_votes() -> None:
    assert joint_vote([MALE, FEMALE]).reason == "votes: 1 male, 1 female"
    assert joint_vote([UNSURE]).reason == "small"
