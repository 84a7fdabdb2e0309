"""Frames and cameras of photos, by the names of files."""

from __future__ import annotations

from pathlib import Path

import pytest

from smplifyx.clips import Clip, list_clips
from smplifyx.errors import UsageError
from smplifyx.tracking import View

VIEWS = (View("cam_1"), View("cam_2"))


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return folder


def keypoints_of(images: Path, folder: Path) -> Path:
    for path in images.rglob("*.jpg"):
        target = folder / path.relative_to(images).parent / f"{path.stem}_keypoints.json"
        touch(target.parent, target.name)
    return folder


def stems(clip: Clip) -> list[list[str]]:
    return [["" if shot is None else shot.stem for shot in row] for row in clip.shots]


def test_frames_come_in_natural_order_with_those_without_keypoints(tmp_path: Path) -> None:
    images = touch(tmp_path / "i", "a_2.jpg", "a_10.jpg", "a_9.jpg")
    keypoints = touch(tmp_path / "k", "a_2_keypoints.json", "a_10_keypoints.json")
    (clip,) = list_clips(images, keypoints, (), tmp_path, True)
    assert clip.name == "" and stems(clip) == [["a_2"], ["a_9"], ["a_10"]]
    assert [row[0] is not None and row[0].keypoints is None for row in clip.shots] == [False, True, False]


def test_names_of_openpose(tmp_path: Path) -> None:
    names = [f"walk_{k:012d}" for k in (0, 1, 2)]
    images = touch(tmp_path / "i", *(f"{name}.png" for name in names))
    keypoints = touch(tmp_path / "k", *(f"{name}_keypoints.json" for name in names))
    (clip,) = list_clips(images, keypoints, (), tmp_path, True)
    assert stems(clip) == [[name] for name in names]


def test_subfolders_are_clips_with_names_of_their_own(tmp_path: Path) -> None:
    images = touch(tmp_path / "i", "run/1.jpg", "run/2.jpg", "walk/walk_1.jpg")
    keypoints = keypoints_of(images, tmp_path / "k")
    run, walk = list_clips(images, keypoints, (), tmp_path, True)
    assert (run.name, stems(run)) == ("run", [["run_1"], ["run_2"]])
    assert (walk.name, stems(walk)) == ("walk", [["walk_1"]])


def check_two_cameras(clips: list[Clip], first: str, second: str) -> None:
    """Frames 5 and 7 by both cameras, frame 6 by the first one alone."""
    (clip,) = clips
    assert [view.name for view in clip.views] == ["cam_1", "cam_2"]
    assert stems(clip) == [[first.format(5), second.format(5)], [first.format(6), ""],
                           [first.format(7), second.format(7)]]  # fmt: skip


def test_names_begin_with_the_camera(tmp_path: Path) -> None:
    images = touch(tmp_path / "i", *(f"cam1_{k}.jpg" for k in (5, 6, 7)), "cam2_5.jpg", "cam2_7.jpg", "cam12_5.jpg")
    keypoints = keypoints_of(images, tmp_path / "k")
    check_two_cameras(list_clips(images, keypoints, VIEWS, tmp_path, True), "cam1_{}", "cam2_{}")


def test_a_folder_for_each_camera(tmp_path: Path) -> None:
    images = touch(tmp_path / "i", *(f"cam1/{k}.jpg" for k in (5, 6, 7)), "cam2/5.jpg", "cam2/7.jpg")
    keypoints = keypoints_of(images, tmp_path / "k")
    check_two_cameras(list_clips(images, keypoints, VIEWS, tmp_path, True), "cam_1_{}", "cam_2_{}")
    found = list_clips(images, None, VIEWS, tmp_path / "d", True)[0].shots[0][1]
    assert found is not None and found.keypoints == tmp_path / "d" / "cam2" / "5_keypoints.json"


def test_a_pattern_with_the_name_of_the_camera(tmp_path: Path) -> None:
    images = touch(tmp_path / "i", *(f"{k}_cam_1.jpg" for k in (5, 6, 7)), "5_cam_2.jpg", "7_cam_2.jpg")
    keypoints = keypoints_of(images, tmp_path / "k")
    clips = list_clips(images / "*_{view}.jpg", keypoints, VIEWS, tmp_path, True)
    assert [[bool(stem) for stem in row] for row in stems(clips[0])] == [[True, True], [True, False], [True, True]]
    folders = touch(tmp_path / "j", *(f"cam_{v}/x/{k}.jpg" for v in (1, 2) for k in (1, 2)))
    clips = list_clips(folders / "{view}" / "x", None, VIEWS, tmp_path, True)
    assert stems(clips[0]) == [["cam_1_1", "cam_2_1"], ["cam_1_2", "cam_2_2"]]


