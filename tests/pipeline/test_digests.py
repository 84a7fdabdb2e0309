"""Hashes of settings and inputs: what changes a fit changes them, and nothing else does."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smplifyx.camera import Camera
from smplifyx.config import Override, load_run
from smplifyx.files import file_digest
from smplifyx.keypoints import Observation
from smplifyx.keypoints.loading import Judgement
from smplifyx.pipeline.digests import context_digest, file_stamp, input_digest, settings_digest


def _digest(*overrides: tuple[str, str]) -> str:
    return settings_digest(*load_run(None, [Override(*override) for override in overrides]))


@pytest.mark.parametrize(
    ("override", "differs"),
    [
        (("run.batch_size", "4"), False),
        (("run.workers", "4"), False),
        (("run.threads", "2"), False),
        (("output.mesh_format", "none"), False),
        (("people.max_persons", "2"), False),
        (("body.gender", "male"), True),
        (("camera.focal_length", "900"), True),
        (("priors.body_pose", "gmm"), True),
        (("objective.rho", "99"), True),
        (("starts.headings", "2"), True),
        (("stages.4.shape", "9"), True),
        (("optimizer.max_iterations", "9"), True),
        (("collision.enabled", "false"), True),
        (("people.min_confidence", "0.3"), True),
        (("run.dtype", "float64"), True),
    ],
)
def test_settings_that_make_fits_differ(override: tuple[str, str], differs: bool) -> None:
    assert (_digest(override) != _digest()) is differs


def test_a_file_counts_with_its_content(tmp_path: Path) -> None:
    first, second = tmp_path / "first.npz", tmp_path / "second.npz"
    first.write_bytes(b"weights")
    shutil.copy(first, second)
    assert _digest(("priors.vposer", str(first))) == _digest(("priors.vposer", str(second)))
    second.write_bytes(b"other weights")
    assert _digest(("priors.vposer", str(first))) != _digest(("priors.vposer", str(second)))


def test_body_models_count_with_their_content_and_not_their_folder(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "smplx").mkdir(parents=True)
        (tmp_path / name / "smplx" / "SMPLX_NEUTRAL.npz").write_bytes(b"a body")
    first = _digest(("body.models_dir", str(tmp_path / "one")))
    assert first == _digest(("body.models_dir", str(tmp_path / "two"))) != _digest()
    (tmp_path / "two" / "smplx" / "SMPLX_NEUTRAL.npz").write_bytes(b"another body")
    assert first != _digest(("body.models_dir", str(tmp_path / "two")))


def _person() -> Observation:
    keypoints = np.zeros((135, 3), np.float32)
    keypoints[:25] = (100.0, 50.0, 0.9)
    return Observation(keypoints, (640, 480), Camera(700.0, source="fallback"))


def test_inputs_that_make_fits_differ() -> None:
    one = _person()
    digest = input_digest(one, None)
    assert input_digest(_person(), None) == digest
    moved = one.keypoints.copy()
    moved[3, 0] += 0.5
    calibrated = Camera(700.0, source="calibration")
    others = [
        replace(one, keypoints=moved),
        replace(one, camera=calibrated),
        replace(one, camera=None, image_size=(480, 640)),
    ]
    others.append(replace(one, points_3d=np.zeros((25, 4), np.float32)))
    digests = {input_digest(other, None) for other in others} | {input_digest(one, "male"), digest}
    assert len(digests) == 6
    # settings decide about this camera, and have a hash of their own
    assert input_digest(replace(one, camera=Camera(900.0, source="given")), None) == digest


@pytest.mark.parametrize(
    ("key", "value", "differs"),
    [
        ("people.max_persons", "1", True),
        ("people.min_keypoints", "3", True),
        ("run.keypoint_scale", "2", True),
        ("run.layout", "coco_17", True),
        ("run.keypoint_frame", "stored", True),
        ("body.model", "smplh", True),
        ("objective.rho", "99", False),
    ],
)
def test_what_decides_who_the_people_of_a_photo_are(key: str, value: str, differs: bool) -> None:
    plain = context_digest(*load_run(None), Judgement())
    assert (context_digest(*load_run(None, [Override(key, value)]), Judgement()) != plain) is differs
    assert context_digest(*load_run(None), Judgement(turn=True)) != plain


def test_files_have_stamps_and_hashes(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    assert file_stamp(path) is file_stamp(None) is None
    path.write_bytes(b"photo")
    stamp = file_stamp(path)
    assert stamp is not None and stamp[0] == 5
    digest = file_digest(path)
    path.write_bytes(b"foto.")
    assert file_digest(path) != digest
