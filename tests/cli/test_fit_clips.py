"""``smplifyx fit`` on sequences, videos and calibrated cameras, with few iterations."""

from __future__ import annotations

import csv
import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from scipy.spatial.transform import Rotation

from smplifyx import load_result
from smplifyx.cli.main import main
from smplifyx.clips.writing import ClipWriter
from smplifyx.output import read_summary
from smplifyx.output.film import n_frames_of, write_video
from smplifyx.pipeline import Outcome
from smplifyx.sequence import SequenceFitter, TrackFit
from tests.photo_folders import QUICK, Folders, person
from tests.random_result import random_result
from tests.tracking.walkers import FIGURE, SIZE, cameras, seen


def rows_of(output: Path) -> list[tuple[str, int, int, int, str]]:
    return [(row.stem, row.person, row.frame, row.track, row.view) for row in read_summary(output / "summary.csv")]


def test_a_sequence_is_one_person_with_one_shape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = Folders(tmp_path)
    for k in range(4):
        folders.add(f"f_{k}", [person(2.0 * k)] if k != 2 else [])
    assert folders.fit("--sequence", "--fps", "10", "--gender", "neutral") == 0
    assert "1 track with 4 results fitted" in capsys.readouterr().out
    assert folders.results() == [f"f_{k}/000.npz" for k in range(4)]
    results = [load_result(folders.output / "results" / f"f_{k}" / "000.npz") for k in range(4)]
    assert all(np.array_equal(one.betas, results[0].betas) for one in results)
    assert [(one.frame, one.track) for one in results] == [(k, 0) for k in range(4)]
    assert rows_of(folders.output) == [(f"f_{k}", 0, k, 0, "") for k in range(4)]
    with np.load(folders.output / "tracks" / "000.npz", allow_pickle=False) as track:
        assert track["poses"].shape == (4, 165) and track["trans"].shape == (4, 3)
        assert (str(track["coordinates"]), str(track["up_axis"])) == ("camera", "z")
        assert float(track["mocap_frame_rate"]) == 10.0 and track["bridged"].tolist() == [False, False, True, False]
        assert np.array_equal(track["betas"], results[0].betas)
    with (folders.output / "tracks" / "tracks.csv").open(newline="") as stream:
        (line,) = csv.DictReader(stream)
    assert (line["track"], line["frames"], line["gaps"], line["bridged"]) == ("0", "3", "1", "1")
    assert (folders.output / "tracks" / "animation.glb").stat().st_size > 10000


@pytest.mark.slow
def test_a_finished_clip_is_skipped_and_a_changed_one_fitted_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = Folders(tmp_path)
    for k in range(2):
        folders.add(f"f_{k}", [person()])
    options = ("--sequence", "--gender", "neutral")
    assert folders.fit(*options) == 0
    path = folders.output / "results" / "f_1" / "000.npz"
    written = path.stat().st_mtime_ns
    assert main(["status", str(folders.output)]) == 0
    assert "1 of 1 are done" in capsys.readouterr().out
    assert folders.fit(*options) == 0
    assert path.stat().st_mtime_ns == written and "1 finished clip is skipped" in capsys.readouterr().err
    path.unlink()
    assert main(["status", str(folders.output)]) == 1
    assert folders.fit(*options) == 0 and path.is_file()
    folders.add("f_1", [person(5.0), person(-60.0)])
    folders.add("f_0", [person(5.0), person(-60.0)])
    assert folders.fit(*options) == 0
    assert folders.results() == [f"f_{k}/00{track}.npz" for k in range(2) for track in range(2)]
    for k in range(2):
        folders.add(f"f_{k}", [person(5.0)])
    assert folders.fit(*options) == 0
    assert folders.results() == ["f_0/000.npz", "f_1/000.npz"]
    assert not (folders.output / "tracks" / "001.npz").exists() and len(rows_of(folders.output)) == 2


