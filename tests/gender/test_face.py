"""The classifier of faces: the original's answers, the place of the face, and votes of two classifiers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import smplifyx.gender.face as face_module
import smplifyx.gender.people as people_module
from smplifyx.detect.crops import Photo
from smplifyx.errors import InputError, UsageError
from smplifyx.gender import (
    BodyVoter,
    Classification,
    ClassifierOutput,
    DecisionRule,
    FaceClassifier,
    FaceLocator,
    FaceVoter,
    classify_people,
    decide,
    load_voters,
)
from smplifyx.gender.face import Head, load_face_network, shipped_face_weights
from smplifyx.keypoints import Observation, read_image, read_keypoints
from smplifyx.skeleton import keypoint_index
from tests.gender.conftest import standing

DEMO = Path(face_module.__file__).parents[1] / "data" / "demo"
WITNESS = Path(__file__).parent / "data" / "faces.npz"


@pytest.fixture(scope="module")
def people():
    return [one for path in sorted((DEMO / "keypoints").iterdir()) for one in read_keypoints(path, _photo_of(path))]


def _photo_of(keypoints):
    return DEMO / "images" / f"{keypoints.name.removesuffix('_keypoints.json')}.jpg"


def rgb(person):
    return np.ascontiguousarray(read_image(person.image_file)[..., ::-1])


@pytest.fixture
def without_runtime(monkeypatch):
    def fail():
        raise UsageError("not installed")

    monkeypatch.setattr(face_module, "FaceFinder", fail)


def test_the_network_gives_the_answers_of_the_original():
    """Drawn faces with the answers of face-api's own code; the weights are in half precision."""
    data = np.load(WITNESS)
    faces, expected = data["faces"], data["probabilities"]
    once = FaceClassifier().classify(faces[..., ::-1]).probabilities
    mirrored = FaceClassifier().classify(faces[:, :, ::-1, ::-1]).probabilities
    np.testing.assert_allclose(once, mirrored, atol=1e-5)
    import torch

    with torch.inference_mode():
        logits = load_face_network(shipped_face_weights())(torch.from_numpy(faces).permute(0, 3, 1, 2).float())
    np.testing.assert_allclose(logits.softmax(1).numpy(), expected, atol=3e-3)
    assert expected[:, 0].min() < 0.4 and expected[:, 0].max() > 0.9


def test_damaged_weights_are_an_input_error(tmp_path):
    path = tmp_path / "face.safetensors"
    for content in (b"", shipped_face_weights().read_bytes()[:50_000]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"face\.safetensors"):
            load_face_network(path)
    with pytest.raises(InputError, match="none"):
        load_face_network(tmp_path / "none")


def test_the_head_comes_from_its_keypoints():
    keypoints = standing(250, 100, 400)
    head = Head.of(keypoints)
    assert head.width == pytest.approx(200, abs=1)
    keypoints[[keypoint_index(f"{side}_{part}") for side in ("left", "right") for part in ("eye", "ear")], 2] = 0
    assert Head.of(keypoints) == "not seen"
    profile = standing(250, 100, 400)
    profile[[keypoint_index(f"right_{part}") for part in ("eye", "ear")], 2] = 0
    profile[[keypoint_index(f"left_{part}") for part in ("eye", "ear")], 0] = 251
    assert Head.of(profile).width == pytest.approx(50, abs=1)
    assert Head.of(standing(5, 5, 1.5)) == "too small"


def test_faces_are_found_where_the_keypoints_are(people):
    pytest.importorskip("ai_edge_litert", reason="no wheel of the runtime for this processor")
    locate = FaceLocator()
    squares = [(one, locate(Photo(rgb(one)), one)) for one in people]
    found = [(one, square) for one, square in squares if not isinstance(square, str)]
    assert len(found) >= 4
    for one, square in found:
        head = Head.of(one.keypoints)
        assert np.hypot(*(np.array(square.center) - head.center)) < head.width
        assert 0.7 < square.side / head.width < 3.5
    one, square = max(found, key=lambda pair: pair[1].side)
    half = locate(Photo(np.ascontiguousarray(rgb(one)[::2, ::2])), one)
    assert half.side == pytest.approx(square.side / 2, rel=0.15)
    np.testing.assert_allclose(np.array(half.center) * 2, square.center, atol=0.1 * square.side)


