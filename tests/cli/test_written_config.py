"""The configuration in the output folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from smplifyx.cli.written_config import fits_differ, portable, write_config
from smplifyx.config import Config, Override, load_config

PATH_SETTINGS = (
    "camera.calibration", "body.models_dir", "gender.labels", "gender.checkpoint", "priors.vposer_checkpoint",
    "priors.gmm_file", "collision.part_segmentation",
)  # fmt: skip


def made_portable(*overrides: tuple[str, str]) -> Config:
    config = load_config(None, [Override(*override) for override in overrides])
    return portable(config, Path("photos"), Path("keypoints"), Path("out"))


def test_paths_hold_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = made_portable(*((key, "some/../file") for key in PATH_SETTINGS))
    for key in (*PATH_SETTINGS, "input.images", "input.keypoints", "output.folder"):
        section, name = key.split(".")
        path = Path(getattr(getattr(config, section), name))
        assert path.is_absolute() and path.parent == tmp_path.resolve()


def test_settings_that_are_not_given_stay_so() -> None:
    config = made_portable()
    assert config.camera.calibration is config.body.models_dir is config.priors.file is None


@pytest.mark.parametrize(
    ("override", "differs"),
    [
        (("run.seed", "4"), False),
        (("output.save_mesh", "false"), False),
        (("body.gender", "male"), True),
        (("camera.focal_length", "900"), True),
        (("priors.body_pose", "gmm"), True),
        (("objective.rho", "99"), True),
        (("starts.headings", "2"), True),
        (("stages.4.shape", "9"), True),
        (("optimizer.max_iterations", "9"), True),
        (("collision.enabled", "false"), True),
        (("input.min_confidence", "0.3"), True),
        (("run.dtype", "float64"), True),
    ],
)
def test_what_makes_fits_differ(tmp_path: Path, override: tuple[str, str], differs: bool) -> None:
    path = tmp_path / "config.yaml"
    assert not fits_differ(made_portable(), path)
    write_config(made_portable(), path)
    assert not fits_differ(made_portable(), path)
    assert fits_differ(made_portable(override), path) is differs