def write_cameras(folder: Path, up: str = "z") -> Path:
    entries = []
    for view in cameras(2):
        assert view.camera is not None
        entries.append(
            {
                "name": view.name,
                "image_size": list(SIZE),
                "focal_length": list(view.camera.focal_length),
                "principal_point": list(view.camera.center),
                "R": np.asarray(view.rotation).tolist(),
                "T": np.asarray(view.translation).tolist(),
            }
        )
    path = folder / "cameras.yaml"
    path.write_text(yaml.safe_dump({"up": up, "cameras": entries}))
    return path


@pytest.mark.parametrize("is_sequence", [True, False])
def test_several_cameras_share_one_world(
    tmp_path: Path, is_sequence: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("smplifyx.clips.writing._FRAMES_HELD", 1)
    images, keypoints, output = tmp_path / "i", tmp_path / "k", tmp_path / "o"
    images.mkdir()
    keypoints.mkdir()
    for frame in range(2):
        for view in cameras(2):
            points = seen(FIGURE + np.array([0.1 * frame, 0.3, 0.0]), view).keypoints[:25]
            name = f"{view.name}_{frame:04d}"
            cv2.imwrite(str(images / f"{name}.png"), np.full((SIZE[1], SIZE[0], 3), 200, np.uint8))
            people = [{"pose_keypoints_2d": points.ravel().tolist()}]
            (keypoints / f"{name}_keypoints.json").write_text(json.dumps({"version": 1.3, "people": people}))
    command = ["fit", "--images", str(images), "--keypoints", str(keypoints), "--output", str(output), *QUICK]
    command += ["--cameras", str(write_cameras(tmp_path)), "--gender", "neutral"]
    assert main([*command, "--sequence"] if is_sequence else command) == 0
    if not is_sequence:
        assert sorted(path.parent.name for path in output.glob("tracks/*/000.npz")) == ["0000", "0001"]
        return
    printed = capsys.readouterr()
    assert "1 track of 2 cameras with 4 results fitted" in printed.out
    assert "px (most in cam" in printed.err and f"tables of tracks are in {output / 'tracks'}" in printed.err
    assert rows_of(output) == [(f"cam{v}_{k:04d}", 0, k, 0, f"cam{v}") for v in (1, 2) for k in (0, 1)]
    with np.load(output / "tracks" / "000.npz", allow_pickle=False) as track:
        joints, trans, orient = track["joints"], track["trans"], track["root_orient"]
        assert (str(track["coordinates"]), str(track["up_axis"])) == ("world", "z")
    for frame in range(2):
        for view in cameras(2):
            result = load_result(output / "results" / f"{view.name}_{frame:04d}" / "000.npz")
            assert result.view == view.name and result.world_rotation is not None
            world = view.to_world(result.joints.astype(np.float64))
            np.testing.assert_allclose(world, joints[frame], atol=1e-4)
            # AMASS: the body turns about its pelvis at rest, then trans is added.
            rest = result.joints[0] - result.camera_translation
            np.testing.assert_allclose(rest + trans[frame], joints[frame, 0], atol=1e-4)
            turned = Rotation.from_matrix(np.asarray(view.rotation)) * Rotation.from_rotvec(orient[frame])
            np.testing.assert_allclose(
                turned.as_matrix(), Rotation.from_rotvec(result.global_orient).as_matrix(), atol=1e-4
            )


@pytest.mark.slow
def test_a_video_with_keypoints_and_its_overlay(tmp_path: Path) -> None:
    video, keypoints, output = tmp_path / "walk.mp4", tmp_path / "k", tmp_path / "o"
    keypoints.mkdir()
    if write_video((np.full((300, 200, 3), 120, np.uint8) for _ in range(3)), video, 20.0) == 0:
        pytest.skip("OpenCV cannot write MP4 here")
    for k in range(3):
        text = json.dumps({"version": 1.3, "people": [person(float(k))]})
        (keypoints / f"walk_{k:012d}_keypoints.json").write_text(text)
    options = [one for one in QUICK if one != "--no-render"]
    command = ["fit", "--video", str(video), "--keypoints", str(keypoints), "--output", str(output), *options]
    assert main([*command, "--gender", "neutral", "--output.side_view", "false"]) == 0
    assert n_frames_of(output / "tracks" / "overlay.mp4") == 3
    assert len(list(output.glob("images/walk_*/000/overlay.jpg"))) == 3
    with np.load(output / "tracks" / "000.npz", allow_pickle=False) as track:
        assert float(track["mocap_frame_rate"]) == 20.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--sequence", "--model", "mano"), "whole body"),
        (("--sequence", "--output.pack", "true"), "--pack"),
        (("--sequence", "--executor", "ray"), "--executor ray: expected photos"),
        (("--sequence", "--min-views", "3"), "--min-views: expected with --cameras"),
        (("--cameras", "none.toml"), "does not exist"),
        (("--sequence", "--height", "20"), "height"),
        (("--video", "walk.mp4"), "photos or a video"),
    ],
)
def test_wrong_calls_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], message: str
) -> None:
    folders = Folders(tmp_path)
    folders.add("a", [person()])
    assert folders.fit(*options) == 2
    assert message in capsys.readouterr().err
    assert not folders.output.exists()


