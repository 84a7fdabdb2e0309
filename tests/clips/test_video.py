"""Frames out of videos, and videos of frames."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from smplifyx.clips.video import find_frames, write_frames
from smplifyx.errors import InputError, UsageError
from smplifyx.output.film import n_frames_of, side_by_side, write_video

GREYS = [40, 90, 140, 190, 240]


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "walk.mp4"
    pictures = (np.full((49, 65, 3), grey, np.uint8) for grey in GREYS)
    if write_video(pictures, path, 12.5) == 0:
        pytest.skip("OpenCV cannot write MP4 here")
    return path


def test_a_video_plays_back_at_even_size(video: Path) -> None:
    assert n_frames_of(video) == len(GREYS)
    capture = cv2.VideoCapture(str(video))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(12.5)
    _, picture = capture.read()
    assert picture.shape == (48, 64, 3)


def test_frames_have_the_names_of_openpose_and_are_kept(video: Path, tmp_path: Path) -> None:
    found = write_frames(video, tmp_path / "frames", tmp_path)
    paths = sorted((tmp_path / "frames").glob("*.jpg"))
    assert [path.name for path in paths] == [f"walk_{k:012d}.jpg" for k in range(len(GREYS))]
    assert (found.n_frames, found.fps) == (len(GREYS), pytest.approx(12.5))
    means = [float(np.asarray(cv2.imread(str(path))).mean()) for path in paths]
    assert means == pytest.approx(GREYS, abs=4)
    times = [path.stat().st_mtime_ns for path in paths]
    assert write_frames(video, tmp_path / "frames", tmp_path) == found
    assert [path.stat().st_mtime_ns for path in paths] == times
    paths[2].unlink()
    assert find_frames(video, tmp_path / "frames") is None
    write_frames(video, tmp_path / "frames", tmp_path)
    assert paths[2].is_file() and find_frames(video, tmp_path / "frames") == found
    assert sorted(path.name for path in tmp_path.iterdir()) == ["frames", "walk.mp4"]


@pytest.mark.parametrize("name", ["mine.jpg", "cam1/mine.jpg", "frames.json"])
def test_photos_of_others_are_not_touched(video: Path, tmp_path: Path, name: str) -> None:
    mine = tmp_path / "frames" / name
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"my photo")
    with pytest.raises(UsageError, match="files of others"):
        write_frames(video, tmp_path / "frames", tmp_path)
    assert mine.read_bytes() == b"my photo"


def test_a_photo_of_others_beside_the_frames_is_not_touched(video: Path, tmp_path: Path) -> None:
    write_frames(video, tmp_path / "frames", tmp_path)
    mine = tmp_path / "frames" / "mine.jpg"
    mine.write_bytes(b"my photo")
    os.utime(video, (0, 0))  # another video now
    with pytest.raises(UsageError, match=r"files of others, mine\.jpg"):
        write_frames(video, tmp_path / "frames", tmp_path)
    assert mine.read_bytes() == b"my photo"


def test_temporary_folders_of_killed_runs_are_removed(video: Path, tmp_path: Path) -> None:
    old, running = tmp_path / ".frames-old", tmp_path / ".frames-running"
    for folder in (old, running):
        folder.mkdir()
    os.utime(old, (0, 0))
    write_frames(video, tmp_path / "frames", tmp_path)
    assert running.is_dir() and not old.exists()


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        write_frames(tmp_path / "none.mp4", tmp_path / "frames", tmp_path)
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(InputError):
        write_frames(tmp_path / "broken.mp4", tmp_path / "frames", tmp_path)


def test_no_pictures_no_frames(tmp_path: Path) -> None:
    assert write_video(iter(()), tmp_path / "empty.mp4", 30.0) == 0


def test_pictures_side_by_side_have_one_height() -> None:
    joined = side_by_side(np.zeros((50, 100, 3), np.uint8), np.full((100, 60, 3), 9, np.uint8))
    assert joined.shape == (100, 260, 3) and (joined[:, 200:] == 9).all() and not joined[:, :200].any()
