"""The clips of a run, from its arguments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from smplifyx.calibration import CameraRig, read_cameras
from smplifyx.clips.listing import VIEW, Clip, is_of_view, list_clips
from smplifyx.clips.video import VIDEO_ENDINGS, FramesMissingError, find_frames, write_frames
from smplifyx.config import RunOptions
from smplifyx.errors import InputError, UsageError
from smplifyx.files import output_to
from smplifyx.keypoints.folder import natural_key
from smplifyx.output import OutputLayout
from smplifyx.tracking import View
from smplifyx.words import count


@dataclass(frozen=True)
class ClipPlan:
    """The clips of a run.

    Attributes:
        run: the arguments, with the frame rate of the video.
        rig: the calibrated cameras; None for photos of one camera.
        clips: all clips, of every shard.
        notes: remarks for the user.
    """

    run: RunOptions
    rig: CameraRig | None
    clips: list[Clip]
    notes: tuple[str, ...] = ()

    @property
    def own_clips(self) -> list[Clip]:
        """The clips of this shard."""
        return self.clips[self.run.shard_index :: self.run.num_shards]

    @property
    def n_photos(self) -> int:
        """Photos of all clips."""
        return sum(len(clip.all_shots()) for clip in self.clips)


def plan_clips(run: RunOptions, writes_frames: bool = True) -> ClipPlan:
    """Read the file of cameras, write the frames of videos unless they are there, and list the clips.

    Args:
        run: the arguments.
        writes_frames: False only reads.

    Raises:
        FramesMissingError: frames have to be written first, and ``writes_frames`` is False.
        UsageError: a folder or file is missing or unusable, or no photo belongs to a camera.
        OutputError: the disk is full.
    """
    if run.images is None and run.video is None:
        raise UsageError("expected --images with a folder of photos, or --video")
    try:
        rig = None if run.cameras is None else read_cameras(run.cameras, run.camera_unit)
        run, images, notes = _with_frames(run, rig, writes_frames)
    except InputError as error:
        raise UsageError(str(error)) from error
    detected = OutputLayout(run.output).keypoints_path
    is_sequence = run.sequence or run.video is not None
    clips = list_clips(images, run.keypoints, () if rig is None else rig.views, detected, is_sequence)
    used = {view.name for clip in clips for view in clip.views}
    unused = [] if rig is None else [view.name for view in rig.views if view.name not in used]
    if unused:
        notes = (*notes, f"{run.cameras}: no photos of the cameras {', '.join(unused)}")
    return ClipPlan(run, rig, clips, notes)


def _with_frames(
    run: RunOptions, rig: CameraRig | None, writes_frames: bool
) -> tuple[RunOptions, Path, tuple[str, ...]]:
    """The arguments with the frame rate of the video, the folder of photos, and remarks."""
    if run.video is None:
        assert run.images is not None
        return run, run.images, ()
    folder = run.output / "frames"
    targets = _videos(run.video, rig, folder)
    rates: list[float] = []
    notes: list[str] = []
    for target, video in targets.items():
        found = find_frames(video, target)
        if found is None and not writes_frames:
            raise FramesMissingError(f"the frames of {video} are not decoded yet")
        if found is None:
            with output_to(target):
                found = write_frames(video, target, run.output)
        rates.append(found.fps)
        notes.append(f"{video}: {count(found.n_frames, 'frame', 'frames')} at {found.fps:g} per second in {target}")
    if run.fps is None and max(rates) - min(rates) > 0.01:
        listed = ", ".join(f"{rate:g}" for rate in sorted(set(rates)))
        raise UsageError(f"--video: expected one frame rate, found {listed}; give --fps")
    return replace(run, fps=run.fps or rates[0]), folder, tuple(notes)


def _videos(video: Path, rig: CameraRig | None, folder: Path) -> dict[Path, Path]:
    """The video of each folder of frames: one for each camera where there are several."""
    views = () if rig is None else rig.views
    if VIEW in str(video):
        if rig is None:
            raise UsageError(f"--video: {VIEW} stands for the name of a camera; expected --cameras too")
        return {folder / view.name: Path(str(video).replace(VIEW, view.name)) for view in views}
    if video.is_dir():
        if rig is None:
            raise UsageError(f"--video: {video} is a folder; expected --cameras too, or a file")
        return _videos_in(video, views, folder)
    if len(views) > 1:
        raise UsageError(
            f"--video: expected a folder or a name with {VIEW}, a video for each of {len(views)} cameras"
        )
    return {folder: video}


def _videos_in(videos: Path, views: Sequence[View], folder: Path) -> dict[Path, Path]:
    """The videos whose names begin with those of cameras; a camera may have none."""
    files = sorted((path for path in videos.iterdir() if path.suffix.lower() in VIDEO_ENDINGS), key=natural_key)
    targets: dict[Path, Path] = {}
    for view in views:
        named = [path for path in files if is_of_view(path.stem, view.name)]
        if len(named) > 1:
            found = " and ".join(path.name for path in named[:2])
            raise UsageError(f"--video: {videos} has {found} of the camera {view.name}; expected one")
        if named:
            targets[folder / view.name] = named[0]
    if not targets:
        names = ", ".join(view.name for view in views)
        raise UsageError(f"--video: no video in {videos} begins with the name of a camera: {names}")
    return targets
