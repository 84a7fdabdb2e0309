"""The table of labels, and the rule: a verdict only at the threshold, and none for out-of-distribution pictures."""

from __future__ import annotations

import math

import pytest

from smplifyx.errors import InputError
from smplifyx.gender.decision import DecisionRule, GenderDecision, fallback, given, joint, read_labels


def write(tmp_path, text):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    return path


def test_labels_of_persons_and_of_everybody(tmp_path):
    labels = read_labels(
        write(tmp_path, "image,person,label,note\na.jpg,0,Male,x\nsub/b.png,,female,\nb.png, 2 ,neutral,\n")
    )
    assert labels.of("a", 0) == "male"
    assert labels.of("a", 1) is None
    assert [labels.of("b", person) for person in (0, 2)] == ["female", "neutral"]
    assert labels.of("c", 0) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,label\na,male\n", "columns are missing: person; expected image, person, label"),
        ("image,person,label\na,0,man\n", "line 2, label: is 'man'"),
        ("image,person,label\na,first,male\n", "line 2, person: is 'first'"),
        ("image,person,label\na,0\n", "line 2: has fewer entries"),
        ("image,person,label\na,0,male\na.png,0,female\n", "line 3: contradicts"),
        ("", "columns are missing"),
    ],
)
def test_wrong_tables_are_named_by_line(tmp_path, text, message):
    with pytest.raises(InputError) as raised:
        read_labels(write(tmp_path, text))
    assert message in str(raised.value)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(InputError) as raised:
        read_labels(tmp_path / "none.csv")
    problem = "cannot be read as a table (CSV in UTF-8): No such file or directory"
    assert str(raised.value) == f"{tmp_path / 'none.csv'}: {problem}"


@pytest.mark.parametrize(
    ("male", "gender"), [(0.9, "male"), (0.899, "neutral"), (0.5, "neutral"), (0.101, "neutral"), (0.1, "female")]
)
def test_the_threshold_itself_is_enough(male, gender):
    decision = DecisionRule(0.9).decide((male, 1.0 - male))
    assert (decision.gender, decision.source) == (gender, "fallback" if gender == "neutral" else "body")
    assert decision.probability == max(male, 1.0 - male)
    assert bool(decision.reason) == (gender == "neutral")


def test_a_distant_picture_gets_no_verdict():
    rule = DecisionRule(0.9, distance_limit=2.0)
    assert rule.decide((0.99, 0.01), 2.0).gender == "male"
    decision = rule.decide((0.99, 0.01), 2.1)
    assert (decision.gender, decision.source) == ("neutral", "fallback")
    assert "out of distribution: distance 2.10" in decision.reason


def test_an_out_of_distribution_picture_gets_no_verdict():
    rule = DecisionRule(0.9, distance_limit=2.0, out_of_distribution_limit=0.3)
    assert rule.decide((0.99, 0.01), 2.0, 0.3).gender == "male"
    decision = rule.decide((0.99, 0.01), 1.0, 0.31)
    assert (decision.gender, decision.source) == ("neutral", "fallback")
    assert decision.reason == "body out of distribution: probability 0.3100, limit 0.3000"
    assert DecisionRule(0.9).decide((0.99, 0.01), 9.0, 1.0).gender == "male"


def test_outputs_that_are_not_finite_get_no_verdict():
    assert DecisionRule().decide((math.nan, math.nan)).source == "fallback"
    assert DecisionRule(0.9, 1.0).decide((0.99, 0.01), math.nan).gender == "neutral"


def test_given_and_fallback():
    assert given("female") == GenderDecision("female", "given", pytest.approx(math.nan, nan_ok=True), "")
    assert fallback("because").reason == "because"


MALE, FEMALE = GenderDecision("male", "face", 0.9), GenderDecision("female", "body", 0.95)
UNSURE = GenderDecision("neutral", "fallback", 0.6, "face uncertain: probability 0.600, threshold 0.850")
UNSEEN = fallback("body too small: 20 x 30 pixels")


@pytest.mark.parametrize(
    ("decisions", "expected"),
    [
        ([MALE, UNSEEN], MALE),
        ([UNSURE, FEMALE], FEMALE),
        ([MALE, GenderDecision("male", "body", 0.99)], MALE),
        ([UNSEEN], UNSEEN),
    ],
)
def test_the_first_verdict_counts(decisions, expected):
    assert joint(decisions) == expected


def test_without_a_verdict_all_reasons_are_kept():
    decision = joint([UNSURE, UNSEEN])
    assert (decision.gender, decision.source, decision.probability) == ("neutral", "fallback", 0.6)
    assert decision.reason == f"{UNSURE.reason}; {UNSEEN.reason}"
    assert decision.reason_without_figures == "face uncertain; body too small"
    assert joint([UNSEEN, UNSURE]).probability == 0.6
    assert joint([fallback("a.png: is empty")] * 2).reason == "a.png: is empty"


def test_contradictory_verdicts_are_neutral():
    decision = joint([MALE, FEMALE])
    assert (decision.gender, decision.source, decision.probability) == ("neutral", "fallback", 0.9)
    assert decision.reason == "contradictory: male by face and female by body"