def test_a_broken_keypoint_file_fails_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = Folders(tmp_path)
    for k in range(3):
        folders.add(f"f_{k}", [person()])
    folders.add_keypoints("f_1", "{")
    assert folders.fit("--sequence", "--gender", "neutral") == 1
    assert "f_1_keypoints.json" in capsys.readouterr().err
    assert folders.results() == [f"f_{k}/000.npz" for k in range(3)]


def test_what_is_written_stays_after_an_interrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = Folders(tmp_path)
    for k in range(3):
        folders.add(f"f_{k}", [person()])
    write = ClipWriter._write_photo
    written = []

    def interrupting(writer: ClipWriter, *arguments: Any) -> Outcome:
        written.append(write(writer, *arguments))
        if len(written) == 2:
            signal.raise_signal(signal.SIGINT)
        return written[-1]

    monkeypatch.setattr(ClipWriter, "_write_photo", interrupting)
    assert folders.fit("--sequence", "--gender", "neutral") == 130
    assert "the same command continues" in capsys.readouterr().err
    assert folders.results() == ["f_0/000.npz", "f_1/000.npz"] and len(rows_of(folders.output)) == 2
    monkeypatch.undo()
    assert folders.fit("--sequence", "--gender", "neutral") == 0
    assert len(folders.results()) == 3 and (folders.output / "tracks" / "000.npz").is_file()


def test_a_signal_gives_up_a_fit_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = Folders(tmp_path)
    folders.add("f_0", [person()])
    reached = []

    def endless(fitter: SequenceFitter, *arguments: Any) -> None:
        signal.raise_signal(signal.SIGTERM)
        reached.append("after the signal")

    monkeypatch.setattr(SequenceFitter, "fit", endless)
    assert folders.fit("--sequence", "--gender", "neutral") == 143
    assert not reached and not folders.results()


@pytest.mark.slow
def test_a_broken_photo_is_a_gap_and_fails_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = Folders(tmp_path)
    for k in range(3):
        folders.add(f"f_{k}", [person()])
    (folders.images / "f_1.png").write_bytes(b"no photo")
    options = [one for one in QUICK if one != "--no-render"]
    assert main(folders.argv(*options, "--sequence", "--gender", "neutral", "--output.side_view", "false")) == 1
    assert "f_1.png" in capsys.readouterr().err
    assert folders.results() == [f"f_{k}/000.npz" for k in range(3)]
    assert "bridged" in load_result(folders.output / "results" / "f_1" / "000.npz").flags
    assert [path.parent.parent.name for path in sorted(folders.output.glob("images/*/000/overlay.jpg"))] == [
        "f_0",
        "f_2",
    ]
    assert n_frames_of(folders.output / "tracks" / "overlay.mp4") in (0, 3)


