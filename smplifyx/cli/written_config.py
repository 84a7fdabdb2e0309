"""The configuration that a run leaves in its output folder, and how it differs from that of an earlier run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from smplifyx.config import Config, ConfigError, load_config, to_yaml
from smplifyx.files import write_text

#: The sections that decide how a fit comes out; of the others, a setting here and there.
_DECISIVE = ("body", "gender", "camera", "priors", "objective", "starts", "stages", "optimizer", "collision")


def portable(config: Config, images: Path, keypoints: Path, output: Path) -> Config:
    """The configuration with full paths, so that it runs again from anywhere, and for all photos, not one shard's.

    Args:
        config: as given.
        images: the photos of the run.
        keypoints: its keypoint files.
        output: its output folder.
    """
    return replace(
        config,
        input=replace(config.input, images=str(images.resolve()), keypoints=str(keypoints.resolve())),
        camera=replace(config.camera, calibration=_full(config.camera.calibration)),
        body=replace(config.body, models_dir=_full(config.body.models_dir)),
        gender=replace(
            config.gender,
            labels=_full(config.gender.labels),
            checkpoint=_full(config.gender.checkpoint),
            onnx=_full(config.gender.onnx),
        ),
        priors=replace(
            config.priors,
            vposer_checkpoint=_full(config.priors.vposer_checkpoint),
            gmm_file=_full(config.priors.gmm_file),
        ),
        collision=replace(config.collision, part_segmentation=_full(config.collision.part_segmentation)),
        output=replace(config.output, folder=str(output.resolve())),
        run=replace(config.run, num_shards=1, shard_index=0),
    )


def fits_differ(config: Config, path: Path) -> bool:
    """Whether the run that wrote ``path`` had other settings that decide how a fit comes out; False without a file.

    Args:
        config: a configuration from :func:`portable`.
        path: the file of the earlier run; one that this version cannot read counts as different.
    """
    if not path.is_file():
        return False
    try:
        earlier = load_config(path)
    except ConfigError:
        return True
    if earlier.input.min_confidence != config.input.min_confidence or earlier.run.dtype != config.run.dtype:
        return True
    return any(getattr(earlier, section) != getattr(config, section) for section in _DECISIVE)


def write_config(config: Config, path: Path) -> None:
    """Write a configuration, all or nothing."""
    write_text(path, to_yaml(config))


def _full(path: str | None) -> str | None:
    return None if path is None else str(Path(path).resolve())
