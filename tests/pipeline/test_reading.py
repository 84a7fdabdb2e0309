"""Photos on their way to the fit: a problem fails one photo, a full disk the run, a new photo is detected again."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from smplifyx.config import Override, load_run
from smplifyx.errors import OutputError
from smplifyx.keypoints.writing import write_openpose
from smplifyx.pipeline import Job, Unit
from smplifyx.pipeline.reading import PhotoReader
from tests.photo_folders import person


class Detecting:
    """A detector that finds the same person in each photo."""

    def __init__(self) -> None:
        self.seen: list[Path] = []

    def __call__(self, photo: NDArray[np.uint8], path: Path, digest: str) -> None:
        self.seen.append(path)
        write_openpose(path, [person()], digest)


def write_photo(path: Path, grey: int) -> None:
    cv2.imwrite(str(path), np.full((300, 200, 3), grey, np.uint8))


def job_of(folder: Path, **run: str) -> Job:
    given = {"images": folder, "output": folder / "out", "device": "cpu"} | run
    overrides = [Override(f"run.{name}", str(value)) for name, value in given.items()]
    return Job(*load_run(None, [*overrides, Override("body.gender", "neutral")]))


@pytest.fixture
def unit(tmp_path: Path) -> Unit:
    write_photo(tmp_path / "photo.png", 100)
    return Unit("photo", tmp_path / "photo.png", None)


def test_people_are_detected_again_in_a_photo_that_was_replaced(unit: Unit) -> None:
    """Also by a run that starts later; people of other runs are those of the same photo."""
    detecting = Detecting()
    for n_detected, grey in ((1, 100), (1, 100), (2, 150), (2, 150)):
        write_photo(unit.image, grey)
        photo = PhotoReader(job_of(unit.image.parent), torch.device("cpu"), detecting).read(unit)
        assert photo.outcome.people == ("000",) and not photo.outcome.failures
        assert len(detecting.seen) == n_detected


def test_keypoints_of_others_are_used_as_they_are(unit: Unit) -> None:
    path = unit.image.parent / "out" / "keypoints" / "photo_keypoints.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"people": [person()]}))
    detecting = Detecting()
    PhotoReader(job_of(unit.image.parent), torch.device("cpu"), detecting).read(unit)
    assert not detecting.seen


def test_a_full_disk_is_no_failure_of_a_photo(unit: Unit) -> None:
    def full(photo: NDArray[np.uint8], path: Path, digest: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    reader = PhotoReader(job_of(unit.image.parent), torch.device("cpu"), full)
    with pytest.raises(OutputError, match=r"photo_keypoints\.json: No space left"):
        reader.read(unit)


def test_whatever_a_library_raises_fails_one_photo(unit: Unit, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path) -> None:
        raise RuntimeError("an odd header")

    monkeypatch.setattr("smplifyx.pipeline.reading.read_header", broken)
    reader = PhotoReader(job_of(unit.image.parent), torch.device("cpu"), Detecting())
    for photo in (reader.read(unit), reader.inspect(unit)):
        assert [one.reason for one in photo.outcome.failures] == ["RuntimeError: an odd header"]
