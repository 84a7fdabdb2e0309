"""Measure a run of ``smplifyx fit`` on this machine, and compute the cost of many photos on a cluster from it.

python -m tools.cluster_costs [--people N] [--photos N ...] [--machines N ...] [--cores N] [--gpu NAME=PEOPLE/S]

Processor time is measured, not elapsed time, so that other work on the machine hardly matters. Speeds of GPUs come
from scripts/gpu_check.sh. Whatever is computed and not measured stands in a table of its own.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smplifyx.body.files import load_body_model_data
from smplifyx.body.search import find_body_model
from smplifyx.evaluation.tables import markdown
from smplifyx.evaluation.worker_speed import run_fit
from smplifyx.synthetic.people import SyntheticOptions, synthetic_people

_SEED = 12


@dataclass(frozen=True)
class Costs:
    """Measured costs.

    Attributes:
        n_people: people of the run, one a photo.
        seconds_per_person: of one processor core.
        start_seconds: of one processor core until the first person, for each worker.
        bytes_per_person: on the disk.
    """

    n_people: int
    seconds_per_person: float
    start_seconds: float
    bytes_per_person: float


def measure(n_people: int, options: Sequence[str]) -> Costs:
    """Fit one person, and then many, each in a run of its own with one worker.

    Args:
        n_people: how many; at least 2.
        options: further options of ``smplifyx fit``.

    Raises:
        subprocess.CalledProcessError: a run failed.
    """
    data = load_body_model_data(find_body_model("smplx", "neutral"))
    people = list(synthetic_people(data, n_people, SyntheticOptions(seed=_SEED)))
    options = ["--workers", "1", *options]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _, one = run_fit(people[:1], folder / "one", options)
        _, many = run_fit(people, folder / "many", options)
        files = (folder / "many" / "output").rglob("*")
        size = sum(path.stat().st_size for path in files if path.is_file())
    each = (many - one) / (n_people - 1)
    return Costs(n_people, each, one - each, size / n_people)


def measured_table(costs: Costs) -> list[dict[str, str]]:
    """Measured figures."""
    rows = {
        "processor": _processor(),
        "people in the run, one a photo": f"{costs.n_people}",
        "processor seconds a person": f"{costs.seconds_per_person:.2f}",
        "processor seconds of a worker's start": f"{costs.start_seconds:.1f}",
        "kB on the disk a person": f"{costs.bytes_per_person / 1e3:.0f}",
    }
    return [{"measured": name, "value": value} for name, value in rows.items()]


def extrapolated_table(
    costs: Costs,
    n_photos: Sequence[int],
    n_machines: Sequence[int],
    n_cores: int,
    efficiency: float,
    gpus: dict[str, float],
) -> list[dict[str, str]]:
    """Cost of photos with one person each.

    Args:
        costs: the measured costs.
        n_photos: numbers of photos.
        n_machines: numbers of machines, or of GPUs.
        n_cores: cores of a machine, one worker each.
        efficiency: share of its speed alone that a worker has with all cores at work.
        gpus: people a second by the name of a GPU.
    """
    rows = []
    for count in n_photos:
        disk = f"{count * costs.bytes_per_person / 1e9:.0f} GB"
        core_seconds = count * costs.seconds_per_person / efficiency
        for machines in n_machines:
            seconds = core_seconds / (machines * n_cores) + costs.start_seconds
            rows.append(
                {
                    "photos": f"{count:,}",
                    "on": f"{machines} x {n_cores} cores",
                    "takes": _duration(seconds),
                    "hours of cores or GPUs": f"{core_seconds / 3600:,.0f}",
                    "disk": disk,
                }
            )
        for name, speed in gpus.items():
            for machines in n_machines:
                rows.append(
                    {
                        "photos": f"{count:,}",
                        "on": f"{machines} x {name}",
                        "takes": _duration(count / speed / machines),
                        "hours of cores or GPUs": f"{count / speed / 3600:,.1f}",
                        "disk": disk,
                    }
                )
    return rows


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2.0 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _gpu(text: str) -> tuple[str, float]:
    name, _, speed = text.partition("=")
    try:
        return name, float(speed)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected NAME=PEOPLE_PER_SECOND, found {text!r}") from None


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--people", type=int, default=48, metavar="N", help="of the run (default: %(default)s)")
    parser.add_argument("--photos", type=int, nargs="+", default=[100_000, 1_000_000], metavar="N")
    parser.add_argument("--machines", type=int, nargs="+", default=[1, 10, 50], metavar="N")
    parser.add_argument("--cores", type=int, default=32, metavar="N", help="of a machine (default: %(default)s)")
    parser.add_argument(
        "--efficiency", type=float, default=0.9, help="of a core with all others at work (default: %(default)s)"
    )
    parser.add_argument("--gpu", type=_gpu, action="append", default=[], metavar="NAME=PEOPLE_PER_SECOND")
    parser.add_argument("--option", action="append", default=[], metavar="TEXT", help="of smplifyx fit")
    options = parser.parse_args(arguments)
    if options.people < 2:
        parser.error("expected --people 2 or more")
    costs = measure(options.people, options.option)
    print(f"Measured\n\n{markdown(measured_table(costs))}\n")
    rows = extrapolated_table(
        costs, options.photos, options.machines, options.cores, options.efficiency, dict(options.gpu)
    )
    print(f"Extrapolated, one person a photo\n\n{markdown(rows)}")


if __name__ == "__main__":
    main()
