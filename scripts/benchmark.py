"""Measures how fast synthetic people are fitted: one row a batch size, each in a process of its own.

The table tells people a second, evaluations of the objective and their price, and peak memory. Below it stand the
price of one evaluation through the `smplx` package's full mesh, where that is installed, and the time of a whole
`smplifyx fit` for one photo, start-up included.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from smplifyx.body.data import BodyModelData
from smplifyx.body.files import load_body_model_data, write_plain
from smplifyx.body.search import find_body_model
from smplifyx.camera import Camera
from smplifyx.config import Config, Override, load_config
from smplifyx.fitting import solver
from smplifyx.fitting.fitter import Fitter
from smplifyx.keypoints import Observation
from smplifyx.optim.lbfgs import LBFGSResult, minimize
from smplifyx.synthetic.documents import write_openpose_json
from smplifyx.synthetic.people import SyntheticOptions, SyntheticPerson, synthetic_people

_BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_N_HAND_COMPONENTS = 12
_FULL_MESH_REPEATS = 20
_MEASURE = "--measure"  # how this script calls itself


class EvaluationCounter:
    """Stands in for the fitter's ``minimize`` and counts evaluations: calls for a batch, rows and seconds in all."""

    def __init__(self) -> None:
        self.calls, self.rows, self.seconds = 0, 0, 0.0

    def minimize(self, objective: Callable[..., Any], *arguments: Any, **options: Any) -> LBFGSResult:
        """As :func:`smplifyx.optim.lbfgs.minimize`."""

        def counted(x: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            started = time.perf_counter()
            loss, gradient = objective(x, rows)
            self.seconds += time.perf_counter() - started
            self.calls, self.rows = self.calls + 1, self.rows + len(x)
            return loss, gradient

        return minimize(counted, *arguments, **options)


def parse_arguments() -> tuple[argparse.Namespace, list[Override]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=_BATCH_SIZES, metavar="N")
    parser.add_argument("--min-people", type=int, default=8, help="a small batch is repeated to reach this number")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="threads of torch; default: its own choice")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--config", help="settings of the fitter (YAML)")
    parser.add_argument("--set", nargs=2, action="append", default=[], metavar=("KEY", "VALUE"), dest="overrides")
    parser.add_argument("--no-command", action="store_true", help="leave out the whole `smplifyx fit`")
    parser.add_argument("--json", type=Path, help="also write all figures here")
    parser.add_argument(_MEASURE, nargs=2, metavar=("BATCH_SIZE", "PEOPLE.npz"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    return arguments, [Override(key, value) for key, value in arguments.overrides]


def main() -> None:
    arguments, overrides = parse_arguments()
    config = load_config(arguments.config, overrides)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.measure:
        batch_size, people = arguments.measure
        print(json.dumps(measure_batches(config, int(batch_size), Path(people), arguments.device)))
        return
    data = _body(config)
    n_people = max(*arguments.batch_sizes, arguments.min_people)
    people = list(synthetic_people(data, n_people, SyntheticOptions(seed=arguments.seed)))
    figures: dict[str, Any] = {"machine": _machine(), "batches": []}
    with tempfile.TemporaryDirectory() as folder:
        for batch_size in arguments.batch_sizes:
            file = Path(folder) / f"people_{batch_size}.npz"
            save_people(people[: max(batch_size, arguments.min_people)], file)
            figures["batches"].append(_in_own_process(batch_size, file, arguments))
            print(f"batch of {batch_size} done", file=sys.stderr)
        figures["full_mesh_ms_per_evaluation"] = measure_full_mesh(data, Path(folder))
        if not arguments.no_command:
            figures["command_seconds"] = measure_command(people[0], Path(folder))
    print(format_figures(figures))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def _body(config: Config) -> BodyModelData:
    return load_body_model_data(find_body_model("smplx", "neutral", config.body.models_dir))


def _machine() -> dict[str, Any]:
    return {"processor": platform.machine(), "cores": os.cpu_count(), "torch": torch.__version__}


def save_people(people: list[SyntheticPerson], path: Path) -> None:
    """What the fitter may know about the people."""
    np.savez(
        path,
        keypoints=np.stack([person.keypoints_2d for person in people]).astype(np.float32),
        image_size=np.array([person.image_size for person in people]),
        focal_length=np.array([person.focal_length for person in people]),
        principal_point=np.stack([person.principal_point for person in people]),
    )


def load_people(path: Path) -> list[Observation]:
    """Observations, with the true cameras, of :func:`save_people`."""
    with np.load(path) as file:
        rows = list(zip(*(file[name] for name in file.files), strict=True))
    return [
        Observation(keypoints, size, Camera(focal_length, center, "calibration"), stem=f"person_{k}")
        for k, (keypoints, size, focal_length, center) in enumerate(rows)
    ]


def measure_batches(config: Config, batch_size: int, people: Path, device: str) -> dict[str, Any]:
    """Fits all people of a file in batches, after one whose time, that of first calls, does not count."""
    observations = load_people(people)
    fitter = Fitter(_body(config), config=config, device=device, batch_size=batch_size)
    fitter.fit(observations[:1])
    counter = EvaluationCounter()
    solver.minimize = counter.minimize
    started, started_cpu = time.perf_counter(), time.process_time()
    results = []
    for first in range(0, len(observations), batch_size):
        batch = slice(first, first + batch_size)
        results += fitter.fit(observations[batch])
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - started_cpu
    n_people = len(observations)
    return {
        "batch_size": batch_size,
        "n_people": n_people,
        "people_per_second": n_people / seconds,
        "seconds_per_person": seconds / n_people,
        "cpu_seconds_per_person": cpu_seconds / n_people,
        "evaluations_per_person": counter.rows / n_people,
        "ms_per_evaluation_of_batch": 1e3 * counter.seconds / counter.calls,
        "ms_per_evaluation_of_person": 1e3 * counter.seconds / counter.rows,
        "share_of_time_in_evaluations": counter.seconds / seconds,
        "reprojection_error_px": float(np.nanmean([result.reprojection_error_px for result in results])),
        "peak_memory_mib": peak_memory_mib(),
        "threads": torch.get_num_threads(),
    }


def peak_memory_mib() -> float:
    """Most memory that this process has held."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss starts from what the parent process held
        return float(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _in_own_process(batch_size: int, people: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """:func:`measure_batches` where nothing else has used memory yet."""
    command = [sys.executable, __file__, _MEASURE, str(batch_size), str(people), "--device", arguments.device]
    command += ["--config", arguments.config] if arguments.config else []
    command += ["--threads", str(arguments.threads)] if arguments.threads else []
    for key_and_value in arguments.overrides:
        command += ["--set", *key_and_value]
    figures: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return figures


def measure_full_mesh(data: BodyModelData, folder: Path) -> float | None:
    """Milliseconds of one evaluation with gradient of all vertices of one person, by the `smplx` package; or None."""
    try:
        import smplx
    except ImportError:
        return None

    write_plain(data, folder / "models" / "smplx" / "SMPLX_NEUTRAL.npz")
    # The package's own points lie elsewhere on our mesh, which costs the same.
    body = smplx.create(
        str(folder / "models"),
        "smplx",
        use_pca=True,
        num_pca_comps=_N_HAND_COMPONENTS,
        use_face_contour=True,
    )

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


def measure_command(person: SyntheticPerson, folder: Path) -> dict[str, tuple[float, float]]:
    """Seconds and processor seconds of a whole `smplifyx fit` for one person, with and without pictures."""
    images, keypoints = folder / "images", folder / "keypoints"
    images.mkdir()
    keypoints.mkdir()
    width, height = person.image_size
    cv2.imwrite(str(images / "photo.jpg"), np.full((height, width, 3), 128, np.uint8))
    write_openpose_json([person], keypoints / "photo_keypoints.json")
    program = Path(sys.executable).with_name("smplifyx")
    seconds = {}
    for name, options in (("with pictures", []), ("without", ["--no-render"])):
        command = [str(program), "fit", "--images", str(images), "--keypoints", str(keypoints)]
        command += ["--output", str(folder / name), *options]
        started, started_cpu = time.perf_counter(), _children_cpu_seconds()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds[name] = (time.perf_counter() - started, _children_cpu_seconds() - started_cpu)
    return seconds


def _children_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def format_figures(figures: dict[str, Any]) -> str:
    """Markdown."""
    lines = [
        "| batch | people/s | s/person | processor s/person | evaluations/person | ms/evaluation of batch "
        "| ms/evaluation of person | peak MiB | threads |",
        "|" + "---:|" * 9,
    ]
    for row in figures["batches"]:
        lines.append(
            f"| {row['batch_size']} | {row['people_per_second']:.1f} | {row['seconds_per_person']:.3f} "
            f"| {row['cpu_seconds_per_person']:.3f} "
            f"| {row['evaluations_per_person']:.0f} | {row['ms_per_evaluation_of_batch']:.2f} "
            f"| {row['ms_per_evaluation_of_person']:.3f} | {row['peak_memory_mib']:.0f} | {row['threads']} |"
        )
    full = figures["full_mesh_ms_per_evaluation"]
    if full is not None:
        best = min(row["ms_per_evaluation_of_person"] for row in figures["batches"])
        lines += [
            "",
            f"Full mesh through smplx, batch of 1: {full:.1f} ms an evaluation, {full / best:.0f} times ours.",
        ]
    for name, (seconds, cpu) in figures.get("command_seconds", {}).items():
        lines += [
            "",
            f"`smplifyx fit`, one person, start-up included, {name}: {seconds:.1f} s ({cpu:.1f} s processor).",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
