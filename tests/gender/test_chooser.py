"""Who is fitted with which body: labels, classifier, neutral; and what `fit` writes about it."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from smplifyx.cli.main import main
from smplifyx.config import GenderConfig
from smplifyx.errors import UsageError
from smplifyx.gender import (
    GenderCheckpoint,
    GenderChooser,
    GenderDecision,
    GenderNetwork,
    GenderSettings,
    read_labels,
    save_checkpoint,
)
from smplifyx.keypoints import Observation, read_image
from smplifyx.output import read_summary
from smplifyx.result import load_result
from tests.gender.conftest import standing

SIZE = (900, 700)


@pytest.fixture(scope="module")
def sure(tmp_path_factory):
    """A classifier that takes everybody for a woman, with probability 0.88."""
    network = GenderNetwork(2)
    with torch.no_grad():
        network.fc.weight.zero_()
        network.fc.bias.copy_(torch.tensor([0.0, 2.0]))
    path = tmp_path_factory.mktemp("sure") / "sure.safetensors"
    save_checkpoint(path, GenderCheckpoint(network, GenderSettings(2, 64, threshold=0.8)))
    return path


@pytest.fixture
def people(tmp_path):
    """Somebody labelled male, somebody without a label, and somebody hardly seen."""
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), np.full((SIZE[1], SIZE[0], 3), 120, np.uint8))
    first = Observation(standing(150, 100, 500), SIZE, None, path, path, gender="male")
    hidden = standing(750, 100, 500)
    hidden[9:] = 0
    return [
        first,
        replace(first, person_index=1, gender=None, keypoints=standing(450, 100, 500)),
        replace(first, person_index=2, gender=None, keypoints=hidden),
    ]


def decided(people, labels=None, available=("male", "female"), **gender) -> list[GenderDecision]:
    table = None if labels is None else read_labels(labels)
    chooser = GenderChooser(GenderConfig(**gender), table, available)
    return chooser.choose(people, lambda: read_image(people[0].image_path, chooser.least_scale(people)))


def chosen(people, **options):
    return [(one.gender, one.source) for one in decided(people, **options)]


def test_label_then_classifier_then_neutral(people, sure):
    assert chosen(people, classifier=sure) == [
        ("male", "given"), ("female", "body"), ("neutral", "fallback"),
    ]  # fmt: skip


def test_a_table_goes_before_the_keypoint_file(people, sure, tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("image,person,label\nphoto.png,0,female\nphoto.png,2,neutral\n")
    assert chosen(people, classifier=sure, labels=table) == [
        ("female", "given"), ("female", "body"), ("neutral", "given"),
    ]  # fmt: skip


def test_a_decision_has_the_same_bits_in_any_company(people, tmp_path):
    """Networks are given one person at a time, and the photo at a scale that all of its people decide."""
    unlabelled = [replace(one, gender=None) for one in people]
    everyone = decided(unlabelled)
    chooser = GenderChooser(GenderConfig())
    scale = chooser.least_scale(unlabelled)
    photo = read_image(people[0].image_path, scale)
    for one, expected in zip(unlabelled, everyone, strict=True):
        (alone,) = chooser.choose([one], lambda: photo)
        assert alone == expected or str(alone) == str(expected)  # NaN differs from itself


def test_the_photo_is_not_read_for_labelled_people(people):
    def read():
        raise AssertionError("read")

    chooser = GenderChooser(GenderConfig())
    assert chooser.least_scale(people[:1]) == 0
    assert chooser.choose(people[:1], read)[0].source == "given"


def test_classifier_and_threshold_can_be_changed(people, sure):
    assert chosen(people, classifier=sure, threshold=0.9)[1] == ("neutral", "fallback")
    assert chosen(people, classifier="none")[1] == ("neutral", "fallback")
    onnx = Path(__file__).parents[1] / "gender" / "data" / "mean_colour_logits.onnx"
    assert chosen(people, classifier=onnx, threshold=0.51)[1][1] == "body"


def test_without_a_body_of_that_gender_the_neutral_one_serves(people, sure):
    (decision,) = decided(people[1:2], available=["male"], classifier=sure)
    assert (decision.gender, decision.source) == ("neutral", "fallback")
    assert decision.reason == "no female body model"


def test_an_unusable_classifier_is_a_wrong_call(people, tmp_path):
    with pytest.raises(UsageError, match=r"none\.safetensors"):
        chosen(people, classifier=tmp_path / "none.safetensors")


def test_fit_groups_people_and_writes_who_decided(people, sure, tmp_path):
    images, keypoints, output = (tmp_path / name for name in ("images", "keypoints", "output"))
    images.mkdir()
    keypoints.mkdir()
    shutil.copy(people[0].image_path, images)
    entries = []
    for one in people:
        entry = {"pose_keypoints_2d": one.keypoints[:25].ravel().tolist()}
        entries.append(entry | ({"gender_gt": one.gender} if one.gender else {}))
    (keypoints / "photo_keypoints.json").write_text(json.dumps({"people": entries}))
    folders = ("--images", images, "--keypoints", keypoints, "--output", output, "--gender.classifier", str(sure))
    quick = ("--optimizer.max_iterations", "2", "--device", "cpu", "--no-mesh", "--no-render", "--threads", "1")
    assert main(["fit", *map(str, folders), *quick]) == 0
    rows = {row.person: row for row in read_summary(output / "summary.csv")}
    assert [(rows[i].gender, rows[i].gender_source) for i in range(3)] == [
        ("male", "given"), ("female", "body"), ("neutral", "fallback"),
    ]  # fmt: skip
    assert rows[1].gender_probability == pytest.approx(1 / (1 + np.exp(-2)), abs=1e-3)
    assert "occluded" in rows[2].gender_reason
    result = load_result(output / "results" / "photo" / "001.npz")
    assert (result.gender, result.gender_source) == ("female", "body")
    with (output / "summary.csv").open() as stream:
        header = next(csv.reader(stream))
    assert header[9:12] == ["gender_source", "gender_probability", "gender_reason"]
