"""Speed and memory of fits to synthetic people, beside the full mesh of the ``smplx`` package."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor

from smplifyx.body.data import BodyModelData
from smplifyx.body.files import load_body_model_data
from smplifyx.body.plain_writing import write_plain
from smplifyx.body.search import find_body_model
from smplifyx.config import Config
from smplifyx.evaluation.startup import Timeline, measure_timeline
from smplifyx.evaluation.tables import Row
from smplifyx.evaluation.usage import peak_memory_mib
from smplifyx.fitting import solver
from smplifyx.fitting.fitter import Fitter
from smplifyx.fitting.native_source import LANES
from smplifyx.optim.lbfgs import minimize
from smplifyx.optim.problem import Evaluation, LBFGSResult, Objective
from smplifyx.synthetic.documents import observation_of, write_openpose_json
from smplifyx.synthetic.people import SyntheticOptions, SyntheticPerson, synthetic_people

_N_HAND_COMPONENTS = 12
_FULL_MESH_REPEATS = 20

Figures = TypeVar("Figures")


@dataclass(frozen=True)
class BatchFigures:
    """Fits of the same people in batches of one size.

    Attributes:
        batch_size: people in a batch.
        n_people: people in all.
        seconds_per_person: elapsed.
        cpu_seconds_per_person: of the processor.
        evaluations_per_person: evaluations of the objective, those of all starts of a person together.
        share_of_rows: of a batch that are not finished, the mean over all evaluations; others are not evaluated.
        share_of_lanes: of the processor's vector registers that are filled.
        ms_per_evaluation_of_batch, ms_per_evaluation_of_person: time of one evaluation, and a person's share of it.
        peak_memory_mib: largest memory of a process that did nothing else.
        threads: of torch.
    """

    batch_size: int
    n_people: int
    seconds_per_person: float
    cpu_seconds_per_person: float
    evaluations_per_person: float
    share_of_rows: float
    share_of_lanes: float
    ms_per_evaluation_of_batch: float
    ms_per_evaluation_of_person: float
    peak_memory_mib: float
    threads: int


@dataclass
class EvaluationCount:
    """Evaluations of the objective.

    Attributes:
        calls: evaluations of a batch.
        rows: of them all; finished rows are left out.
        all_rows: the same, if finished rows were evaluated until the last row of their batch is finished.
        lanes: the same, filled up to whole vector registers of the processor.
        seconds: of them all.
    """

    calls: int = 0
    rows: int = 0
    all_rows: int = 0
    lanes: int = 0
    seconds: float = 0.0


@contextmanager
def counted_evaluations() -> Iterator[EvaluationCount]:
    """Count and time the evaluations of all fits inside the block."""
    count = EvaluationCount()

    def counted(objective: Objective) -> Objective:
        n_rows = 0

        def evaluation_of(rows: Tensor) -> Evaluation:
            nonlocal n_rows
            n_rows = max(n_rows, len(rows))
            evaluate = objective(rows)

            def evaluation(x: Tensor) -> tuple[Tensor, Tensor]:
                started = time.perf_counter()
                result = evaluate(x)
                count.seconds += time.perf_counter() - started
                count.calls, count.rows = count.calls + 1, count.rows + len(x)
                count.all_rows += n_rows
                count.lanes += -(-len(x) // LANES) * LANES
                return result

            return evaluation

        return evaluation_of

    def counting_minimize(objective: Objective, *arguments: object, **options: object) -> LBFGSResult:
        return minimize(counted(objective), *arguments, **options)  # type: ignore[arg-type]

    original = solver.minimize
    solver.minimize = counting_minimize
    try:
        yield count
    finally:
        solver.minimize = original


def measure_batches(
    config: Config, batch_size: int, n_people: int, seed: int, device: str = "cpu", threads: int | None = None
) -> BatchFigures:
    """Fit people in batches, after one whose time, that of first calls, does not count.

    Args:
        config: settings of the fit.
        batch_size: people in a batch.
        n_people: people in all.
        seed: of the synthetic people.
        device: where to compute.
        threads: of torch; None for its own choice.
    """
    if threads:
        torch.set_num_threads(threads)
    data = load_body_model_data(find_body_model("smplx", "neutral", config.body.models_dir))
    people = synthetic_people(data, n_people, SyntheticOptions(seed=seed))
    observations = [observation_of(person, with_camera=True) for person in people]
    fitter = Fitter(data, config=config, device=device, batch_size=batch_size)
    fitter.fit(observations[:1])
    with counted_evaluations() as count:
        started, started_cpu = time.perf_counter(), time.process_time()
        fitter.fit(observations)
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - started_cpu
    return BatchFigures(
        batch_size=batch_size,
        n_people=n_people,
        seconds_per_person=seconds / n_people,
        cpu_seconds_per_person=cpu_seconds / n_people,
        evaluations_per_person=count.rows / n_people,
        share_of_rows=count.rows / count.all_rows,
        share_of_lanes=count.rows / count.lanes,
        ms_per_evaluation_of_batch=1e3 * count.seconds / count.calls,
        ms_per_evaluation_of_person=1e3 * count.seconds / count.rows,
        peak_memory_mib=peak_memory_mib(),
        threads=torch.get_num_threads(),
    )


def in_own_process(measure: Callable[..., Figures], *arguments: object) -> Figures:
    """Call a function in a new process, where nothing else has used memory yet."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, *arguments).result()


