"""The configuration in the output folder."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from smplifyx.cli.fit_run import fits_differ, portable
from smplifyx.config import Config, Override, RunOptions, all_settings, load_run, to_yaml

PATH_SETTINGS = tuple(leaf.key for leaf in all_settings() if leaf.hint is Path or Path in get_args(leaf.hint))


def made_portable(*overrides: tuple[str, str]) -> tuple[Config, RunOptions]:
    call = [("run.images", "photos"), ("run.keypoints", "keypoints"), ("run.output", "out"), *overrides]
    return portable(*load_run(None, [Override(*override) for override in call]))


def test_paths_hold_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever setting is a path; the list comes from the schema."""
    monkeypatch.chdir(tmp_path)
    assert {"lifting.checkpoint", "priors.vposer", "gender.classifier", "body.models_dir"} <= set(PATH_SETTINGS)
    config, run = made_portable(*((key, "some/../file") for key in PATH_SETTINGS))
    paths = [getattr(getattr(config, key.split(".")[0]), key.split(".")[1]) for key in PATH_SETTINGS]
    for path in (*paths, run.images, run.keypoints, run.output):
        assert path.is_absolute() and path.parent == tmp_path.resolve()


def test_settings_that_are_not_given_stay_so() -> None:
    config, _ = made_portable()
    assert config.camera.calibration is config.body.models_dir is config.priors.file is None
    assert config.gender.classifier == "auto"


@pytest.mark.parametrize(
    ("override", "differs"),
    [
        (("run.batch_size", "4"), False),
        (("output.mesh_format", "none"), False),
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
        (("run.keypoint_scale", "2"), True),
        (("run.layout", "coco_17"), True),
    ],
)
def test_what_makes_fits_differ(tmp_path: Path, override: tuple[str, str], differs: bool) -> None:
    path = tmp_path / "config.yaml"
    assert not fits_differ(*made_portable(), path)
    path.write_text(to_yaml(*made_portable()))
    assert not fits_differ(*made_portable(), path)
    assert fits_differ(*made_portable(override), path) is differs
