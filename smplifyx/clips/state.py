"""Clips that earlier runs have finished."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from smplifyx.calibration import CameraRig
from smplifyx.clips.files import DEFAULT_FPS, ClipFiles
from smplifyx.clips.listing import Clip
from smplifyx.errors import InputError
from smplifyx.files import file_digest
from smplifyx.output import OutputLayout
from smplifyx.pipeline.digests import digest_of, file_stamp
from smplifyx.pipeline.reading import check_same_photo
from smplifyx.pipeline.units import Job
from smplifyx.result_fields import read_entries
from smplifyx.tracking import View


def clip_digest(clip: Clip, job: Job, rig: CameraRig | None) -> str:
    """Hash of all that decides the results of a clip: files, cameras, settings, wanted outputs."""
    run, config = job.run, job.config
    output, labels, calibration = config.output, config.gender.labels, config.camera.calibration
    values = {
        "settings": [job.settings_digest, asdict(config.sequence)],
        "run": [run.layout, run.keypoint_frame, run.keypoint_scale, run.fps or DEFAULT_FPS, run.height],
        "tracks": [run.min_views, run.min_frames, run.max_gap, config.people.max_persons],
        "people": [config.people.min_keypoints],
        "files": [
            None if shot is None else [shot.stem, file_stamp(shot.image), file_stamp(shot.keypoints)]
            for row in clip.shots
            for shot in row
        ],
        "views": [_figures(view) for view in clip.views],
        "rig": None if rig is None else [rig.up, rig.ground],
        "by_person": [file_digest(path) for path in (labels, calibration) if path is not None],
        "output": [output.mesh_format, output.save_pickle],
        "pictures": [output.render, output.side_view, output.picture_format, output.max_render_size],
    }
    return digest_of(json.dumps(values, sort_keys=True).encode())


def is_finished(clip: Clip, job: Job, rig: CameraRig | None) -> bool:
    """Whether an earlier run has finished the clip, and nothing has changed since."""
    return ClipFiles.of(job.run.output, clip.name).is_finished(clip_digest(clip, job, rig))


def check_results(clip: Clip, layout: OutputLayout) -> None:
    """Refuse to replace results that are not of the clip: of single photos, or of other photos of the same names.

    Raises:
        InputError: the first such result.
    """
    for shot in clip.all_shots():
        for key in layout.people_of(shot.stem)[:1]:
            path = layout.result_path(*key)
            try:
                stored = read_entries(path, path.read_bytes(), ("track", "image_path"))
            except (InputError, OSError):
                continue  # a damaged result is no loss
            check_same_photo(Path(str(stored.get("image_path", ""))), shot.image, layout.root)
            if "track" not in stored or int(stored["track"]) < 0:
                problem = "is a fit of a single photo, not of this clip; expected another --output"
                raise InputError(path, f"{problem} (--overwrite replaces the results)")


def _figures(view: View) -> list[object]:
    camera = view.camera
    inner = [] if camera is None else [camera.focal_length, camera.principal_point]
    outer = [np.asarray(view.rotation).tolist(), np.asarray(view.translation).tolist()]
    return [view.name, inner, outer, view.distortion]
