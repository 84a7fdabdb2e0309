"""The rule: a verdict only at the threshold, and none for foreign pictures."""

from __future__ import annotations

import math

import pytest

from smplifyx.gender.decision import DecisionRule, GenderDecision, fallback, given


@pytest.mark.parametrize(
    ("male", "gender"), [(0.9, "male"), (0.899, "neutral"), (0.5, "neutral"), (0.101, "neutral"), (0.1, "female")]
)
def test_the_threshold_itself_is_enough(male, gender):
    decision = DecisionRule(0.9).decide((male, 1.0 - male))
    assert (decision.gender, decision.source) == (gender, "classified")
    assert decision.probability == max(male, 1.0 - male)
    assert bool(decision.reason) == (gender == "neutral")


def test_a_foreign_picture_gets_no_verdict():
    rule = DecisionRule(0.9, foreign_limit=2.0)
    assert rule.decide((0.99, 0.01), 2.0).gender == "male"
    decision = rule.decide((0.99, 0.01), 2.1)
    assert (decision.gender, decision.source) == ("neutral", "fallback")
    assert "unlike the classifier's training pictures: 2.10" in decision.reason


def test_a_picture_that_the_classifier_takes_for_foreign_gets_no_verdict():
    rule = DecisionRule(0.9, foreign_limit=2.0, foreign_probability_limit=0.3)
    assert rule.decide((0.99, 0.01), 2.0, 0.3).gender == "male"
    decision = rule.decide((0.99, 0.01), 1.0, 0.31)
    assert (decision.gender, decision.source) == ("neutral", "fallback")
    assert decision.reason == "foreign to the classifier: probability 0.3100, limit 0.3000"
    assert DecisionRule(0.9).decide((0.99, 0.01), 9.0, 1.0).gender == "male"


def test_answers_that_are_no_numbers_get_no_verdict():
    assert DecisionRule().decide((math.nan, math.nan)).source == "fallback"
    assert DecisionRule(0.9, 1.0).decide((0.99, 0.01), math.nan).gender == "neutral"


def test_given_and_fallback():
    assert given("female") == GenderDecision("female", "given", pytest.approx(math.nan, nan_ok=True), "")
    assert fallback("because").reason == "because"
