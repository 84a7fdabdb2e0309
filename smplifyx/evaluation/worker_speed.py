"""Speed of a whole ``smplifyx fit`` by its number of workers, pictures included."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from smplifyx.evaluation.tables import Row
from smplifyx.evaluation.usage import children_seconds
from smplifyx.synthetic.documents import write_openpose_json
from smplifyx.synthetic.people import SyntheticPerson

#: Photos of this folder are given to the people in turn, so that pictures cost as much as real ones.
_PHOTOS = Path(__file__).parents[1] / "data" / "demo" / "images"


@dataclass(frozen=True)
class WorkerFigures:
    """Figures of the runs with one number of workers.

    Attributes:
        n_workers: processes that fit.
        n_people: people of the long run.
        seconds: of the long run, start and end included.
        seconds_per_person: the long run less the short one, by the people that it has more.
        processor_seconds_per_person: the same of the processor, all processes together.
    """

    n_workers: int
    n_people: int
    seconds: float
    seconds_per_person: float
    processor_seconds_per_person: float


def write_photos(people: Sequence[SyntheticPerson], folder: Path) -> None:
    """Write a photo and keypoints for each person into ``images`` and ``keypoints`` of a folder."""
    (folder / "images").mkdir(parents=True)
    photos = sorted(_PHOTOS.glob("*.jpg"))
    for number, person in enumerate(people):
        with Image.open(photos[number % len(photos)]) as photo:
            photo.resize(person.image_size).save(folder / "images" / f"photo_{number}.jpg")
        write_openpose_json([person], folder / "keypoints" / f"photo_{number}_keypoints.json")


def measure_workers(
    people: Sequence[SyntheticPerson], n_workers: int, n_few: int, options: Sequence[str] = ()
) -> WorkerFigures:
    """Fit all people, and some of them, with several workers.

    Start and end cost the same in both runs, so that their difference is the speed of a long run.

    Args:
        people: the people.
        n_workers: processes that fit.
        n_few: how many people the short run has.
        options: further options of ``smplifyx fit``.

    Raises:
        subprocess.CalledProcessError: a run failed.
    """
    options = ["--workers", str(n_workers), "--no-mesh", *options]
    with tempfile.TemporaryDirectory() as name:
        few, few_processor = run_fit(people[:n_few], Path(name) / "few", options)
        many, many_processor = run_fit(people, Path(name) / "many", options)
    n_more = len(people) - n_few
    each = (many - few) / n_more
    return WorkerFigures(n_workers, len(people), many, each, (many_processor - few_processor) / n_more)


def worker_table(figures: Sequence[WorkerFigures]) -> list[Row]:
    """A row for each number of workers; the others are compared with the first."""
    first = figures[0]
    return [
        {
            "workers": str(one.n_workers),
            "people/s": f"{1.0 / one.seconds_per_person:.2f}",
            f"times {first.n_workers}": f"{first.seconds_per_person / one.seconds_per_person:.2f}",
            "processor s/person": f"{one.processor_seconds_per_person:.3f}",
            f"s for {one.n_people} people": f"{one.seconds:.1f}",
        }
        for one in figures
    ]


def run_fit(people: Sequence[SyntheticPerson], folder: Path, options: Sequence[str]) -> tuple[float, float]:
    """Fit people on the processor; returns the seconds and the processor seconds of all processes.

    Args:
        people: the people, each with a photo.
        folder: is made, with ``images``, ``keypoints`` and ``output``.
        options: of ``smplifyx fit``.

    Raises:
        subprocess.CalledProcessError: the run failed.
    """
    write_photos(people, folder)
    command = [sys.executable, "-m", "smplifyx", "fit", "--images", str(folder / "images")]
    command += ["--keypoints", str(folder / "keypoints"), "--output", str(folder / "output")]
    command += ["--device", "cpu", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    start, processor = time.perf_counter(), children_seconds()
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start, children_seconds() - processor
