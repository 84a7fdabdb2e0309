"""The arguments of a run, which are not settings of the fit: inputs, the output folder, how to work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from smplifyx.config.fields import ConfigError, setting


@dataclass(frozen=True)
class RunOptions:
    """Arguments of a run: input, output, device. They are not settings of the fit."""

    images: Path | None = setting(None, "folder of photos, or one photo")
    keypoints: Path | None = setting(
        None, "folder of keypoint files NAME_keypoints.json, or one file, also for all photos; null: detected"
    )
    layout: str = setting("auto", "order of the keypoints: auto, or one that smplifyx keypoints layouts lists")
    keypoint_frame: Literal["auto", "upright", "stored"] = setting(
        "auto", "picture that keypoints count in; stored: the photo without its EXIF turn"
    )
    keypoint_scale: float = setting(1.0, "factor on all keypoint coordinates", above=0)
    sequence: bool = setting(
        False, "the photos are the frames of a clip, in natural order of their names; sub-folders are clips"
    )
    video: Path | None = setting(
        None, "video instead of photos, with cameras their folder; frames are written to OUTPUT/frames"
    )
    fps: float | None = setting(None, "frames per second; null: those of the video, else 30", above=0)
    cameras: Path | None = setting(
        None, "calibrated cameras: YAML, intri.yml of EasyMocap, TOML of Pose2Sim or Anipose, Qualisys .qca.txt"
    )
    camera_unit: float = setting(1.0, "metres in a unit of length of the file of cameras", above=0)
    height: float | None = setting(None, "stature of the people of a sequence, metres", minimum=0.3, maximum=2.8)
    min_views: int = setting(2, "cameras that must see a person, where there are several", minimum=1)
    min_frames: int = setting(5, "frames of a sequence that a person must be seen in", minimum=1)
    max_gap: float = setting(1.0, "seconds for which a person may be missing and is still the same", above=0)
    output: Path = setting(Path("output"), "folder of all results")
    device: Literal["auto", "cpu", "cuda"] = setting("auto", "auto: a GPU if there is one")
    dtype: Literal["float32", "float64"] = setting("float32", "precision of the arithmetic")
    batch_size: Literal["auto"] | int = setting(
        "auto", "number of people fitted at the same time; auto: 32, on a GPU 1024", minimum=1
    )
    threads: int = setting(1, "processor threads of the fit", minimum=1)
    workers: Literal["auto"] | int = setting(
        "auto", "processes that fit; auto: as many as free cores and memory allow", minimum=1
    )
    num_shards: int = setting(1, "number of runs that share the photos", minimum=1)
    shard_index: int = setting(0, "number of this run among them, from 0", minimum=0)
    shard: Literal["given", "auto"] = setting(
        "given", "auto: number and index from SLURM_ARRAY_TASK_ID, or from RANK and WORLD_SIZE"
    )
    executor: Literal["local", "ray"] = setting(
        "local", "where workers run: processes of this machine, or actors of a Ray cluster"
    )
    ray_address: str | None = setting(
        None, "of the Ray cluster: auto or HOST:PORT; null: the environment's, otherwise one of this machine"
    )
    overwrite: bool = setting(False, "fit people with existing results again")
    log_level: Literal["error", "info", "debug"] = setting(
        "info", "lines of the log: failures; also people and photos; also remarks on inputs"
    )
    quiet: bool = setting(False, "print nothing but errors")
    verbose: bool = setting(False, "print more: losses by stage, decisions by person, tracebacks")

    @property
    def fits_clips(self) -> bool:
        """Whether people are fitted in several frames or views together."""
        return self.sequence or self.video is not None or self.cameras is not None


def check_run(run: RunOptions, source: str = "run") -> None:
    """Refuse arguments of a run that are valid alone but not together; raises :class:`ConfigError`."""
    if run.shard_index >= run.num_shards:
        problem = f"expected less than the number of shards ({run.num_shards}), found {run.shard_index}"
        raise ConfigError(source, "shard_index", problem)
    if run.video is not None and run.images is not None:
        raise ConfigError(source, "video", "expected photos or a video, found both")
    if run.quiet and run.verbose:
        raise ConfigError(source, "quiet", "expected false with verbose")
