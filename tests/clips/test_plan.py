"""The clips of a run, from its arguments."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smplifyx.calibration import read_cameras
from smplifyx.clips.plan import plan_clips
from smplifyx.config import RunOptions
from smplifyx.errors import UsageError
from smplifyx.output.film import write_video

CAMERAS = """
up: y
cameras:
  one: {focal_length: 100, principal_point: [32, 24], R: [0, 0, 0], T: [0, 0, 3]}
  two: {focal_length: 100, principal_point: [32, 24], R: [0, 1.57, 0], T: [0, 0, 3]}
"""


@pytest.fixture
def run(tmp_path: Path) -> RunOptions:
    (tmp_path / "cameras.yaml").write_text(CAMERAS)
    for name, fps in (("one", 20.0), ("two", 20.0), ("slow_one", 20.0), ("slow_two", 10.0)):
        pictures = (np.full((48, 64, 3), 100, np.uint8) for _ in range(2))
        if write_video(pictures, tmp_path / f"{name}.mp4", fps) == 0:
            pytest.skip("OpenCV cannot write MP4 here")
    return RunOptions(output=tmp_path / "out", video=tmp_path / "{view}.mp4", cameras=tmp_path / "cameras.yaml")


def test_a_video_for_each_camera(run: RunOptions) -> None:
    plan = plan_clips(run)
    (clip,) = plan.clips
    assert plan.run.fps == pytest.approx(20.0) and plan.rig is not None and plan.rig.up == "y"
    assert [[shot.stem for shot in row if shot is not None] for row in clip.shots] == [
        [f"one_{k:012d}", f"two_{k:012d}"] for k in range(2)
    ]
    assert len(plan.notes) == 2 and plan.n_photos == 4


def test_a_folder_of_videos_named_after_cameras(run: RunOptions, tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    (tmp_path / "two.mp4").rename(videos / "TWO_walk.MP4")
    (tmp_path / "slow_one.mp4").rename(videos / "other.mp4")
    plan = plan_clips(replace(run, video=videos))
    assert [[shot.stem for shot in row if shot is not None] for row in plan.clips[0].shots] == [
        [f"TWO_walk_{k:012d}"] for k in range(2)
    ]
    assert plan.notes[-1].endswith("no photos of the cameras one")
    (tmp_path / "slow_two.mp4").rename(videos / "two.mp4")
    with pytest.raises(UsageError, match=r"TWO_walk.MP4 and two.mp4 of the camera two"):
        plan_clips(replace(run, video=videos))
    with pytest.raises(UsageError, match="is a folder; expected --cameras too"):
        plan_clips(replace(run, video=videos, cameras=None))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="begins with the name of a camera: one, two"):
        plan_clips(replace(run, video=tmp_path / "empty"))


def test_videos_of_different_rates_need_one(run: RunOptions, tmp_path: Path) -> None:
    slow = replace(run, video=tmp_path / "slow_{view}.mp4")
    with pytest.raises(UsageError, match="found 10, 20; give --fps"):
        plan_clips(slow)
    assert plan_clips(replace(slow, fps=5.0)).run.fps == 5.0


def test_videos_need_the_names_of_cameras(run: RunOptions, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a video for each of 2 cameras"):
        plan_clips(replace(run, video=tmp_path / "one.mp4"))
    with pytest.raises(UsageError, match="expected --cameras too"):
        plan_clips(replace(run, cameras=None))
    with pytest.raises(UsageError, match="--images"):
        plan_clips(replace(run, video=None))


def test_cameras_without_photos_are_named(run: RunOptions, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one_1.jpg").write_bytes(b"")
    plan = plan_clips(replace(run, video=None, images=tmp_path / "photos"))
    assert plan.notes == (f"{run.cameras}: no photos of the cameras two",)


def test_the_example_of_the_documentation_is_a_file_of_cameras(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "sequences.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "cameras.yaml").write_text(example)
    rig = read_cameras(tmp_path / "cameras.yaml")
    (view,) = rig.views
    place = -np.asarray(view.rotation).T @ np.asarray(view.translation)
    assert (rig.up, rig.ground, view.name) == ("z", 0.0, "cam1")
    np.testing.assert_allclose(place, [0.0, -3.5, 1.2], atol=1e-9)