@pytest.mark.parametrize("names", [("cam_1", "cam_2"), ("cam1_IMG12", "cam2_IMG45"), ("cam1_x", "cam2_y")])
def test_one_photo_a_camera_is_one_instant(tmp_path: Path, names: tuple[str, str]) -> None:
    images = touch(tmp_path / "i", *(f"{name}.jpg" for name in names))
    (clip,) = list_clips(images, None, VIEWS, tmp_path, False)
    assert clip.name == "" and stems(clip) == [list(names)]


def test_frames_that_look_like_names_of_cameras(tmp_path: Path) -> None:
    views = [View("00"), View("01")]
    names = [f"0{v}/{k:06d}.jpg" for v in (0, 1) for k in (0, 1, 100, 101) if (v, k) != (1, 0)]
    (clip,) = list_clips(touch(tmp_path / "i", *names), None, views, tmp_path, True)
    assert stems(clip) == [["00_000000", ""], *([f"00_{k:06d}", f"01_{k:06d}"] for k in (1, 100, 101))]
    names = [f"0{v}/0{k}.jpg" for v in (0, 1) for k in (0, 1, 2) if (v, k) != (0, 1)]
    (clip,) = list_clips(touch(tmp_path / "j", *names), None, views, tmp_path, True)
    assert [[bool(stem) for stem in row] for row in stems(clip)] == [[True, True], [False, True], [True, True]]
    assert len({stem for row in stems(clip) for stem in row if stem}) == 5


def test_cameras_that_number_their_photos_each_for_itself(tmp_path: Path) -> None:
    images = touch(
        tmp_path / "i", *(f"cam1/A_{k}.jpg" for k in (8, 9, 10)), *(f"cam2/B_{k}.jpg" for k in (97, 98, 99))
    )
    (clip,) = list_clips(images, None, VIEWS, tmp_path, True)
    assert stems(clip) == [[f"cam_1_A_{k}", f"cam_2_B_{k + 89}"] for k in (8, 9, 10)]


def test_views_of_several_instants_are_clips_of_one_frame(tmp_path: Path) -> None:
    images = touch(tmp_path / "i", *(f"cam{v}_{k:04d}.jpg" for v in (1, 2) for k in (0, 40)))
    clips = list_clips(images, None, VIEWS, tmp_path, False)
    assert [(clip.name, len(clip.shots)) for clip in clips] == [("0000", 1), ("0040", 1)]


def test_cameras_without_photos_are_left_out(tmp_path: Path) -> None:
    images, folders = touch(tmp_path / "i", "cam1_1.jpg", "other.jpg"), touch(tmp_path / "j", "cam1/1.jpg")
    for call, stem in ((images, "cam1_1"), (folders, "cam_1_1"), (folders / "cam{view}", "1")):
        views = [View("1"), View("2")] if "{view}" in str(call) else VIEWS
        found = list_clips(call, None, views, tmp_path, True)
        assert [view.name for view in found[0].views] == [views[0].name]
        assert stems(found[0]) == [[stem]]


@pytest.mark.parametrize("path", ["i", "i/{view}_*.jpg", "i/{view}", "none/{view}*.jpg"])
def test_photos_of_no_camera_are_an_error_of_the_call(tmp_path: Path, path: str) -> None:
    touch(tmp_path / "i", "other.jpg")
    with pytest.raises(UsageError, match="belongs to a camera"):
        list_clips(tmp_path / path, None, VIEWS, tmp_path, True)


def test_photos_without_any_keypoints_are_an_error_of_the_call(tmp_path: Path) -> None:
    images, keypoints = touch(tmp_path / "i", "a.jpg"), touch(tmp_path / "k", "b_keypoints.json")
    with pytest.raises(UsageError, match="has a keypoint file in"):
        list_clips(images, keypoints, (), tmp_path, True)


@pytest.mark.parametrize("names", [("take/1_0001.jpg", "take_1/0001.jpg"), ("walk/walk_1.jpg", "walk/1.jpg")])
def test_photos_of_one_name_in_the_output_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    with pytest.raises(UsageError) as error:
        list_clips(touch(tmp_path / "i", *names), None, (), tmp_path, True)
    assert all(str(tmp_path / "i" / name) in str(error.value) for name in names)


def test_a_photo_of_two_cameras_is_refused(tmp_path: Path) -> None:
    images = touch(tmp_path / "i", "cam_1_1.jpg")
    with pytest.raises(UsageError, match=r"cam_1_1\.jpg belongs to two cameras"):
        list_clips(images, None, [View("cam"), View("cam_1")], tmp_path, True)


def test_cameras_whose_frames_cannot_be_matched_are_refused(tmp_path: Path) -> None:
    repeated = touch(tmp_path / "i", "cam1_a_1.jpg", "cam1_b_1.jpg", "cam2_1.jpg")
    lacking = touch(tmp_path / "j", "cam1_left.jpg", "cam1_right.jpg", "cam2_left.jpg")
    for images, name in ((repeated, "cam1_a_1"), (lacking, "cam1_left")):
        with pytest.raises(UsageError, match=f"'{name}' has no number of its own; .* found cam_1 2, cam_2 1"):
            list_clips(images, None, VIEWS, tmp_path, True)
