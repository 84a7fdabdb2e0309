"""The file formats of other detectors, each with a small file of our own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smplifyx.errors import InputError
from smplifyx.keypoints import load_pairs, pair_folder, read_keypoint_file, read_keypoints
from smplifyx.keypoints.layouts import layout_named
from smplifyx.skeleton import LEFT_HAND_KEYPOINTS, keypoint_index

from .conftest import standing_person

Writer = Callable[..., Path]
SIZE = (200, 260)


def canonical() -> np.ndarray:
    keypoints = np.zeros((135, 3), np.float32)
    keypoints[:25] = standing_person()
    hand = np.column_stack([np.linspace(128, 140, 21), np.linspace(120, 140, 21), np.full(21, 0.6)])
    keypoints[LEFT_HAND_KEYPOINTS] = hand
    return keypoints


def in_layout(name: str) -> np.ndarray:
    return layout_named(name).from_canonical(canonical())


def flat(name: str) -> list[float]:
    return in_layout(name).ravel().tolist()


def written(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def mmpose(name: str) -> dict[str, Any]:
    points = in_layout(name)
    return {"keypoints": points[:, :2].tolist(), "keypoint_scores": points[:, 2].tolist(), "bbox": [[1, 2, 3, 4]]}


def landmarks(points: np.ndarray) -> list[dict[str, float]]:
    return [
        {"x": float(x / SIZE[0]), "y": float(y / SIZE[1]), "z": 0.0, "visibility": float(c), "presence": 1.0}
        for x, y, c in points
    ]


HALPE_NAMES = {str(k): name for k, name in enumerate(layout_named("halpe_26").points)}
FORMATS: dict[str, tuple[Any, str, str]] = {
    "MMPose list": ([mmpose("coco_wholebody_133")], "MMPose", "coco_wholebody_133"),
    "MMPose with names": (
        {"meta_info": {"keypoint_id2name": HALPE_NAMES}, "instance_info": [mmpose("halpe_26")]},
        "MMPose",
        "names in the file",
    ),
    "MMPose one frame": (
        {"meta_info": {}, "instance_info": [{"frame_id": 1, "instances": [mmpose("coco_17")]}]},
        "MMPose",
        "coco_17",
    ),
    "Sapiens": ({"instance_info": [mmpose("sapiens_308")]}, "MMPose", "sapiens_308"),
    "AlphaPose": ([{"image_id": "a.png", "category_id": 1, "keypoints": flat("halpe_26"), "score": 2.9}],
                  "AlphaPose", "halpe_26"),
    "AlphaPose 136": ([{"image_id": "a.png", "keypoints": flat("halpe_136")}], "AlphaPose", "halpe_136"),
    "AlphaPose cmu": ({"version": 0.1, "bodies": [{"joints": flat("coco_18")}]}, "AlphaPose cmu", "coco_18"),
    "AlphaPose open": ({"a.png": {"version": "AlphaPose v0.3", "people": [{"pose_keypoints_2d": flat("coco_18")}]}},
                       "AlphaPose open", "coco_18"),
    "OpenPifPaf": ([{"keypoints": flat("coco_17"), "bbox": [1, 2, 3, 4], "score": 0.8, "category_id": 1}],
                   "OpenPifPaf", "coco_17"),
    "COCO results": ([{"image_id": 7, "category_id": 1, "keypoints": flat("coco_17"), "score": 0.9}],
                     "COCO results", "coco_17"),
    "Ultralytics": ([{"name": "person", "keypoints": {"x": in_layout("coco_17")[:, 0].tolist(),
                      "y": in_layout("coco_17")[:, 1].tolist(), "visible": in_layout("coco_17")[:, 2].tolist()}}],
                    "Ultralytics", "coco_17"),
    "rtmlib": ([mmpose("openpose_134")], "MMPose", "openpose_134"),
    "MediaPipe": ({"pose_landmarks": landmarks(in_layout("mediapipe_33")), "left_hand_landmarks": None},
                  "MediaPipe", "mediapipe_33"),
    "MediaPipe tasks": ({"pose_landmarks": [landmarks(in_layout("mediapipe_33"))]}, "MediaPipe", "mediapipe_33"),
    "nested triples": ({"people": [{"pose_keypoints_2d": in_layout("body_25").tolist()}]}, "OpenPose", "body_25"),
    "ControlNet": ([{"people": [{"pose_keypoints_2d": flat("coco_18"), "hand_left_keypoints_2d": None}],
                     "canvas_width": 200, "canvas_height": 260}], "OpenPose", "coco_18"),
}  # fmt: skip


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_of_each_format(tmp_path: Path, kind: str) -> None:
    content, name, layout = FORMATS[kind]
    path = written(tmp_path / "a.json", content)
    file = read_keypoint_file(path, image=Path("a_0007.png" if "COCO" in kind else "a.png"), image_size=SIZE)
    assert (file.format, file.layout, file.failures) == (name, layout, ())
    (person,) = file.people
    truth = canonical()
    for joint in ("nose", "neck", "left_shoulder", "right_wrist", "mid_hip", "left_knee", "right_ankle"):
        k = keypoint_index(joint)
        np.testing.assert_allclose(person.keypoints[k, :2], truth[k, :2], atol=0.01)
    assert person.keypoints[keypoint_index("left_knee"), 2] == pytest.approx(0.9, abs=1e-4)
    if layout in ("coco_wholebody_133", "halpe_136", "openpose_134"):
        np.testing.assert_allclose(person.keypoints[LEFT_HAND_KEYPOINTS], truth[LEFT_HAND_KEYPOINTS], rtol=1e-5)


@pytest.mark.parametrize(
    "content",
    [
        {"pose_landmarks": [[]]},
        [{"pose_landmarks": landmarks(in_layout("mediapipe_33"))}, {"pose_landmarks": None}],
        [FORMATS["Ultralytics"][0][0], {"name": "dog"}],
        [FORMATS["Ultralytics"][0][0], {"keypoints": {"x": 1, "y": 2, "visible": 3}}],
    ],
)
def test_entries_without_points_stop_no_others(tmp_path: Path, content: object) -> None:
    file = read_keypoint_file(written(tmp_path / "a.json", content), image_size=SIZE)
    seen = [person for person in file.people if person.keypoints[:, 2].any()]
    assert len(seen) == (len(content) > 1)


def test_dwpose_dictionary(tmp_path: Path) -> None:
    points = in_layout("coco_18")
    candidate = points[:, :2] / SIZE
    wrist = candidate[7]
    hand = wrist + np.linspace(0, 0.05, 21)[:, None]
    missing = np.full((21, 2), -1.0)
    subset = [[-1.0 if k == 4 else float(k) for k in range(18)]]
    content = {
        "bodies": {"candidate": candidate.tolist(), "subset": subset},
        "hands": [missing.tolist(), hand.tolist()],
        "faces": [np.full((68, 2), -1.0).tolist()],
    }
    (person,) = read_keypoint_file(written(tmp_path / "a.json", content), image_size=SIZE).people
    assert person.keypoints[keypoint_index("right_wrist"), 2] == 0
    np.testing.assert_allclose(person.keypoints[keypoint_index("left_hand_wrist"), :2], points[7, :2], atol=0.01)
    assert not person.keypoints[67:].any()


def test_yolo_text(tmp_path: Path, write_image: Writer) -> None:
    image = write_image("a.jpg")
    points = in_layout("coco_17") / [*SIZE, 1]
    points[3] = 0
    rows = [
        " ".join(map(str, [0, 0.5, 0.5, 0.2, 0.8, *points.ravel()])),
        " ".join(map(str, [0, 0.5, 0.5, 0.2, 0.8, *points.ravel(), 0.77])),
        " ".join(map(str, [0, 0.5, 0.5, 0.2, 0.8, *points[:, :2].ravel()])),
        "0 0.5 0.5",
    ]
    path = written(tmp_path / "a.txt", "\n".join(rows) + "\n")
    file = read_keypoint_file(path, image=image, image_size=SIZE)
    assert file.format == "YOLO-pose" and file.layout == "coco_17" and len(file.people) == 3
    for person in file.people:
        np.testing.assert_allclose(person.keypoints[keypoint_index("left_knee"), :2], [112, 164], atol=0.01)
        assert person.keypoints[keypoint_index("left_ear"), 2] == 0
    assert "line 4" in str(file.failures[0])
    path.write_text("\n".join(rows[:3]))
    assert len(read_keypoints(path, image)) == 1, "the doubles are one person"


def test_coco_annotations_of_the_whole_body(tmp_path: Path) -> None:
    whole = in_layout("coco_wholebody_133")
    whole[:, 2] = np.where(whole[:, 2] > 0, 2, 0)
    whole[9, 2] = 1  # hidden
    parts = np.split(whole, [17, 23, 91, 112])
    names = ("keypoints", "foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")
    person = {name: part.ravel().tolist() for name, part in zip(names, parts, strict=True)}
    content = {
        "images": [{"id": 5, "file_name": "x/a.png", "width": 400, "height": 520}, {"id": 6, "file_name": "b.png"}],
        "annotations": [{"image_id": 5, **person}, {"image_id": 6, "keypoints": [0] * 51, "num_keypoints": 0}],
    }
    path = written(tmp_path / "person_keypoints.json", content)
    file = read_keypoint_file(path, image=Path("a.png"))
    assert (file.layout, file.size) == ("coco_wholebody_133", (400, 520))
    keypoints = file.people[0].keypoints
    assert keypoints[keypoint_index("left_knee"), 2] == 1 and keypoints[keypoint_index("left_wrist"), 2] == 0.5
    # The sizes in the file are twice those of the photo.
    (person,) = read_keypoints(path, image_size=SIZE)
    np.testing.assert_allclose(person.keypoints[keypoint_index("nose"), :2], [50, 17], atol=0.01)
    assert person.flags == ("keypoints_scaled",)


def test_one_file_for_all_photos(tmp_path: Path, write_image: Writer) -> None:
    for name in ("a.png", "b.png", "c.png"):
        write_image(name)
    content = [
        {"image_id": "b.png", "keypoints": flat("coco_17")},
        {"image_id": "a.png", "keypoints": flat("coco_17")},
        {"image_id": "b.png", "keypoints": (in_layout("coco_17") + np.array([40, 0, 0])).ravel().tolist()},
    ]
    folder = tmp_path / "alphapose"
    folder.mkdir()
    path = written(folder / "alphapose-results.json", content)
    for keypoints in (path, folder):
        loaded = load_pairs(pair_folder(tmp_path / "images", keypoints).pairs)
        assert sorted((one.stem, one.person_index) for one in loaded.observations) == [("a", 0), ("b", 0), ("b", 1)]
        assert loaded.failures == () and [one.reason for one in loaded.skipped] == ["no people in the file"]
    (person,) = read_keypoints(path, tmp_path / "images" / "a.png")
    assert person.stem == "a"
    with pytest.raises(InputError, match="is about 2 photos or frames"):
        read_keypoint_file(path)


def test_fractions_of_a_canvas_become_pixels(tmp_path: Path) -> None:
    points = in_layout("coco_18")
    points[:, :2] /= SIZE
    people = [{"pose_keypoints_2d": points.ravel().tolist()}]
    canvas = {"canvas_width": SIZE[0], "canvas_height": SIZE[1]}
    (person,) = read_keypoint_file(written(tmp_path / "a.json", {"people": people, **canvas})).people
    np.testing.assert_allclose(person.keypoints[0, :2], canonical()[0, :2], atol=0.01)
    with pytest.raises(InputError, match="run OpenPose with --keypoint_scale 0"):
        read_keypoint_file(written(tmp_path / "b.json", {"people": people}))


def test_a_canvas_of_another_size_is_scaled(tmp_path: Path, write_image: Writer) -> None:
    image = write_image("a.png", *SIZE)
    body = standing_person() * [0.5, 0.5, 1]
    canvas = {"canvas_width": SIZE[0] // 2, "canvas_height": SIZE[1] // 2}
    people = [{"pose_keypoints_2d": body.ravel().tolist()}]
    (person,) = read_keypoints(written(tmp_path / "a.json", {"people": people, **canvas}), image)
    np.testing.assert_allclose(person.keypoints[:25], standing_person(), rtol=1e-5)
    assert person.flags == ("keypoints_scaled",)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_text_encodings(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(json.dumps({"people": [{"pose_keypoints_2d": flat("body_25")}]}).encode(encoding))
    assert len(read_keypoint_file(path).people) == 1


def test_placeholders_of_absent_people_are_no_failures(tmp_path: Path) -> None:
    content = {"people": [None, {"pose_keypoints_2d": flat("body_25")}, {}, None]}
    file = read_keypoint_file(written(tmp_path / "a.json", content))
    assert [person.index for person in file.people] == [1] and file.failures == ()


def test_points_without_confidences(tmp_path: Path) -> None:
    for name in ("coco_18", "body_25"):
        values = in_layout(name)[:, :2].ravel().tolist()
        file = read_keypoint_file(written(tmp_path / "a.json", {"people": [{"pose_keypoints_2d": values}]}))
        (person,) = file.people
        assert file.layout == name and person.keypoints[0, 2] == 1
        assert "no confidences" in person.warnings[0]


def test_marks_of_points_that_were_not_found(tmp_path: Path) -> None:
    points = in_layout("coco_17")
    points[3:7, :2] = (17, 23)  # four points in one place
    points[9, :2] = -1
    (person,) = read_keypoint_file(written(tmp_path / "a.json", [{"keypoints": points.ravel().tolist()}])).people
    for joint in ("left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_wrist"):
        assert not person.keypoints[keypoint_index(joint)].any()
    assert "4 points lie in one place" in person.warnings[0]


def test_layouts_of_one_length(tmp_path: Path) -> None:
    """Bones tell where enough are seen; where they do not, the layout must be given."""
    points = in_layout("body_25")
    path = written(tmp_path / "a.json", [{"keypoints": points.ravel().tolist()}])
    assert read_keypoint_file(path).layout == "body_25"
    points[5:] = 0
    path = written(tmp_path / "b.json", [{"keypoints": points.ravel().tolist()}])
    with pytest.raises(InputError, match=r"fit several layouts .*give the layout"):
        read_keypoint_file(path)
    assert read_keypoint_file(path, "coco_25").layout == "coco_25"
    problem = read_keypoint_file(path, "coco_17").failures[0].problem
    assert "has 75 numbers" in problem and "51 (17 points)" in problem


def test_a_pointer_of_lfs_and_a_link_to_nothing_are_named(tmp_path: Path) -> None:
    path = written(tmp_path / "a.json", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n")
    with pytest.raises(InputError, match="git lfs pull"):
        read_keypoint_file(path)
    (tmp_path / "b.json").symlink_to("gone.json")
    with pytest.raises(InputError, match=r"is a link to gone\.json, which does not exist"):
        read_keypoint_file(tmp_path / "b.json")


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values in a document; of long lists, of the first ones."""
    children = value.items() if isinstance(value, dict) else enumerate(value[:4]) if isinstance(value, list) else ()
    return [path, *(place for key, child in children for place in places(child, (*path, key)))]


@pytest.mark.parametrize("kind", FORMATS)
def test_odd_values_anywhere_are_errors_of_the_file(tmp_path: Path, kind: str) -> None:
    odd = [None, [], {}, "x", -1, 1e40, float("nan"), True, [1, 2], [[]], {"a": 1}, 10**400, [None]]
    random = np.random.default_rng(len(kind))
    path = tmp_path / "a.json"
    for _ in range(60):
        content = json.loads(json.dumps(FORMATS[kind][0]))
        candidates = places(content)[1:]
        *parents, last = candidates[random.integers(len(candidates))]
        holder = content
        for key in parents:
            holder = holder[key]
        holder[last] = odd[random.integers(len(odd))]
        try:
            people = read_keypoints(written(path, content), image_size=SIZE)
        except InputError as error:
            assert error.path == path
        else:
            assert all(np.isfinite(person.keypoints).all() for person in people)
