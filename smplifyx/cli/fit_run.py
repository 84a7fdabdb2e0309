"""One run over a folder: read people, choose their bodies, fit, write; a bad input does not stop the others."""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType

import torch
from tqdm import tqdm

from smplifyx.body.search import find_body_model
from smplifyx.camera import DEFAULT_ENTRY, Camera, read_calibration, resolve_cameras
from smplifyx.cli import messages
from smplifyx.cli.detect import detect_photos
from smplifyx.cli.genders import choose_genders, note_unmatched_labels
from smplifyx.cli.messages import check_output, required_file
from smplifyx.cli.result_writer import OpenRenderer, ResultWriter
from smplifyx.config import Config, ConfigError, RunOptions, load_run, to_yaml, with_absolute_paths
from smplifyx.errors import UsageError
from smplifyx.files import write_text
from smplifyx.fitting.fitter import FitProgress, Fitter
from smplifyx.fitting.people import fit_people
from smplifyx.gender import GenderDecision
from smplifyx.keypoints import (
    KeypointOptions,
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
from smplifyx.keypoints.folder import image_files
from smplifyx.keypoints.layouts import AUTO, layout_named
from smplifyx.output import OutputLayout, complete_summary
from smplifyx.result import FitResult
from smplifyx.skeleton import CONTOUR_KEYPOINTS, FACE_KEYPOINTS, LEFT_HAND_KEYPOINTS, RIGHT_HAND_KEYPOINTS, SIDES

#: Where detected keypoints are kept, in the output folder.
KEYPOINTS_FOLDER = "keypoints"
#: The part of a person that a hand or head model fits.
_PARTS: Mapping[str, Part] = {"mano": "hands", "flame": "face"}
#: The sections of settings that change a fit.
_DECISIVE = (
    "body", "gender", "camera", "priors", "lifting", "objective", "starts", "stages", "optimizer", "collision",
)  # fmt: skip
#: The arguments of a run that do.
_DECISIVE_ARGUMENTS = ("dtype", "layout", "keypoint_frame", "keypoint_scale")
_HANDS = [*range(LEFT_HAND_KEYPOINTS.start, RIGHT_HAND_KEYPOINTS.stop)]
_FACE = [*range(FACE_KEYPOINTS.start, CONTOUR_KEYPOINTS.stop)]
#: The keypoints that a body without hands or face lacks.
_LACKING = {"smpl": (("hand", _HANDS), ("face", _FACE)), "smplh": (("face", _FACE),)}


def run_fit(config: Config, run: RunOptions, open_one: OpenRenderer | None = None) -> int:
    """Fit all people in a folder of photos.

    Args:
        config: the settings.
        run: input, output, device; images must be given; without keypoints, people are detected.
        open_one: opens the renderer of the pictures; None for one in this process.

    Returns:
        The exit status: 0 when all people are fitted, 1 when some inputs failed.

    Raises:
        UsageError: a folder, the device or a body model is missing, or the table of an earlier run is damaged.
        KeyboardInterrupt: interrupted or terminated; the message says what is finished.
    """
    if run.images is None:
        raise UsageError("expected --images")
    check_output(run.output)
    device = _prepare(run)
    _check_files(config)
    problems = [] if run.keypoints is not None else _detect(run, run.images)
    keypoints = run.keypoints or run.output / KEYPOINTS_FOLDER
    if problems and not keypoints.exists():  # no photo can be read
        messages.say(f"0 people fitted, {len(problems)} inputs failed")
        return 1
    pairing = pair_folder(run.images, keypoints)
    photos = {pair.stem for pair in pairing.pairs} | {image.stem for image in pairing.images_without_keypoints}
    calibration = _calibration(config, photos, is_first_shard=run.shard_index == 0)
    if run.shard_index == 0:
        note_unmatched_labels(config, photos)
    loaded = _load(config, run, pairing)
    _note_unused_keypoints(config, loaded.observations)
    for failure in loaded.failures:
        problems.append(str(failure))
        messages.note(f"failed: {failure}")
    _note_skipped(loaded, run.verbose)

    everyone = required_file(resolve_cameras, loaded.observations, config.camera, calibration)
    layout = OutputLayout(run.output, config.output.mesh_format)
    if layout.config_path.is_dir():
        raise UsageError(f"{layout.config_path} is a folder; expected a file")
    written = portable(config, run)
    todo = _without_results(config, run, everyone, layout)
    n_done = len(everyone) - len(todo)
    _note_existing(n_done, fits_differ(*written, layout.config_path))
    fitter_of = functools.cache(functools.partial(_fitter, config, run, device))
    writer = ResultWriter(layout, config.output, fitter_of, everyone, todo, run.verbose, open_one)
    with _terminated_as_interrupt():
        try:
            decisions = choose_genders(todo, config, device, run.verbose)
            bodies = dict.fromkeys(_bodies(todo, decisions))
            for body in bodies:  # found before any is loaded, which takes seconds
                _find_model(config, body)
            unused = dict.fromkeys(name for body in bodies for name in fitter_of(body).unused_settings)
            if unused:
                messages.note(f"without effect on {config.body.model}: {', '.join(unused)}")
            if todo or not layout.config_path.exists():  # wrong calls, and runs without people, keep the file
                write_text(layout.config_path, to_yaml(*written))
            with tqdm(total=len(todo), unit="person", smoothing=0, disable=not sys.stderr.isatty()) as bar, writer:
                writer.on_person = bar.update
                _fit_all(todo, decisions, fitter_of, writer, bar)
        except KeyboardInterrupt as interrupt:
            finished = f"{writer.n_written + n_done} of {len(everyone)} people are finished in {run.output}"
            raise type(interrupt)(f"{finished}; the same command continues") from None
    n_problems = len(problems) + len(writer.problems)
    messages.say(f"{writer.n_written} people fitted, {n_problems} inputs failed; results in {run.output}")
    return 1 if n_problems else 0


def _prepare(run: RunOptions) -> torch.device:
    # The arrays are small: a second thread gains little on an idle machine and loses severalfold on a busy one.
    torch.set_num_threads(run.threads)
    if run.device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch finds no GPU; use --device cpu, or auto")
    return torch.device("cuda" if run.device != "cpu" and torch.cuda.is_available() else "cpu")


def _check_files(config: Config) -> None:
    """Check that the files of the settings exist, before people are detected and classified; raises UsageError."""
    priors = config.priors
    files = {
        "--calibration": config.camera.calibration,
        "--gender.labels": config.gender.labels if config.body.gender == "auto" else None,
        "--priors.vposer": priors.vposer if priors.body_pose == "vposer" else None,
        "--priors.gmm": priors.gmm if priors.body_pose == "gmm" else None,
        "--lifting.checkpoint": config.lifting.checkpoint if config.lifting.enabled else None,
        "--collision.part_segmentation": config.collision.part_segmentation if config.collision.enabled else None,
    }
    for option, path in files.items():
        if path is not None and not path.is_file():
            problem = "is a folder" if path.is_dir() else "does not exist"
            raise UsageError(f"{option}: {path} {problem}; expected a file")
    if config.body.models_dir is not None and not config.body.models_dir.is_dir():
        raise UsageError(f"--models: {config.body.models_dir} does not exist; expected a folder of body models")


def _photos(run: RunOptions, images: Path) -> list[Path]:
    """The photos of this shard."""
    return image_files(images)[run.shard_index :: run.num_shards]


def _detect(run: RunOptions, images: Path) -> list[str]:
    """Detect the people in this shard's photos that have no keypoint file yet; returns the problems."""
    photos = _photos(run, images)
    messages.note("no --keypoints: detecting people in the photos")
    folder = run.output / KEYPOINTS_FOLDER
    return detect_photos(photos, folder, advice="delete their files to detect again")


def _calibration(config: Config, photos: Collection[str], is_first_shard: bool) -> Mapping[str, Camera]:
    """The cameras of the calibration file; the first shard names entries without a photo."""
    path = config.camera.calibration
    if path is None:
        return {}
    calibration = required_file(read_calibration, path)
    unmatched = [stem for stem in calibration if stem not in photos and stem != DEFAULT_ENTRY]
    if unmatched and is_first_shard:
        messages.note(
            f"{path}: {len(unmatched)} of {len(calibration)} entries match no photo, such as {unmatched[0]!r}"
        )
    return calibration


def _load(config: Config, run: RunOptions, pairing: Pairing) -> Loaded:
    """The people of this shard; the first shard also reports files without a partner."""
    people = config.people
    selection = PersonSelection(
        max_persons=people.max_persons,
        min_keypoints=people.min_keypoints,
        part=_PARTS.get(config.body.model, "body"),
    )
    chosen = set(_photos(run, run.images)) if run.images is not None else set()
    # Our own detector reads photos upright.
    frame = run.keypoint_frame if run.keypoints is not None else "upright"
    options = KeypointOptions(_known_layout(run.layout), frame, run.keypoint_scale)
    parts = [load_pairs([pair for pair in pairing.pairs if pair.image in chosen], selection, options)]
    if run.shard_index == 0 and run.keypoints is not None:
        parts.append(unpaired(pairing, run.keypoints))
    loaded = merge_loaded(parts)
    return split_hands(loaded, selection) if config.body.model == "mano" else loaded


def _known_layout(name: str) -> str:
    """The name of a layout, or ``auto``; raises UsageError for another."""
    return name if name == AUTO else layout_named(name).name


def _note_unused_keypoints(config: Config, people: Sequence[Observation]) -> None:
    """Count observed hand and face keypoints that a body lacks."""
    model = config.body.model
    for part, keypoints in _LACKING.get(model, ()):
        seen = [int((one.keypoints[keypoints, 2] >= config.people.min_confidence).sum()) for one in people]
        n_people = sum(count > 0 for count in seen)
        if n_people:
            messages.note(f"{model} has no {part} keypoints: {sum(seen)} seen on {n_people} people are not used")


def _note_skipped(loaded: Loaded, verbose: bool) -> None:
    """Report skipped inputs and warnings about used ones: numbers, or names if verbose; and what was recognised."""
    kinds = ", ".join(f"{kind} ({layout}): {count}" for (kind, layout), count in sorted(loaded.kinds.items()))
    if kinds and set(loaded.kinds) != {("OpenPose", "body_25")}:
        messages.note(f"keypoint files: {kinds}")
    for note in loaded.notes:
        messages.note(f"note: {note}")
    flagged = Counter(flag for one in loaded.observations for flag in one.flags)
    if flagged:
        counts = ", ".join(f"{flag} {count}" for flag, count in sorted(flagged.items()))
        messages.note(f"keypoints were changed or are uncertain: {counts} people (flags in the results)")
    skipped = [
        f"skipped: {one.path}{'' if one.person_index is None else f', person {one.person_index}'}: {one.reason}"
        for one in loaded.skipped
    ]
    warnings = [
        f"warning: {one.keypoint_path}, person {one.person_index}: {warning}"
        for one in loaded.observations
        for warning in one.warnings
    ]
    if verbose:
        for line in (*skipped, *warnings):
            messages.note(line)
    elif skipped or warnings:
        numbers = {"inputs skipped": len(skipped), "warnings about inputs": len(warnings)}
        text = ", ".join(f"{kind}: {number}" for kind, number in numbers.items() if number)
        messages.note(f"{text} (--verbose shows them)")


def _without_results(
    config: Config, run: RunOptions, everyone: Sequence[Observation], layout: OutputLayout
) -> list[Observation]:
    """The people to fit: those whose files or row in the table are missing, or all with ``--overwrite``."""
    rows, restored = complete_summary(layout)
    if restored is not None:
        messages.note(restored)
    in_table = {row.key for row in rows if row.status == "ok"}
    settings = config.output
    return [
        one
        for one in everyone
        if run.overwrite
        or (one.stem, one.person_index, one.side or "") not in in_table
        or not layout.is_done(
            one.stem,
            one.person_index,
            one.side,
            mesh=settings.mesh_format != "none",
            overlay=settings.render,
            pickle=settings.save_pickle,
        )
    ]


def _note_existing(n_done: int, other_settings: bool) -> None:
    if n_done and other_settings:
        messages.note(f"{n_done} people were fitted with other settings; --overwrite fits them again")
    elif n_done:
        messages.note(f"{n_done} people with existing results are skipped (--overwrite fits them again)")


def _find_model(config: Config, body: str) -> None:
    """Raise :class:`UsageError` if there is no model file for a gender or side."""
    gender, side = ("neutral", body) if body in SIDES else (body, None)
    find = functools.partial(find_body_model, side=side)
    required_file(find, config.body.model, gender, config.body.models_dir)


def _fitter(config: Config, run: RunOptions, device: torch.device, body: str) -> Fitter:
    """The fitter of a gender or side; raises :class:`UsageError` for a damaged model, prior or network."""
    gender, side = ("neutral", body) if body in SIDES else (body, None)
    make = functools.partial(
        Fitter, side=side, config=config, device=device, dtype=run.dtype, batch_size=run.batch_size
    )
    return required_file(make, config.body.model, gender)


def _fit_all(
    people: Sequence[Observation],
    decisions: Sequence[GenderDecision],
    fitter_of: Callable[[str], Fitter],
    writer: ResultWriter,
    bar: tqdm,
) -> None:
    """Fit all people; each batch is written while the next one is fitted."""

    def show_stage(progress: FitProgress) -> None:
        bar.set_postfix_str(f"stage {progress.stage} of {progress.n_stages}")

    n_fitted = 0
    for batch in fit_people(people, _bodies(people, decisions), fitter_of, show_stage):
        chosen = [decisions[k] for k in batch.people]
        results = [_with_decision(*pair) for pair in zip(batch.results, chosen, strict=True)]
        writer.write([people[k] for k in batch.people], results, batch.fitter)
        n_fitted += len(results)
        if bar.disable and n_fitted < len(people):  # a log file shows progress too
            messages.note(f"fitted {n_fitted} of {len(people)} people")


def _bodies(people: Sequence[Observation], decisions: Sequence[GenderDecision]) -> list[str]:
    """The body model of each person: the gender, or the side of a hand."""
    return [one.side or decision.gender for one, decision in zip(people, decisions, strict=True)]


def _with_decision(result: FitResult, decision: GenderDecision) -> FitResult:
    return replace(
        result,
        gender_source=decision.source,
        gender_probability=decision.probability,
        gender_reason=decision.reason,
    )


@contextmanager
def _terminated_as_interrupt() -> Iterator[None]:
    """Handle SIGTERM and SIGHUP as Ctrl-C, so that what is finished is recorded; further ones are ignored."""
    if threading.current_thread() is not threading.main_thread():  # only there may handlers be set
        yield
        return
    signals = [number for name in ("SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)) is not None]

    def interrupt(number: int, frame: FrameType | None) -> None:
        for one in signals:
            signal.signal(one, signal.SIG_IGN)
        raise messages.Terminated

    earlier = {number: signal.signal(number, interrupt) for number in signals}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def portable(config: Config, run: RunOptions) -> tuple[Config, RunOptions]:
    """The same settings and arguments with absolute paths and for all shards, to run again from any folder."""
    everything = replace(run, num_shards=1, shard_index=0)
    folder = Path(os.getcwd())
    return with_absolute_paths(config, folder), with_absolute_paths(everything, folder)


def fits_differ(config: Config, run: RunOptions, path: Path) -> bool:
    """Whether the run that wrote ``path`` had other settings that change a fit; False without a file.

    Args:
        config, run: from :func:`portable`.
        path: the file of the earlier run; one that this version cannot read counts as different.
    """
    if not path.is_file():
        return False
    try:
        earlier, earlier_run = load_run(path)
    except ConfigError:
        return True
    if earlier.people.min_confidence != config.people.min_confidence:
        return True
    if any(getattr(earlier_run, name) != getattr(run, name) for name in _DECISIVE_ARGUMENTS):
        return True
    return any(getattr(earlier, section) != getattr(config, section) for section in _DECISIVE)
