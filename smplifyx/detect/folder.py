"""Keypoint files for a folder of photos, by one or more processes."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smplifyx.child_processes import ignore_signals
from smplifyx.detect.detector import DetectedPerson, Detector
from smplifyx.errors import InputError, SmplifyxError
from smplifyx.files import file_digest
from smplifyx.keypoints.folder import keypoint_path
from smplifyx.keypoints.images import read_image
from smplifyx.keypoints.writing import PHOTO_DIGEST, openpose_person, write_openpose

#: Photos that wait for each process, so that none idles.
_AHEAD = 3


@dataclass
class DetectionStatistics:
    """Counts of a run.

    Attributes:
        n_photos: photos that were looked at.
        n_people: people found in them.
        n_skipped: photos whose keypoint file was there already.
        failures: an error for each photo that could not be read or used.
    """

    n_photos: int = 0
    n_people: int = 0
    n_skipped: int = 0
    failures: list[InputError] = field(default_factory=list)


def is_complete(path: Path, image: Path) -> bool:
    """Whether a keypoint file is there, can be parsed, and was not made from another photo than this one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            return False
        digest = content.get(PHOTO_DIGEST)  # files of others have none
        return digest is None or digest == file_digest(image)
    except (OSError, ValueError):
        return False


def detect_folder(
    images: Sequence[Path],
    folder: Path,
    variant: str = "heavy",
    workers: int = 1,
    overwrite: bool = False,
    progress: Callable[[Path], object] = lambda image: None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> DetectionStatistics:
    """Write a keypoint file for each photo; photos that have one are skipped.

    Of photos that differ in their ending alone, only the first is used; the others are failures.

    Args:
        images: the photos.
        folder: where the keypoint files go.
        variant: body network, ``heavy`` or ``full``.
        workers: processes; with one, this process does it all, reading the next photo meanwhile.
        overwrite: detect again where a file is there.
        progress: called with each photo that is finished.
        is_stopped: asked after each photo; the photos that are left then have no file.

    Raises:
        UsageError: the runtime of the networks is not installed.
        InputError: a network file is damaged.
        SmplifyxError: one of several processes has died; files that are written stay.
    """
    statistics = DetectionStatistics()
    image_of: dict[Path, Path] = {}
    for image in images:
        used = image_of.setdefault(keypoint_path(image, folder), image)
        if used != image:
            problem = f"has the same name as {used.name}, which is used; expected one file per name"
            statistics.failures.append(InputError(image, problem))
    images = list(image_of.values())
    todo = [image for image in images if overwrite or not is_complete(keypoint_path(image, folder), image)]
    statistics.n_skipped = len(images) - len(todo)
    results = _alone(todo, variant) if workers == 1 or len(todo) < 2 else _together(todo, variant, workers)
    with closing(results):
        for image, outcome in results:
            if isinstance(outcome, InputError):
                statistics.failures.append(outcome)
            else:
                people = [_entry(person) for person in outcome]
                write_openpose(keypoint_path(image, folder), people, file_digest(image))
                statistics.n_photos += 1
                statistics.n_people += len(people)
            progress(image)
            if is_stopped():
                break
    return statistics


class PhotoDetector:
    """Detector that writes keypoint files, one photo after the other; loaded at the first photo.

    Args:
        variant: body network, ``heavy`` or ``full``.
    """

    def __init__(self, variant: str = "heavy") -> None:
        self._variant = variant
        self._detector: Detector | None = None

    def __call__(self, photo: NDArray[np.uint8], path: Path, digest: str = "") -> None:
        """Detect people.

        Args:
            photo: [H, W, 3] BGR, upright.
            path: where the keypoint file goes.
            digest: hash of the image file, so that a photo that was replaced is noticed.

        Raises:
            UsageError: the runtime of the networks is not installed.
            InputError: a network file is damaged.
        """
        if self._detector is None:
            self._detector = Detector(self._variant)
        write_openpose(path, [_entry(person) for person in self._detector(photo[..., ::-1])], digest)


_Outcome = list[DetectedPerson] | InputError


def _entry(person: DetectedPerson) -> dict[str, object]:
    seen = person.world[:, 3].any()
    lists = person.body, person.left_hand, person.right_hand, person.face
    return openpose_person(*lists, person.world if seen else None) | {"score": round(person.score, 4)}


def _alone(images: Sequence[Path], variant: str) -> Generator[tuple[Path, _Outcome], None, None]:
    """One photo after the other; a thread reads the next one."""
    detector = Detector(variant)
    with ThreadPoolExecutor(1) as reader:
        ahead = [(image, reader.submit(_read_rgb, image)) for image in images[:_AHEAD]]
        rest = iter(images[_AHEAD:])
        while ahead:
            image, photo = ahead.pop(0)
            ahead += [(following, reader.submit(_read_rgb, following)) for following in islice(rest, 1)]
            try:
                yield image, detector(photo.result())
            except InputError as error:
                yield image, error


def _together(images: Sequence[Path], variant: str, workers: int) -> Generator[tuple[Path, _Outcome], None, None]:
    """The same by several processes, in the order of the photos."""
    context = multiprocessing.get_context("spawn")
    # The parent decides about a signal to the whole group.
    pool = ProcessPoolExecutor(workers, context, initializer=ignore_signals)
    try:
        waiting: list[tuple[Path, Future[_Outcome]]] = []
        rest = iter(images)
        waiting += [(image, pool.submit(_work, variant, image)) for image in islice(rest, _AHEAD * workers)]
        while waiting:
            image, outcome = waiting.pop(0)
            waiting += [(following, pool.submit(_work, variant, following)) for following in islice(rest, 1)]
            yield image, outcome.result()
    except BrokenProcessPool as error:
        text = "a process of the detector died, perhaps for lack of memory; fewer --workers need less"
        raise SmplifyxError(text) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _read_rgb(image: Path) -> NDArray[np.uint8]:
    return read_image(image)[..., ::-1]


@lru_cache(maxsize=1)
def _detector(variant: str) -> Detector:
    """The detector of a worker process; it lives as long as the process."""
    return Detector(variant)


def _work(variant: str, image: Path) -> _Outcome:
    try:
        return _detector(variant)(_read_rgb(image))
    except InputError as error:
        return error
