"""The shipped classifiers: no verdicts on pictures that the one of bodies does not know; real photos."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from smplifyx.errors import InputError
from smplifyx.gender import (
    BodyVoter,
    NetworkClassifier,
    classify_people,
    decide,
    load_checkpoint,
    load_voters,
    shipped_checkpoint,
)
from smplifyx.keypoints import Observation, image_size, read_keypoint_file

REAL = Path(__file__).resolve().parents[3] / "shared" / "real"
#: Wrong verdicts of the paper's classifier.
PAPER_WRONG = 0.0754


@pytest.fixture(scope="module")
def classifier():
    return NetworkClassifier(load_checkpoint(shipped_checkpoint()))


def things(side):
    """Pictures that show nobody: noise, plain and striped surfaces, gradients, shapes."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:side, :side]
    pictures = [rng.integers(0, 256, (side, side, 3)) for _ in range(8)]
    pictures += [np.full((side, side, 3), value) for value in (0, 60, 128, 200, 255)]
    pictures += [np.tile(128 + 100 * np.sin(rows / period)[..., None], 3) for period in (1, 3, 10)]
    pictures += [np.stack([rows, columns, rows + columns], 2) * 255 / (2 * side) for _ in range(1)]
    for _ in range(8):
        canvas = np.full((side, side, 3), rng.integers(0, 256, 3), np.uint8)
        for _ in range(6):
            centre, color = rng.integers(0, side, 2).tolist(), rng.integers(0, 256, 3).tolist()
            cv2.circle(canvas, centre, int(rng.integers(5, side // 3)), color, -1)
            cv2.line(canvas, rng.integers(0, side, 2).tolist(), centre, color, int(rng.integers(1, 9)))
        pictures.append(canvas)
    return np.stack(pictures).astype(np.uint8)


def test_the_file_is_small(classifier):
    assert shipped_checkpoint().stat().st_size < 6e6


def test_nothing_but_people_gets_a_verdict(classifier):
    outputs = classifier.classify(things(classifier.side))
    decisions = [
        classifier.rule.decide((float(male), float(female)), *map(float, measures))
        for (male, female), *measures in zip(*outputs, strict=True)
    ]
    assert {one.gender for one in decisions} == {"neutral"}


def labelled_people():
    """The shared sample data's adults and how they appear to an onlooker."""
    people, labels = [], []
    with (REAL / "gender_labels.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            image = next((REAL / row["source"] / "images").glob(f"{row['stem']}.*"))
            keypoints = REAL / row["source"] / "keypoints" / f"{row['stem']}_keypoints.json"
            try:
                file = read_keypoint_file(keypoints)
            except InputError:
                continue
            number = int(row["person"])
            person = next((one for one in file.people if one.index == number), None)
            if person is not None:
                people.append(Observation(person.keypoints, image_size(image), None, image, keypoints, number))
                labels.append(row["label"])
    return people, labels


needs_photos = pytest.mark.skipif(
    not (REAL / "gender_labels.csv").is_file(), reason="the shared sample data are not here"
)


def verdicts(voters):
    """Decisions about the labelled people, and the shares of correct and of wrong verdicts."""
    people, labels = labelled_people()
    assert len(people) > 50
    decisions = decide(classify_people(people, voters), voters)
    correct = [one.gender == label for one, label in zip(decisions, labels, strict=True)]
    neutral = [one.gender == "neutral" for one in decisions]
    return decisions, np.mean(correct), 1.0 - np.mean(correct) - np.mean(neutral)


@pytest.mark.slow
@needs_photos
def test_most_photos_are_out_of_distribution_and_wrong_verdicts_are_fewer_than_the_papers(classifier):
    decisions, _, wrong = verdicts([BodyVoter(classifier)])
    assert np.mean([one.reason.startswith("body out of distribution") for one in decisions]) > 0.6
    assert wrong <= PAPER_WRONG


@pytest.mark.slow
@needs_photos
def test_faces_in_photos_are_classified():
    """Aims for the people with labels: 40 % correct and at most 3 % wrong; the threshold comes from other people."""
    pytest.importorskip("ai_edge_litert", reason="no wheel of the runtime for this processor")
    decisions, correct, wrong = verdicts(load_voters("auto"))
    assert correct >= 0.4
    assert wrong <= 0.03
    assert sum(one.source == "face" for one in decisions) >= 20
