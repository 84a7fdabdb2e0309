"""Keypoint files of public bug reports, read as for a fit: the people and the messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from smplifyx.keypoints import Loaded, load_pairs, merge_loaded, pair_folder, unpaired

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the public cases are not in the repository")

#: Folder, layouts of the files, number of people, their flags (of the person of each photo in order of names).
READ: list[tuple[str, set[str], int, list[tuple[str, ...]]]] = [
    ("01_comfyui_dwpose_list/in/fractions", {"coco_18"}, 1, [()]),
    ("01_comfyui_dwpose_list/in/object", {"coco_18"}, 1, [()]),
    ("01_comfyui_dwpose_list/in/pixels", {"coco_18"}, 1, [()]),
    ("02_null_people_slots/in", {"body_25"}, 3, [()] * 3),
    ("03_keypoints_at_half_size/in", {"body_25"}, 3, [("size_uncertain",)] * 3),
    ("04_exif_raw_pixels/in/raw", {"body_25"}, 1, [("frame_turned",)]),
    ("04_exif_raw_pixels/in/raw_inside", {"body_25"}, 1, [("frame_uncertain",)]),
    ("04_exif_raw_pixels/in/upright", {"body_25"}, 1, [()]),
    ("09_utf16_json/in", {"body_25"}, 1, [()]),
    ("12_rendered_beside_photos/in/data", {"body_25"}, 2, [()] * 2),
    ("13_person_found_twice/in", {"body_25"}, 1, [("person_found_twice",)]),
    ("13_person_found_twice/in/part", {"body_25"}, 1, [("person_found_twice",)]),
    ("36_one_hand_in_both_lists/in", {"body_25"}, 4, [("hand_dropped",), (), ("hand_dropped",), ("hand_dropped",)]),
    ("37_neck_at_the_nose/in", {"body_25"}, 2, [("point_replaced",), ()]),
]


def loaded(folder: Path) -> Loaded:
    images, keypoints = folder / "images", folder / "keypoints"
    if not images.is_dir():
        images = keypoints = folder
    pairing = pair_folder(images, keypoints)
    return merge_loaded([load_pairs(pairing.pairs), unpaired(pairing, keypoints)])


@pytest.mark.parametrize(("folder", "layouts", "n_people", "flags"), READ, ids=[case[0] for case in READ])
def test_people_and_flags(folder: str, layouts: set[str], n_people: int, flags: list[tuple[str, ...]]) -> None:
    found = loaded(CASES / folder)
    assert found.failures == ()
    assert {layout for _, layout in found.kinds} == layouts
    assert len(found.observations) == n_people
    by_photo = sorted(found.observations, key=lambda one: one.stem)
    assert [one.flags for one in by_photo] == flags


def test_lists_of_every_length_are_read() -> None:
    layouts = {layout for _, layout in loaded(CASES / "07_list_shapes" / "in").kinds}
    assert layouts == {"halpe_26", "body_25", "coco_wholebody_133", "coco_18"}


def test_files_of_other_detectors_are_named() -> None:
    found = loaded(CASES / "08_other_detectors" / "in")
    assert found.failures == ()
    assert {name for name, _ in found.kinds} == {"AlphaPose cmu", "AlphaPose", "OpenPifPaf", "MMPose"}


def test_frames_without_keypoints_name_the_spare_files() -> None:
    folder = CASES / "11_video_frame_names" / "in"
    first = unpaired(pair_folder(folder / "frames", folder / "keypoints"), folder / "keypoints").failures[0]
    assert "keypoint files without a photo: clip_000000000000_keypoints.json" in str(first)
    dots = folder / "dots"
    assert len(pair_folder(dots / "images", dots / "keypoints").pairs) == 2