def measure_full_mesh(data: BodyModelData) -> float | None:
    """Milliseconds of one evaluation with gradient of all vertices of one person by the ``smplx`` package.

    None where the package is not installed.
    """
    try:
        import smplx
    except ImportError:
        return None

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        write_plain(data, Path(folder) / "smplx" / "SMPLX_NEUTRAL.npz")
        # The package's own points lie elsewhere on our mesh, which costs the same.
        body = smplx.create(folder, "smplx", use_pca=True, num_pca_comps=_N_HAND_COMPONENTS, use_face_contour=True)

    def evaluate() -> None:
        output = body()
        loss = output.vertices.square().sum() + output.joints.square().sum()
        torch.autograd.grad(loss, list(body.parameters()), allow_unused=True)

    evaluate()
    times = []
    for _ in range(_FULL_MESH_REPEATS):
        started = time.perf_counter()
        evaluate()
        times.append(time.perf_counter() - started)
    return 1e3 * float(np.median(times))


def measure_command(person: SyntheticPerson, repeats: int) -> dict[str, list[Timeline]]:
    """Timelines of whole ``smplifyx fit`` for one person, with and without pictures, in turns."""
    timelines: dict[str, list[Timeline]] = {"with pictures": [], "without pictures": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images, keypoints = folder / "images", folder / "keypoints"
        images.mkdir()
        width, height = person.image_size
        cv2.imwrite(str(images / "photo.jpg"), np.full((height, width, 3), 128, np.uint8))
        write_openpose_json([person], keypoints / "photo_keypoints.json")
        inputs = ("fit", "--images", str(images), "--keypoints", str(keypoints))
        for k in range(repeats):
            for title, measured in timelines.items():
                options = ["--no-render"] if "without" in title else []
                measured.append(measure_timeline([*inputs, "--output", str(folder / f"{title} {k}"), *options]))
    return timelines


def command_table(timelines: Mapping[str, Sequence[Timeline]]) -> list[Row]:
    """One row a phase: seconds of each kind of run and processor time of its main thread, of the quickest run."""
    best = {title: min(runs, key=lambda one: one.seconds) for title, runs in timelines.items()}
    names = dict.fromkeys(name for one in best.values() for name in one.phases)
    rows: list[Row] = []
    for name in names:
        row: Row = {"phase": name}
        for title, one in best.items():
            row[title] = f"{one.phases.get(name, 0.0):.2f}"
            row[f"{title}, processor"] = f"{one.processor.get(name, 0.0):.2f}"
        rows.append(row)
    total: Row = {"phase": "in all; processor: all threads and processes"}
    for title, one in best.items():
        total[title], total[f"{title}, processor"] = f"{one.seconds:.2f}", f"{one.processor_seconds:.2f}"
    return [*rows, total]


def describe_machine() -> dict[str, str | int | None]:
    """Processor, number of cores and versions."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def batch_table(figures: Sequence[BatchFigures], full_mesh_ms: float | None = None) -> list[Row]:
    """One row a batch size.

    Args:
        figures: of the batches.
        full_mesh_ms: of one evaluation of the full mesh by the ``smplx`` package; None leaves the ratio out.
    """
    return [
        {
            "batch": one.batch_size,
            "people/s": 1.0 / one.seconds_per_person,
            "s/person": f"{one.seconds_per_person:.3f}",
            "processor s/person": f"{one.cpu_seconds_per_person:.3f}",
            "evaluations/person": f"{one.evaluations_per_person:.0f}",
            "rows unfinished": f"{one.share_of_rows:.0%}",
            "lanes filled": f"{one.share_of_lanes:.0%}",
            "ms/evaluation of batch": f"{one.ms_per_evaluation_of_batch:.2f}",
            "ms/evaluation of person": f"{one.ms_per_evaluation_of_person:.3f}",
            **(
                {"smplx's full mesh / it": f"{full_mesh_ms / one.ms_per_evaluation_of_person:.0f}"}
                if full_mesh_ms is not None
                else {}
            ),
            "peak MiB": f"{one.peak_memory_mib:.0f}",
            "threads": one.threads,
        }
        for one in figures
    ]
