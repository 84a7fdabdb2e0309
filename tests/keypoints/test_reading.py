from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from smplifyx.errors import InputError
from smplifyx.keypoints.layouts import layout_named
from smplifyx.keypoints.reading import read_keypoint_file
from smplifyx.skeleton import (
    BODY_KEYPOINT_NAMES,
    CONTOUR_KEYPOINTS,
    FACE_KEYPOINTS,
    LEFT_HAND_KEYPOINTS,
    RIGHT_HAND_KEYPOINTS,
)

from .conftest import standing_person

Writer = Callable[..., Path]


def index(name: str) -> int:
    return BODY_KEYPOINT_NAMES.index(name)


def numbered(n: int, start: float) -> list[float]:
    return [value for k in range(n) for value in (start + k, start + k + 0.5, 0.5)]


def test_every_list_lands_in_its_place(write_people: Writer) -> None:
    person = {
        "person_id": [-1],
        "pose_keypoints_2d": standing_person().ravel().tolist(),
        "hand_left_keypoints_2d": numbered(21, 1000),
        "hand_right_keypoints_2d": numbered(21, 2000),
        "face_keypoints_2d": numbered(70, 3000),
        "gender_pd": "female",
    }
    (read,) = read_keypoint_file(write_people(person)).people
    assert read.keypoints.shape == (135, 3) and read.keypoints.dtype == np.float32
    np.testing.assert_allclose(read.keypoints[:25], standing_person(), rtol=1e-6)
    np.testing.assert_array_equal(read.keypoints[LEFT_HAND_KEYPOINTS, 0], 1000 + np.arange(21))
    np.testing.assert_array_equal(read.keypoints[RIGHT_HAND_KEYPOINTS, 0], 2000 + np.arange(21))
    np.testing.assert_array_equal(read.keypoints[FACE_KEYPOINTS, 0], 3000 + np.arange(17, 68))
    np.testing.assert_array_equal(read.keypoints[CONTOUR_KEYPOINTS, 0], 3000 + np.arange(17))
    assert read.gender == "female" and read.warnings == ()


def test_face_of_68_points_equals_that_of_70(write_people: Writer) -> None:
    body = standing_person().ravel().tolist()
    short = {"pose_keypoints_2d": body, "face_keypoints_2d": numbered(68, 300)}
    long = {"pose_keypoints_2d": body, "face_keypoints_2d": numbered(70, 300)}
    a, b = read_keypoint_file(write_people(short, long)).people
    np.testing.assert_array_equal(a.keypoints, b.keypoints)


def test_absent_empty_null_and_zero_lists_are_unseen(write_people: Writer) -> None:
    body = standing_person().ravel().tolist()
    people = [
        {"pose_keypoints_2d": body},
        {"pose_keypoints_2d": body, "hand_left_keypoints_2d": [], "face_keypoints_2d": None},
        {"pose_keypoints_2d": body, "hand_left_keypoints_2d": [0] * 63, "face_keypoints_2d": [0] * 210},
        {"pose_keypoints": body},
    ]
    for person in read_keypoint_file(write_people(*people)).people:
        assert (person.keypoints[:25, 2] > 0).all()
        assert not person.keypoints[25:].any()


def test_coco_17_gets_neck_and_mid_hip(write_people: Writer) -> None:
    order = (
        "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow left_wrist"
    )
    order += " right_wrist left_hip right_hip left_knee right_knee left_ankle right_ankle"
    body = standing_person()
    points = np.array([body[index(name)] for name in order.split()])
    points[5, 2] = 0.4
    points[12] = 0
    (person,) = read_keypoint_file(write_people(points)).people
    for name in set(order.split()) - {"right_hip", "left_shoulder"}:
        np.testing.assert_allclose(person.keypoints[index(name)], body[index(name)], rtol=1e-6)
    np.testing.assert_allclose(person.keypoints[index("neck")], [100, 56, 0.5 * 0.4], rtol=1e-5)
    assert person.keypoints[index("mid_hip"), 2] == 0, "one hip alone does not give the middle"
    assert not person.keypoints[19:25].any()


