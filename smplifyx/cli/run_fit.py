"""One run over a folder: read, group, fit in batches, write; a bad input does not stop the others."""

from __future__ import annotations

import signal
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import numpy as np
import torch

from smplifyx.camera import DEFAULT_ENTRY, Camera, read_calibration
from smplifyx.cli import messages
from smplifyx.cli.choose_genders import tell_unmatched_labels
from smplifyx.cli.fit_people import FitJob
from smplifyx.cli.messages import check_output, required_file
from smplifyx.cli.result_writer import LazyRenderer, PersonWriter, RunStatistics
from smplifyx.cli.written_config import fits_differ, portable, write_config
from smplifyx.config import Config, RunOptions
from smplifyx.errors import UsageError
from smplifyx.keypoints import (
    Loaded,
    Observation,
    Pairing,
    Part,
    PersonSelection,
    load_pairs,
    merge_loaded,
    pair_folder,
    split_hands,
    unpaired,
)
from smplifyx.output import OutputLayout, read_summary
from smplifyx.skeleton import CONTOUR_KEYPOINTS, FACE_KEYPOINTS, LEFT_HAND_KEYPOINTS, RIGHT_HAND_KEYPOINTS

#: What a model that is no whole body fits of a person.
_PARTS: Mapping[str, Part] = {"mano": "hands", "flame": "face"}


def run_fit(config: Config, run: RunOptions) -> int:
    """Fit everybody in a folder of photos.

    Args:
        config: all settings.
        run: input, output, device; images and keypoints are given.

    Returns:
        The exit status: 0 when all went well, 1 when some inputs failed.

    Raises:
        UsageError: a folder, the device or a body model is not there, or the table of an earlier run is damaged.
        KeyboardInterrupt: stopped by the user or by SIGTERM; the message says what is finished.
    """
    images, keypoints, output = _input(run.images), _input(run.keypoints), run.output
    device = _prepare(run)
    check_output(output)
    statistics = RunStatistics()
    pairing = pair_folder(images, keypoints)
    photos = {pair.stem for pair in pairing.pairs} | {image.stem for image in pairing.images_without_keypoints}
    calibration = _calibration(config, run, photos)
    if run.shard_index == 0:
        tell_unmatched_labels(config, photos)
    loaded = _load(config, run, pairing)
    _tell_unused_keypoints(config, loaded.observations)
    for failure in loaded.failures:
        statistics.failed(str(failure))
    _tell_oddities(loaded, run.verbose)
    writer = _writer(config, output)
    in_table = _people_in_table(writer.layout.summary_path)
    written = portable(config, run)
    other_settings = fits_differ(*written, writer.layout.config_path)
    todo = [
        one
        for one in loaded.observations
        if run.overwrite or (one.stem, one.person_index, one.side or "") not in in_table or not writer.is_done(one)
    ]
    n_done = len(loaded.observations) - len(todo)
    if n_done and other_settings:
        messages.note(f"{n_done} people were fitted with other settings; --overwrite fits them again")
    elif n_done:
        messages.note(f"{n_done} people have a result already (--overwrite fits them again)")
    try:
        with _sigterm_as_interrupt():
            job = FitJob(config, run, device, writer, statistics, calibration)
            plan = job.plan(todo)
            write_config(*written, writer.layout.config_path)  # a call that is wrong leaves the earlier run's
            job.fit(plan, loaded.observations)
    except KeyboardInterrupt:
        finished = f"{statistics.n_fitted + n_done} of {len(loaded.observations)} people are finished in {output}"
        raise KeyboardInterrupt(f"{finished}; the same command goes on from there") from None
    messages.say(
        f"{statistics.n_fitted} people fitted, {len(statistics.problems)} inputs failed; results in {output}"
    )
    return 1 if statistics.problems else 0


def _input(path: Path | None) -> Path:
    if path is None:
        raise UsageError("expected --images and --keypoints")
    return path


def _prepare(run: RunOptions) -> torch.device:
    # The arrays are so small that a second thread wins little on an idle machine and loses severalfold on a busy one.
    torch.set_num_threads(run.threads)
    if run.device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch sees no GPU here; use --device cpu, or auto")
    use_gpu = run.device != "cpu" and torch.cuda.is_available()
    return torch.device("cuda" if use_gpu else "cpu")