def test_without_the_runtime_the_keypoints_of_the_face_place_it(people, without_runtime):
    person = next(one for one in people if (one.keypoints[67:, 2] > 0.2).sum() >= 40)
    photo = Photo(rgb(person))
    square = FaceLocator()(photo, person)
    points = person.keypoints[67:][person.keypoints[67:, 2] > 0.2, :2]
    low, high = points.min(0), points.max(0)
    np.testing.assert_allclose(square.center, (low + high) / 2, rtol=1e-5)
    assert square.side == pytest.approx(1.3 * (high - low).max(), rel=1e-5)
    keypoints = person.keypoints.copy()
    keypoints[100:, 2] = 0
    assert FaceLocator()(photo, Observation(keypoints, person.image_size)) == "not seen"


def test_small_faces_are_not_classified(people, without_runtime):
    person = next(one for one in people if (one.keypoints[67:, 2] > 0.2).sum() >= 40)
    keypoints = person.keypoints * np.array([0.05, 0.05, 1.0], np.float32)
    small = Observation(keypoints, person.image_size)
    assert FaceLocator()(Photo(rgb(person)), small).startswith("too small")


class SureOfWomen:
    """Classifies every crop of a body as female."""

    side, rule = 64, DecisionRule(0.8)

    def classify(self, crops):
        return ClassifierOutput(np.tile([0.1, 0.9], (len(crops), 1)), *np.zeros((2, len(crops))))


def test_two_voters_share_the_reading_of_photos(people, monkeypatch):
    pytest.importorskip("ai_edge_litert", reason="no wheel of the runtime for this processor")
    read = []
    monkeypatch.setattr(
        people_module, "read_image", lambda path, scale=1.0: read.append(path) or read_image(path, scale)
    )
    hidden = Observation(people[0].keypoints * np.float32(0), people[0].image_size, image_path=people[0].image_path)
    everyone, counts = [*people, hidden], []
    voters = [FaceVoter(DecisionRule(0.99)), BodyVoter(SureOfWomen())]
    votes = classify_people(everyone, voters, counts.append)
    assert sum(counts) == len(everyone)
    assert sorted(read) == sorted({one.image_path for one in people})
    assert [len(of_voter) for of_voter in votes] == [len(everyone)] * 2
    assert sum(isinstance(one, Classification) for one in votes[0]) >= 4
    alone = [classify_people(everyone, [voter])[0] for voter in voters]
    for together, separate in zip(votes, alone, strict=True):
        assert [type(one) for one in together] == [type(one) for one in separate]
    decisions = decide(votes, voters)
    assert {one.source for one in decisions} <= {"body", "fallback"}
    assert decisions[-1].reason.startswith("face not seen; body too occluded")


def test_verdicts_of_faces_name_the_face(people):
    pytest.importorskip("ai_edge_litert", reason="no wheel of the runtime for this processor")
    voters = [FaceVoter(DecisionRule(0.51))]
    decisions = decide(classify_people(people, voters), voters)
    assert sum(one.source == "face" for one in decisions) >= 4


def test_voters_by_name():
    assert [voter.part for voter in load_voters()] == ["face", "body"]
    assert [voter.part for voter in load_voters("face")] == ["face"]
    assert [voter.part for voter in load_voters("body", 0.6)] == ["body"]
    assert {voter.rule.threshold for voter in load_voters("auto", 0.6)} == {0.6}
    onnx = Path(__file__).parent / "data" / "mean_colour_logits.onnx"
    assert [voter.part for voter in load_voters(onnx)] == ["body"]