def test_coco_18_keeps_its_own_neck(write_people: Writer) -> None:
    body = standing_person()
    points = np.delete(body, [8, *range(19, 25)], axis=0)
    points[1, 1] += 7
    (person,) = read_keypoint_file(write_people({"pose_keypoints": points.ravel().tolist()}, version=1.0)).people
    assert person.keypoints[index("neck"), 1] == pytest.approx(body[1, 1] + 7)
    np.testing.assert_allclose(person.keypoints[index("mid_hip")], body[8] * [1, 1, 0.5], rtol=1e-6)
    np.testing.assert_allclose(person.keypoints[index("left_ear")], body[index("left_ear")], rtol=1e-6)


def test_nan_infinite_null_and_huge_entries_count_as_unseen(write_people: Writer) -> None:
    values = standing_person().ravel().tolist()
    values[0], values[4], values[8], values[9] = float("nan"), float("inf"), None, 10**400
    (person,) = read_keypoint_file(write_people({"pose_keypoints_2d": values})).people
    assert not person.keypoints[:4].any() and (person.keypoints[4:25, 2] > 0).all()
    assert np.isfinite(person.keypoints).all()
    assert person.warnings[0].endswith("unseen: 4")


def test_confidences_stay_between_0_and_1(write_people: Writer) -> None:
    body = standing_person()
    body[0, 2], body[1, 2], body[2, 2] = 1.00587, -0.2, 87
    body[3] = (0, 0, 1)
    (person,) = read_keypoint_file(write_people(body)).people
    np.testing.assert_array_equal(person.keypoints[:3, 2], [1, 0, 1])
    assert not person.keypoints[1].any() and not person.keypoints[3].any()
    assert any("87" in warning for warning in person.warnings)


@pytest.mark.parametrize("scale", ["0 to 1", "-1 to 1"])
def test_fractions_of_the_image_are_refused(write_people: Writer, scale: str) -> None:
    body = standing_person()
    body[:, :2] /= 300
    if scale == "-1 to 1":
        body[:, :2] = 2 * body[:, :2] - 1
    with pytest.raises(InputError, match="run OpenPose with --keypoint_scale 0"):
        read_keypoint_file(write_people(body, body))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "not complete JSON"),
        ('{"version": 1.3, "people": [{"pose_keypoints_2d": [1, 2', "not complete JSON"),
        ("[1, 2]", "holds a list"),
        ("7", "holds a number"),
        ('{"version": 1.3}', "people: is missing"),
        ('{"people": {"0": {}}}', "people: is an object"),
        ("[" * 100_000, "cannot be parsed"),
    ],
)
def test_files_of_another_kind_are_refused(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "x_keypoints.json"
    path.write_text(text)
    with pytest.raises(InputError, match=expected) as caught:
        read_keypoint_file(path)
    assert caught.value.path == path


def test_binary_absent_and_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b"\xff\xfe\x00\x80")
    for name in ("x.json", "absent.json", "."):
        with pytest.raises(InputError):
            read_keypoint_file(tmp_path / name)


@pytest.mark.parametrize(
    ("person", "field", "expected"),
    [
        ({"pose_keypoints_2d": [1.0] * 45}, "people[0].pose_keypoints_2d", "has 45 numbers; expected 75 (25 points)"),
        ({"hand_left_keypoints_2d": [1.0] * 60}, "people[0].hand_left_keypoints_2d", "expected 63 (21 points)"),
        ({"pose_keypoints_2d": ["1"] * 75}, "people[0].pose_keypoints_2d[0]", "is text; expected a number"),
        ({"pose_keypoints_2d": {"0": 1}}, "people[0].pose_keypoints_2d", "expected a list"),
        ({"joints": [1, 2, 3]}, "people[0]", "has no keypoint list"),
        ([1, 2, 3], "people[0]", "is a list; expected an object"),
        (7, "people[0]", "is a number"),
    ],
)
def test_a_bad_person_does_not_cost_the_others(
    write_people: Writer, person: object, field: str, expected: str
) -> None:
    file = read_keypoint_file(write_people(person, standing_person()))
    assert [p.index for p in file.people] == [1]
    (failure,) = file.failures
    assert failure.field == field and expected in failure.problem


