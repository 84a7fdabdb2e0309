"""The tables of layouts: sizes, places of single points, round trips, left and right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smplifyx.errors import UsageError
from smplifyx.keypoints.layouts import layout_named, layouts, layouts_of_length, named_layout, read_layout
from smplifyx.skeleton import CANONICAL_KEYPOINT_NAMES, MIRRORED_KEYPOINTS, keypoint_index

#: Number of points of each layout, and the places of some of them (from the documentation of each detector).
KNOWN = {
    "body_25": (25, {"neck": 1, "right_wrist": 4, "mid_hip": 8, "left_hip": 12, "left_ear": 18, "right_heel": 24}),
    "body_25b": (25, {"left_eye": 1, "right_wrist": 10, "left_hip": 11, "left_big_toe": 19, "right_heel": 24}),
    "body_135": (135, {"left_hand_thumb1": 25, "left_hand_pinky4": 44, "right_hand_thumb1": 45, "face_0": 65}),
    "coco_17": (17, {"left_eye": 1, "left_shoulder": 5, "right_wrist": 10, "right_ankle": 16}),
    "coco_18": (18, {"neck": 1, "right_shoulder": 2, "right_hip": 8, "left_hip": 11, "right_eye": 14}),
    "coco_25": (25, {"neck": 5, "left_shoulder": 6, "mid_hip": 14, "right_ankle": 18, "left_small_toe": 20}),
    "coco_wholebody_133": (
        133,
        {"left_big_toe": 17, "right_heel": 22, "face_0": 23, "face_67": 90, "left_hand_wrist": 91}
        | {"right_hand_wrist": 112, "right_hand_pinky4": 132},
    ),
    "face_68": (68, {"face_0": 0, "face_30": 30, "face_67": 67}),
    "face_70": (70, {"face_0": 0, "face_67": 67}),
    "halpe_26": (26, {"neck": 18, "mid_hip": 19, "left_big_toe": 20, "right_big_toe": 21, "right_heel": 25}),
    "halpe_136": (136, {"neck": 18, "face_0": 26, "left_hand_wrist": 94, "right_hand_wrist": 115}),
    "hand_21_left": (21, {"left_hand_wrist": 0, "left_hand_index1": 5, "left_hand_pinky4": 20}),
    "hand_21_right": (21, {"right_hand_wrist": 0, "right_hand_thumb4": 4}),
    "mediapipe_33": (33, {"left_eye": 2, "right_eye": 5, "left_wrist": 15, "left_hip": 23, "right_big_toe": 32}),
    "mediapipe_face_468": (468, {}),
    "mediapipe_face_478": (478, {}),
    "mediapipe_holistic_543": (543, {"left_hand_wrist": 501, "right_hand_wrist": 522}),
    "mediapipe_holistic_553": (553, {"left_hand_wrist": 511, "right_hand_wrist": 532}),
    "openpose_134": (134, {"neck": 1, "left_big_toe": 18, "face_0": 24, "left_hand_wrist": 92}),
    "sapiens_308": (
        308,
        {"left_hip": 9, "left_ankle": 13, "right_heel": 20, "right_wrist": 41, "left_wrist": 62}
        | {"right_hand_thumb1": 24, "right_hand_thumb4": 21, "left_hand_pinky1": 61, "face_8": 77},
    ),
}  # fmt: skip


def spread_out(seed: int = 0) -> np.ndarray:
    """Canonical keypoints, all seen, each in a place of its own."""
    random = np.random.default_rng(seed)
    return np.column_stack([random.uniform(10, 900, (135, 2)), np.full(135, 0.8)]).astype(np.float32)


def test_every_layout_is_in_this_table() -> None:
    assert set(layouts()) == set(KNOWN)


@pytest.mark.parametrize("name", KNOWN)
def test_points_are_in_their_places(name: str) -> None:
    layout, (n_points, places) = layout_named(name), KNOWN[name]
    assert layout.n_points == n_points and layout.description
    assert {point: layout.points.index(point) for point in places} == places


@pytest.mark.parametrize("name", KNOWN)
def test_round_trip(name: str) -> None:
    """The points that a layout has come back as they were; those that it derives, with less confidence."""
    layout, keypoints = layout_named(name), spread_out()
    back = layout.to_canonical(layout.from_canonical(keypoints))
    own = [keypoint_index(point) for point in layout.points if point in CANONICAL_KEYPOINT_NAMES]
    np.testing.assert_array_equal(back[own], keypoints[own])
    derived = [keypoint_index(point) for point in layout.derived]
    assert (back[derived, 2] > 0).all() and (back[derived, 2] < keypoints[derived, 2]).all()
    lacking = sorted(set(range(135)) - set(own) - set(derived))
    assert not back[lacking].any()
    assert len(own) + len(derived) >= 17, "a layout that holds nothing"


@pytest.mark.parametrize("name", [name for name in KNOWN if not name.startswith("hand_21")])
def test_left_and_right_are_alike(name: str) -> None:
    """A mirrored person read in the layout is the mirrored reading: no point of one side goes to the other."""
    layout, keypoints = layout_named(name), spread_out()
    order = list(MIRRORED_KEYPOINTS)
    mirrored = layout.to_canonical(layout.from_canonical(keypoints[order]))
    read = layout.to_canonical(layout.from_canonical(keypoints))[order]
    np.testing.assert_array_equal(mirrored[:, 2] > 0, read[:, 2] > 0)
    # Two points of the mesh serve two jaw points; these have no place of their own.
    jaw = [keypoint_index(f"face_{k}") for k in (3, 4, 12, 13)] if "mediapipe" in name else []
    exact = np.setdiff1d(np.arange(135), jaw)
    np.testing.assert_allclose(mirrored[exact], read[exact], rtol=1e-6)


def test_sources_of_both_sides_of_the_face_mesh_mirror_each_other() -> None:
    """Known pairs of the mesh: corners of eyes and mouth, wings of the nose, ends of the brows."""
    derived = layout_named("mediapipe_face_468").derived
    pairs = {33: 263, 133: 362, 61: 291, 98: 327, 107: 336, 160: 387, 158: 385, 153: 380, 144: 373, 39: 269, 84: 314}
    both = pairs | {other: one for one, other in pairs.items()}
    counterparts = {36: 45, 39: 42, 48: 54, 31: 35, 21: 22, 37: 44, 38: 43, 40: 47, 41: 46, 50: 52, 58: 56}
    for one, other in counterparts.items():
        (source,), (mirrored,) = derived[f"face_{one}"].sources, derived[f"face_{other}"].sources
        number = int(source.removeprefix("mesh_"))
        assert number in both or one in (31, 50)
        if number in both:
            assert mirrored == f"mesh_{both[number]}" or one == 31


def test_a_derived_point_needs_all_its_sources() -> None:
    layout = layout_named("coco_17")
    points = layout.from_canonical(spread_out())
    points[5, 2] = 0.4
    read = layout.to_canonical(points)
    neck = read[keypoint_index("neck")]
    np.testing.assert_allclose(neck, [*points[[5, 6], :2].mean(axis=0), 0.2], rtol=1e-6)
    points[5] = 0
    assert not layout.to_canonical(points)[keypoint_index("neck")].any()


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean halpe_26"):
        layout_named("halpe26")
    assert {layout.name for layout in layouts_of_length(25)} == {"body_25", "body_25b", "coco_25"}


def test_names_of_a_file_make_a_layout() -> None:
    names = ["nose", "Left Shoulder", "right_shoulder", "left_hip", "right_hip", "face-0", "left_hand_root",
             "left_forefinger1", "something"]  # fmt: skip
    layout = named_layout(names)
    assert layout.points[1] == "left_shoulder" and layout.points[5] == "face_0"
    assert layout.points[6:8] == ("left_hand_wrist", "left_hand_index1")
    assert set(layout.derived) == {"neck", "mid_hip"}


def test_a_table_with_a_mistake_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    for text in (
        "points: [nose, nose]",
        "points: [nose]\nderived: {neck: {from: [left_shoulder]}}",
        "points: [nose]\nderived: {nose: {from: [nose]}}",
    ):
        path.write_text(f"description: a test\n{text}\n")
        with pytest.raises(ValueError, match="unknown or given twice"):
            read_layout(path)
