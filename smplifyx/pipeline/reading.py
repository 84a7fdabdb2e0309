"""From a photo to people who can be fitted: keypoints, cameras, genders, and earlier results."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from smplifyx.camera import resolve_cameras
from smplifyx.detect.folder import is_complete
from smplifyx.errors import InputError, OutputError, UsageError, reason
from smplifyx.files import file_digest, output_to
from smplifyx.gender import GenderChooser, GenderDecision, given
from smplifyx.keypoints import (
    Loaded,
    Observation,
    Pair,
    read_image,
    split_hands,
)
from smplifyx.keypoints.folder import keypoint_path
from smplifyx.keypoints.images import PhotoHeader, read_header
from smplifyx.keypoints.loading import document_of, judged, load_pair
from smplifyx.output.layout import PART_MODELS, OutputLayout, PersonKey, person_name
from smplifyx.packs import Packs
from smplifyx.pipeline.choices import gender_chooser, given_gender, keypoint_options, selection_of
from smplifyx.pipeline.digests import file_stamp, input_digest
from smplifyx.pipeline.units import Failure, Job, Outcome, Unit
from smplifyx.result import FitResult, load_result
from smplifyx.skeleton import CONTOUR_KEYPOINTS, FACE_KEYPOINTS, LEFT_HAND_KEYPOINTS, RIGHT_HAND_KEYPOINTS

if TYPE_CHECKING:
    import torch

_HANDS = [*range(LEFT_HAND_KEYPOINTS.start, RIGHT_HAND_KEYPOINTS.stop)]
_FACE = [*range(FACE_KEYPOINTS.start, CONTOUR_KEYPOINTS.stop)]
#: The keypoints that a body without hands or face lacks.
_LACKING = {"smpl": (("hand", _HANDS), ("face", _FACE)), "smplh": (("face", _FACE),)}
#: A photo is decoded with at least this longer side, whether pictures are drawn or not: classifiers of genders see
#: the same pixels in both cases.
_DECODED_SIDE = 1024


@dataclass(eq=False)
class Person:
    """One person of a photo on the way through the pipeline.

    Attributes:
        observation: keypoints and camera.
        digest: hash of all inputs of the fit.
        decision: about the gender; None for a person whose result is kept.
        result: the stored or new fit.
        missing: files beside a stored result that are to be made: ``mesh``, ``side_view``, ``close_up``, ``pickle``.
        is_new: the person is fitted in this run.
        is_damaged: the stored result cannot be read.
    """

    observation: Observation
    digest: str
    decision: GenderDecision | None = None
    result: FitResult | None = None
    missing: frozenset[str] = frozenset()
    is_new: bool = False
    is_damaged: bool = False

    @property
    def key(self) -> PersonKey:
        """Stem, person and side, which name the output files."""
        return self.observation.stem, self.observation.person_index, self.observation.side

    @property
    def name(self) -> str:
        """Name of the output files without ending."""
        return person_name(self.observation.person_index, self.observation.side)

    @property
    def body(self) -> str:
        """The body model: the gender, or the side of a hand."""
        assert self.decision is not None
        return self.observation.side or self.decision.gender


@dataclass(eq=False)
class Photo:
    """A photo that was read.

    Attributes:
        outcome: the record so far.
        people: all of its people, the largest first.
        digest: of the image file; empty if it was not needed.
        picture: the photo at the size of the drawings, BGR; None if it is not drawn on, or is to be read again.
        draws_overlay: the picture of all people is to be drawn.
        outdated: people with a result who are not in the keypoint file any more.
    """

    outcome: Outcome
    people: list[Person] = field(default_factory=list)
    digest: str = ""
    picture: NDArray[np.uint8] | None = None
    draws_overlay: bool = False
    outdated: list[PersonKey] = field(default_factory=list)

    @property
    def new_people(self) -> list[Person]:
        """The people who are fitted in this run."""
        return [one for one in self.people if one.is_new]

    def check_owns(self, stored: FitResult, output: Path) -> None:
        """Raise InputError if a result in an output folder is of another photo of this name, which is still there."""
        if _differs(stored.photo_digest, self.digest):
            check_same_photo(Path(stored.image_path), self.outcome.unit.image, output)


#: Detects the people of a photo BGR `[H, W, 3]` and writes the keypoint file, with the hash of the image file.
Detect = Callable[[NDArray[np.uint8], Path, str], None]


class PhotoReader:
    """Reader of the photos of a job, one after the other.

    Args:
        job: the job.
        device: of the classifiers.
        detect: finds people in photos without a keypoint file.

    Raises:
        UsageError: the table of labels is unusable.
    """

    def __init__(self, job: Job, device: torch.device | str, detect: Detect) -> None:
        self._job, self._device, self._detect = job, device, detect
        config, run = job.config, job.run
        self._layout = OutputLayout.of(run.output, config.output)
        self._selection, self._options = selection_of(config), keypoint_options(run)
        self._document = functools.lru_cache(maxsize=2)(document_of)
        self._given = given_gender(config)

    def read(self, unit: Unit) -> Photo:
        """Read a photo; its failures are in the record that comes back.

        Raises:
            UsageError: the job itself cannot be done: a classifier is unusable, a focal length is in millimetres.
            OutputError: the disk is full.
        """
        stamps = file_stamp(unit.image), file_stamp(unit.keypoints)
        photo = Photo(Outcome(unit, photo_stamp=stamps[0], keypoint_stamp=stamps[1]))
        with _failing_alone(photo):
            self._read(unit, photo)
        return photo

    def inspect(self, unit: Unit) -> Photo:
        """Read the keypoints of a photo and look its results up, without decoding it; as :meth:`read`."""
        photo = Photo(Outcome(unit))
        with _failing_alone(photo):
            keypoints = unit.keypoints or keypoint_path(unit.image, self._layout.keypoints_path)
            self._find_people(unit, photo, keypoints, read_header(unit.image))
        return photo

    def _read(self, unit: Unit, photo: Photo) -> None:
        header = read_header(unit.image)
        pixels: NDArray[np.uint8] | None = None
        keypoints = unit.keypoints
        if keypoints is None:
            keypoints = keypoint_path(unit.image, self._layout.keypoints_path)
            if not is_complete(keypoints, unit.image):
                pixels = read_image(unit.image)
                photo.digest = file_digest(unit.image)
                with output_to(keypoints):
                    self._detect(pixels, keypoints, photo.digest)
            photo.outcome = replace(photo.outcome, keypoint_stamp=file_stamp(keypoints))
        self._find_people(unit, photo, keypoints, header)
        self._prepare(photo, header, pixels)

    def _find_people(self, unit: Unit, photo: Photo, keypoints: Path, header: PhotoHeader) -> None:
        loaded = self._load(unit, keypoints, header)
        everyone = self._with_cameras(unit, loaded.observations)
        photo.people = [Person(one, input_digest(one, self._label_of(one))) for one in everyone]
        photo.outcome = self._record(photo.outcome, loaded)
        self._find_results(photo)

    def _load(self, unit: Unit, keypoints: Path, header: PhotoHeader) -> Loaded:
        document = self._document(keypoints) if unit.is_shared else None
        pair = Pair(unit.stem, unit.image, keypoints)
        loaded = judged(load_pair(pair, self._selection, self._options, document, header), self._job.judgement)
        return split_hands(loaded, self._selection) if self._job.config.body.model == "mano" else loaded

    def _with_cameras(self, unit: Unit, people: Sequence[Observation]) -> list[Observation]:
        calibration = {} if unit.camera is None else {unit.stem: unit.camera}
        try:
            return resolve_cameras(people, self._job.config.camera, calibration)
        except InputError as error:
            if unit.camera is not None:  # concerns this photo alone
                raise
            raise UsageError(str(error)) from error

    def _record(self, outcome: Outcome, loaded: Loaded) -> Outcome:
        people = loaded.observations
        min_confidence = self._job.config.people.min_confidence
        unused = {}
        for part, rows in _LACKING.get(self._job.config.body.model, ()):
            seen = [int((one.keypoints[rows, 2] >= min_confidence).sum()) for one in people]
            if sum(seen):
                unused[part] = sum(seen), sum(count > 0 for count in seen)
        return replace(
            outcome,
            people=tuple(person_name(one.person_index, one.side) for one in people),
            failures=tuple(Failure(*_named(error, outcome.unit)) for error in loaded.failures),
            skipped=loaded.skipped,
            notes=tuple(
                f"{one.keypoint_path}, person {one.person_index}: {text}" for one in people for text in one.warnings
            ),
            flags=tuple(flag for one in people for flag in one.flags),
            kinds=dict(loaded.kinds),
            unused_keypoints=unused,
        )

    def _find_results(self, photo: Photo) -> None:
        """Find earlier results that still hold, and the files that lack beside them."""
        settings, layout, packs = self._job.config.output, self._layout, self._packs_of(photo.outcome.unit)
        changed = []
        for one in photo.people:
            path = layout.result_path(*one.key)
            if self._job.run.overwrite or not (path.is_file() or packs.has(path)):
                one.is_new = True
                continue
            try:
                stored = load_result(path, packs.read(path))
            except (InputError, OSError):
                one.is_new = one.is_damaged = True
                continue
            photo.digest = photo.digest or (file_digest(photo.outcome.unit.image) if stored.photo_digest else "")
            photo.check_owns(stored, layout.root)
            if _differs(stored.input_digest, one.digest) or _differs(stored.photo_digest, photo.digest):
                changed.append(one.name)
                one.is_new = True
                continue
            one.result = stored
            one.missing = frozenset(layout.missing(one.key, self._job.config.body.model, settings, packs))
        kept = [one for one in photo.people if one.result is not None]
        others = {
            one.name: one.result.settings_digest
            for one in kept
            if one.result is not None and _differs(one.result.settings_digest, self._job.settings_digest)
        }
        if settings.render and photo.people:
            overlay = layout.photo_overlay_path([one.key for one in photo.people])
            photo.draws_overlay = bool(photo.new_people) or not packs.has(overlay)
        if not photo.outcome.failures:  # people who failed are there, too
            known = {one.observation.person_index for one in photo.people}
            known |= {one.person_index for one in photo.outcome.skipped if one.person_index is not None}
            photo.outdated = [key for key in layout.people_of(photo.outcome.unit.stem, packs) if key[1] not in known]
        photo.outcome = replace(
            photo.outcome,
            kept=tuple(one.name for one in kept),
            other_settings=others,
            changed=tuple(changed),
        )

    def _packs_of(self, unit: Unit) -> Packs:
        return Packs(self._layout.root, unit.packed)

    def _prepare(self, photo: Photo, header: PhotoHeader, pixels: NDArray[np.uint8] | None) -> None:
        """Decode the photo once, decide the genders, keep a picture to draw on."""
        new = photo.new_people
        if not new and not photo.draws_overlay and not any("close_up" in one.missing for one in photo.people):
            return
        path = photo.outcome.unit.image
        everyone = [one.observation for one in photo.people]
        settings = self._job.config.output
        # All people count, also those who are not decided about now, so that a decision does not depend on them.
        gender_scale = self._chooser.least_scale(everyone) if self._given is None else 0.0
        if pixels is None:
            side = _DECODED_SIDE if gender_scale else 1  # at least decoded to its end, to notice one that is cut off
            side = max(side, settings.max_render_size if photo.draws_overlay else 1)
            pixels = read_image(path, min(1.0, max(gender_scale, side / max(header.size))))
        pixels = photo.outcome.unit.undistorted(pixels, header.size)
        if new:
            photo.digest = photo.digest or file_digest(path)
            for one, decision in zip(new, self._decide([one.observation for one in new], pixels), strict=True):
                one.decision = decision
        if photo.draws_overlay and self._job.config.body.model not in PART_MODELS:
            photo.picture = shrunk(pixels, header.size, settings.max_render_size)

    def _decide(self, people: Sequence[Observation], pixels: NDArray[np.uint8]) -> list[GenderDecision]:
        if self._given is not None:
            return [given(self._given)] * len(people)
        return self._chooser.choose(people, lambda: pixels)

    def _label_of(self, person: Observation) -> str | None:
        return self._chooser.label_of(person) if self._given is None else None

    @cached_property
    def _chooser(self) -> GenderChooser:
        return gender_chooser(self._job.config, self._device)


def _differs(stored: str, current: str) -> bool:
    """Whether a stored hash tells of another input; an empty one, of an earlier version, tells nothing."""
    return stored not in ("", current)


def check_same_photo(earlier: Path, image: Path, output: Path) -> None:
    """Raise InputError if a result belongs to another photo of the same name, as of another folder."""
    if earlier != image and earlier.is_file() and not earlier.samefile(image):
        problem = f"{output} has results of another photo of this name, {earlier}; expected another --output"
        raise InputError(image, f"{problem} or name (--overwrite replaces the results)")


def shrunk(pixels: NDArray[np.uint8], size: tuple[int, int], longest_side: int) -> NDArray[np.uint8]:
    """The photo at the size of the drawings."""
    factor = min(1.0, longest_side / max(size))
    shown = max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
    if (pixels.shape[1], pixels.shape[0]) == shown:
        return pixels
    return np.asarray(cv2.resize(pixels, shown, interpolation=cv2.INTER_AREA), np.uint8)


@contextmanager
def _failing_alone(photo: Photo) -> Iterator[None]:
    """Record an error as a failure of the photo, unless it concerns the whole run."""
    path = photo.outcome.unit.image
    try:
        yield
    except (UsageError, OutputError):
        raise
    except InputError as error:
        _fail(photo, Failure(str(path), _without_path(error, path)))
    except Exception as error:  # one photo must not end the run
        _fail(photo, Failure(str(path), f"{type(error).__name__}: {reason(error)}"))


def _fail(photo: Photo, failure: Failure) -> None:
    photo.people, photo.draws_overlay = [], False
    photo.outcome = replace(photo.outcome, people=(), failures=(*photo.outcome.failures, failure))


def _named(error: InputError, unit: Unit) -> tuple[str, str]:
    name = str(error.path or unit.image)
    return name, _without_path(error, error.path)


def _without_path(error: InputError, path: Path | None) -> str:
    return str(error).removeprefix(f"{path}: ")
