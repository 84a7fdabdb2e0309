"""The configuration in the output folder."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from smplifyx.cli.fit_run import portable
from smplifyx.config import Config, Override, RunOptions, all_settings, load_run

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
