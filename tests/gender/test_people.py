"""Decisions about many people, with a classifier that looks at colours."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from smplifyx.gender import BodyVoter, ClassifierOutput, DecisionRule, classify_people, decide
from smplifyx.keypoints import Observation
from tests.gender.conftest import standing

SIZE = (1200, 900)


class ByColour:
    """Red is female, blue male, with a probability by colour; green is distant, dark is out of distribution."""

    side, rule = 64, DecisionRule(0.8, 1.0)

    def __init__(self):
        self.batches = []

    def classify(self, crops):
        assert crops.shape[1:] == (64, 64, 3)
        self.batches.append(len(crops))
        middle = crops[:, 24:40, 24:40].mean((1, 2))
        female = middle[:, 2] / (middle[:, 0] + middle[:, 2])
        return ClassifierOutput(np.stack([1 - female, female], 1), middle[:, 1] / 100.0, 1.0 - middle.max(1) / 255.0)


@pytest.fixture
def photo(tmp_path):
    def make(name, *colours):
        """A photo with a coloured half for each person."""
        image = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
        for number, colour in enumerate(colours):
            image[:, number * 600 : (number + 1) * 600] = colour
        path = tmp_path / name
        cv2.imwrite(str(path), image)
        return [
            Observation(standing(300 + 600 * number, 150, 600), SIZE, image_path=path, person_index=number)
            for number in range(len(colours))
        ]

    return make


def decided(people, classifier, rule=ByColour.rule, **options):
    voters = [BodyVoter(classifier, rule)]
    return decide(classify_people(people, voters, **options), voters)


RED, BLUE, BLUISH, GREEN = (10, 0, 250), (250, 0, 10), (130, 0, 100), (250, 250, 0)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_everybody_gets_their_own_decision_in_the_order_given(photo, suffix):
    people = [*photo(f"a.{suffix}", RED, BLUE), *photo(f"b.{suffix}", BLUISH, GREEN)]
    decisions = decided(people, ByColour())
    assert [one.gender for one in decisions] == ["female", "male", "neutral", "neutral"]
    assert [one.source for one in decisions] == ["body", "body", "fallback", "fallback"]
    assert decisions[0].probability == pytest.approx(250 / 260, abs=0.02)
    assert "out of distribution: distance" in decisions[3].reason
    again = decided([people[i] for i in (3, 1, 0, 2)], ByColour())
    assert [one.gender for one in again] == ["neutral", "male", "female", "neutral"]


def test_another_rule_can_be_asked_for(photo):
    decisions = decided(photo("a.png", BLUISH, GREEN), ByColour(), DecisionRule(0.51))
    assert [one.gender for one in decisions] == ["male", "male"]


def test_out_of_distribution_people_are_neutral(photo):
    decisions = decided(photo("a.png", RED, (9, 0, 60)), ByColour(), DecisionRule(0.8, None, 0.5))
    assert [one.gender for one in decisions] == ["female", "neutral"]
    assert "out of distribution: probability 0.76" in decisions[1].reason


def test_people_who_cannot_be_seen_and_photos_that_cannot_be_read_fall_back(photo, tmp_path):
    people = [*photo("a.png", RED, BLUE), *photo("b.png", RED)]
    people[1].keypoints[:, 2] = 0
    people[2].image_path.write_bytes(b"")
    classifier = ByColour()
    decisions = decided(people, classifier)
    assert [one.gender for one in decisions] == ["female", "neutral", "neutral"]
    assert "occluded" in decisions[1].reason
    assert "b.png" in decisions[2].reason
    assert {one.source for one in decisions[1:]} == {"fallback"}
    assert classifier.batches == [1]


def test_crops_go_in_batches_and_progress_counts_everybody(photo):
    people = [one for number in range(12) for one in photo(f"{number}.png", RED, BLUE)]
    people[3].keypoints[:, 2] = 0
    classifier, counts = ByColour(), []
    decisions = decided(people, classifier, progress=counts.append)
    assert len(decisions) == 24
    assert sum(counts) == 24
    assert classifier.batches == [16, 7]


def test_nobody_is_no_problem():
    assert decided([], ByColour()) == []
