"""A worker over many photos: it reads ahead by a bounded number, and an input that fails costs itself alone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from smplifyx.config import Override, load_run
from smplifyx.errors import UsageError
from smplifyx.keypoints import read_image
from smplifyx.pipeline import Job, Unit
from smplifyx.pipeline.worker import Worker, use_threads
from smplifyx.pipeline.worklist import list_work
from smplifyx.result import load_result
from tests.photo_folders import Folders, person


def job_of(folders: Folders, *overrides: tuple[str, str]) -> tuple[Job, list[Unit]]:
    quick = [("optimizer.max_iterations", "1"), ("collision.enabled", "false"), ("starts.depth_flips", "0")]
    quick += [("output.mesh_format", "none"), ("output.render", "false"), ("body.gender", "neutral")]
    config, run = load_run(None, [Override(*one) for one in (*quick, *overrides)])
    run = replace(run, images=folders.images, keypoints=folders.keypoints, output=folders.output, device="cpu")
    return Job(config, run), list_work(run, {})[0].units


def many_photos(folder: Path, n_photos: int) -> Folders:
    folders = Folders(folder)
    folders.add("photo000", [person()])
    for number in range(1, n_photos):
        shutil.copy(folders.images / "photo000.png", folders.images / f"photo{number:03d}.png")
        first, name = folders.keypoints / "photo000_keypoints.json", f"photo{number:03d}_keypoints.json"
        shutil.copy(first, folders.keypoints / name)
    return folders


def test_the_first_people_are_written_long_before_the_last_photo_is_read(tmp_path: Path) -> None:
    folders = many_photos(tmp_path, 80)
    job, units = job_of(folders, ("run.batch_size", "4"))
    taken = []

    def lazily() -> Iterator[Unit]:
        for unit in units:
            taken.append(unit.stem)
            yield unit

    outcomes = Worker(job).run(lazily())
    first = next(outcomes)
    assert len(taken) <= 40  # the queues and three batches
    assert (folders.output / "results" / first.unit.stem / "000.npz").is_file()
    stems = [first.unit.stem, *(one.unit.stem for one in outcomes)]
    assert sorted(stems) == [unit.stem for unit in units]


def test_a_photo_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = Folders(tmp_path)
    folders.add("two", [person(-30), person(30)])
    job, units = job_of(folders, ("output.render", "true"), ("body.gender", "auto"))
    read = []
    for module in ("reading", "writing"):
        monkeypatch.setattr(
            f"smplifyx.pipeline.{module}.read_image", lambda *given: read.append(given[0]) or read_image(*given)
        )
    (outcome,) = Worker(job).run(units)
    assert not outcome.failures and len(read) == 1
    assert (folders.output / "images" / "two" / "overlay.jpg").is_file()


def test_a_worker_may_run_again(tmp_path: Path) -> None:
    folders = many_photos(tmp_path, 3)
    job, units = job_of(folders)
    worker = Worker(job)
    assert [len(list(worker.run(units[part]))) for part in (slice(0, 2), slice(2, 3))] == [2, 1]
    assert [one.kept for one in worker.run(units)] == [("000",)] * 3


def test_whatever_a_decoder_raises_fails_one_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = many_photos(tmp_path, 3)
    job, units = job_of(folders)

    def read(path: Path, scale: float = 1.0) -> np.ndarray:
        if path.stem == "photo001":
            raise RuntimeError("no memory in libavif")
        return read_image(path, scale)

    monkeypatch.setattr("smplifyx.pipeline.reading.read_image", read)
    outcomes = {one.unit.stem: one for one in Worker(job).run(units)}
    assert [str(one) for one in outcomes["photo001"].failures] == [
        f"{folders.images / 'photo001.png'}: RuntimeError: no memory in libavif"
    ]
    assert outcomes["photo000"].n_fitted == outcomes["photo002"].n_fitted == 1


def test_arithmetic_uses_as_many_threads_as_it_is_told() -> None:
    before = torch.get_num_threads()
    try:
        for n_threads in (2, 1):
            use_threads(n_threads)
            assert (torch.get_num_threads(), cv2.getNumThreads()) == (n_threads, n_threads)
    finally:
        use_threads(before)


def test_a_damaged_prior_ends_the_run(tmp_path: Path) -> None:
    job, units = job_of(many_photos(tmp_path, 1), ("priors.vposer", __file__))
    with pytest.raises(UsageError, match=r"test_worker\.py"):
        list(Worker(job).run(units))


def test_results_do_not_depend_on_batches_order_or_company(tmp_path: Path) -> None:
    """Bits of all arrays; gender and its probability too."""
    folders = Folders(tmp_path)
    for number in range(5):
        folders.add(f"photo{number}", [person(3.0 * number - 40), person(3.0 * number + 20)])
    auto = ("body.gender", "auto")
    job, units = job_of(folders, auto, ("run.batch_size", "32"))
    assert sum(one.n_fitted for one in Worker(job).run(units)) == 10
    other = replace(job, run=replace(job.run, output=tmp_path / "other", batch_size=3))
    worker = Worker(other)
    for part in (units[4:2:-1], units[:1], units[1:3]):
        list(worker.run(part))
    for path in sorted(folders.output.glob("results/*/*.npz")):
        one, two = load_result(path), load_result(tmp_path / "other" / path.relative_to(folders.output))
        for name, value in vars(one).items():
            if not name.startswith("_") and name != "seconds":
                np.testing.assert_equal(value, getattr(two, name), err_msg=f"{path} {name}")