def _calibration(config: Config, run: RunOptions, photos: Collection[str]) -> Mapping[str, Camera]:
    """The measured cameras; the first shard tells which of them are no photo's."""
    path = config.camera.calibration
    if path is None:
        return {}
    calibration = required_file(read_calibration, path)
    unmatched = [stem for stem in calibration if stem not in photos and stem != DEFAULT_ENTRY]
    if unmatched and run.shard_index == 0:
        messages.note(
            f"{path}: {len(unmatched)} of {len(calibration)} entries match no photo, such as {unmatched[0]!r}"
        )
    return calibration


def _load(config: Config, run: RunOptions, pairing: Pairing) -> Loaded:
    """This shard's people. What has no partner is told by the first shard alone."""
    shard = pairing.pairs[run.shard_index :: run.num_shards]
    parts = [load_pairs(shard, _selection(config))]
    if run.shard_index == 0:
        parts.append(unpaired(pairing, _input(run.keypoints)))
    loaded = merge_loaded(parts)
    return split_hands(loaded, _selection(config)) if config.body.model == "mano" else loaded


def _selection(config: Config) -> PersonSelection:
    chosen = config.people
    part = _PARTS.get(config.body.model, "body")
    return PersonSelection(max_persons=chosen.max_persons, min_keypoints=chosen.min_keypoints, part=part)


def _tell_oddities(loaded: Loaded, verbose: bool) -> None:
    """What was left out, and what was odd about what was taken: numbers, or names if verbose."""
    left_out = [
        f"left out: {one.path}{'' if one.person_index is None else f', person {one.person_index}'}: {one.reason}"
        for one in loaded.skipped
    ]
    odd = [
        f"odd: {one.keypoint_path}, person {one.person_index}: {warning}"
        for one in loaded.observations
        for warning in one.warnings
    ]
    if verbose:
        for line in (*left_out, *odd):
            messages.note(line)
    elif left_out or odd:
        messages.note(f"{len(left_out)} left out, {len(odd)} oddities of the input (--verbose names them)")


def _people_in_table(path: Path) -> set[tuple[str, int, str]]:
    """Keys of everybody whose row is written; a run that was killed may have files without their rows."""
    rows = required_file(read_summary, path) if path.exists() else []
    return {row.key for row in rows if row.status == "ok"}


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Ends the block as Ctrl-C does when the process is told to terminate, so that what is finished is recorded."""
    if threading.current_thread() is not threading.main_thread():  # only there may handlers be set
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    earlier = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)


def _writer(config: Config, output: Path) -> PersonWriter:
    renderer = LazyRenderer() if config.output.render else None
    return PersonWriter(OutputLayout(output, config.output.mesh_format), config.output, renderer)


_HANDS = [*range(LEFT_HAND_KEYPOINTS.start, RIGHT_HAND_KEYPOINTS.stop)]
_FACE = [*range(FACE_KEYPOINTS.start, CONTOUR_KEYPOINTS.stop)]
#: Of each whole body, the keypoints that it does not have, and the weight of a stage that is about them.
_LACKING = {
    "smpl": (("hand", _HANDS, "hand_keypoints"), ("face", _FACE, "face_keypoints")),
    "smplh": (("face", _FACE, "face_keypoints"),),
}


def _tell_unused_keypoints(config: Config, people: Sequence[Observation]) -> None:
    """Tell how many hand and face keypoints of all people a body has no use for, and which weights have no effect."""
    model = config.body.model
    for part, keypoints, weight in _LACKING.get(model, ()):
        seen = [int((one.keypoints[keypoints, 2] >= config.people.min_confidence).sum()) for one in people]
        settings = [f"stages.{k}.{weight}" for k, stage in enumerate(config.stages, 1) if getattr(stage, weight)]
        n_people = int(np.count_nonzero(seen))
        if n_people:
            without_effect = f"; {', '.join(settings)} have no effect" if settings else ""
            messages.note(
                f"{model} has no {part} keypoints: {sum(seen)} seen on {n_people} people are not used{without_effect}"
            )
        elif settings:
            messages.note(f"{model} has no {part} keypoints: {', '.join(settings)} have no effect")