def test_clips_in_subfolders_have_folders_of_their_own(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    for clip in ("run", "walk"):
        for k in range(2):
            folders.add(f"{k}", [person(float(k))])
            for folder, name in ((folders.images, f"{k}.png"), (folders.keypoints, f"{k}_keypoints.json")):
                (folder / clip).mkdir(exist_ok=True)
                (folder / name).rename(folder / clip / name)
    assert folders.fit("--sequence", "--gender", "neutral") == 0
    assert folders.results() == [f"{clip}_{k}/000.npz" for clip in ("run", "walk") for k in range(2)]
    assert sorted(path.parent.name for path in folders.output.glob("tracks/*/000.npz")) == ["run", "walk"]


@pytest.mark.parametrize("is_of_a_clip", [False, True])
def test_a_clip_does_not_replace_results_of_other_fits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], is_of_a_clip: bool
) -> None:
    folders = Folders(tmp_path)
    folders.add("f_0", [person()])
    other = tmp_path / "f_0.png"
    other.write_bytes(b"")
    stored = random_result()
    stored = replace(stored, track=0, image_path=str(other)) if is_of_a_clip else replace(stored, image_path="")
    path = folders.output / "results" / "f_0" / "000.npz"
    path.parent.mkdir(parents=True)
    stored.save(path)
    written = path.read_bytes()
    assert folders.fit("--sequence", "--gender", "neutral") == 1
    problem = f"another photo of this name, {other}" if is_of_a_clip else f"{path}: is a fit of a single photo"
    assert problem in capsys.readouterr().err and path.read_bytes() == written
    if is_of_a_clip:
        assert folders.fit("--sequence", "--gender", "neutral", "--overwrite") == 0
        assert load_result(path).image_path == str(folders.images / "f_0.png")


def test_photos_over_a_sequence_are_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = Folders(tmp_path)
    (folders.output / "tracks").mkdir(parents=True)
    assert folders.fit() == 2  # no photo
    assert f"{folders.output / 'tracks'} is of an earlier fit of a sequence" in capsys.readouterr().err


def test_a_packed_clip_is_finished_and_is_not_fitted_beside_its_archives(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = Folders(tmp_path)
    folders.add("f_0", [person()])
    options = ("--sequence", "--gender", "neutral")
    assert folders.fit(*options) == 0 and main(["pack", str(folders.output)]) == 0
    assert not folders.results() and main(["status", str(folders.output)]) == 0
    assert folders.fit(*options) == 0
    assert "1 finished clip is skipped" in capsys.readouterr().err
    assert folders.fit(*options, "--overwrite") == 2
    assert f"smplifyx unpack {folders.output}" in capsys.readouterr().err and not folders.results()


@pytest.mark.parametrize(
    "option", [("--fps", "25"), ("--height", "1.8"), ("--min-views", "3"), ("--min-frames", "2"), ("--max-gap", "2"),
               ("--camera-unit", "0.001")]
)  # fmt: skip
def test_options_of_sequences_need_a_sequence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: tuple[str, str]
) -> None:
    folders = Folders(tmp_path)
    folders.add("a", [person()])
    assert folders.fit(*option) == 2
    assert f"{option[0]}: expected with --" in capsys.readouterr().err


def test_workers_of_a_sequence_are_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = Folders(tmp_path)
    assert folders.fit("--sequence", "--workers", "2") == 2
    assert "--workers 2: tracks are fitted in one process" in capsys.readouterr().err


def test_a_frame_that_fails_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = Folders(tmp_path)
    for k in range(3):
        folders.add(f"f_{k}", [person()])
    fit = SequenceFitter.fit

    def failing(fitter: SequenceFitter, *arguments: Any) -> list[TrackFit]:
        (found,) = fit(fitter, *arguments)
        lost = found.results[1]
        found.results[1] = replace(lost, status="failed", flags=("not_finite",), joints=lost.joints * np.nan)
        return [found]

    monkeypatch.setattr(SequenceFitter, "fit", failing)
    assert folders.fit("--sequence", "--gender", "neutral") == 1
    assert "track 000: fit failed in 1 of 3 frames, such as 1 (not_finite)" in capsys.readouterr().err
    assert folders.results() == ["f_0/000.npz", "f_2/000.npz"]
    with np.load(folders.output / "tracks" / "000.npz", allow_pickle=False) as track:
        assert track["frames"].tolist() == [0, 2] and len(track["bridged"]) == len(track["observed"]) == 2
        assert all(np.isfinite(track[name]).all() for name in ("poses", "trans", "joints"))