def test_a_file_without_people_is_fine(write_people: Writer, tmp_path: Path) -> None:
    assert read_keypoint_file(write_people()).people == ()
    marked = tmp_path / "bom.json"
    marked.write_bytes(b"\xef\xbb\xbf" + json.dumps({"people": []}).encode())
    assert read_keypoint_file(marked).people == ()


def test_gender_labels(write_people: Writer) -> None:
    body = {"pose_keypoints_2d": standing_person().ravel().tolist()}
    people = [
        body | {"gender_gt": "Male", "gender_pd": "female"},
        body | {"gender_gt": "", "gender_pd": "neutral"},
        body | {"gender_gt": "unknown", "gender_pd": "female"},
        body | {"gender_pd": 3},
    ]
    read = read_keypoint_file(write_people(*people)).people
    assert [person.gender for person in read] == ["male", "neutral", "female", None]
    assert ["unknown" in " ".join(person.warnings) for person in read] == [False, False, True, False]


def test_body_25b_is_recognised(write_people: Writer) -> None:
    """The same person in both orders is read alike."""
    ordered = standing_person()
    points = dict(zip(BODY_KEYPOINT_NAMES, ordered, strict=True))
    neck, nose = points["neck"], points["nose"]
    points |= {"upper_neck": (neck + nose) / 2, "head_top": 2.2 * nose - 1.2 * neck}
    native = np.stack([points[name] for name in layout_named("body_25b").points])
    found = read_keypoint_file(write_people(native, name="native_keypoints.json"))
    read = read_keypoint_file(write_people(ordered))
    assert (found.layout, read.layout) == ("body_25b", "body_25")
    np.testing.assert_allclose(found.people[0].keypoints[:, :2], read.people[0].keypoints[:, :2], atol=1e-3)


def test_body_25b_is_recognised_on_real_people(real: Path) -> None:
    """The same detections in both orders: the longer bones of the wrong one tell."""
    folder = real / "pose2sim_single"
    files = sorted((folder / "keypoints_body25b_native").glob("*.json"))
    assert files
    for path in files:
        native, ordered = read_keypoint_file(path), read_keypoint_file(folder / "keypoints" / path.name)
        assert (native.layout, ordered.layout) == ("body_25b", "body_25")
        assert len(ordered.people) == len(native.people) > 0
        knees = [index("left_knee"), index("right_knee")]
        for one, other in zip(native.people, ordered.people, strict=True):
            np.testing.assert_allclose(one.keypoints[knees], other.keypoints[knees], atol=1e-3)


def test_few_points_of_a_body_that_is_cut_off_are_no_other_order(write_people: Writer) -> None:
    """A detector's scatter makes arms of any length; eight points do not tell BODY_25 from BODY_25B."""
    seen = {"neck": (163, 122), "right_shoulder": (111, 117), "right_elbow": (53, 116), "right_wrist": (158, 76)}
    seen |= {"left_shoulder": (228, 131), "left_elbow": (235, 210), "left_wrist": (192, 117), "right_eye": (148, 48)}
    points = np.zeros((25, 3), np.float32)
    for name, point in seen.items():
        points[index(name)] = (*point, 0.9)
    read = read_keypoint_file(write_people({"pose_keypoints_2d": points.ravel().tolist()}))
    assert len(read.people) == 1 and read.failures == ()


def test_old_files_of_other_people(real: Path) -> None:
    old = read_keypoint_file(real / "_json_only" / "coco18_v1.1_issue_OpenPoseRig1_keypoints.json")
    assert (old.people[0].keypoints[:25, 2] > 0).sum() >= 15
    assert read_keypoint_file(real / "_json_only" / "empty_people_v1.3_pose2sim_keypoints.json").people == ()
    behind = read_keypoint_file(real / "hmr_coco18_v1.0" / "keypoints" / "random_keypoints.json").people[0].keypoints
    assert behind[index("nose"), 2] == 0 and behind[:, 2].max() == 1
    # Seen from behind the right shoulder is on the right of the picture.
    assert behind[index("right_shoulder"), 0] > behind[index("left_shoulder"), 0]
