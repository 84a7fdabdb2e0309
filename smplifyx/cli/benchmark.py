"""``smplifyx benchmark``: speed, memory, and the cost of the self-collision term."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from smplifyx.cli import messages
from smplifyx.cli.options import natural, positive
from smplifyx.errors import UsageError

_DESCRIPTION = """Fit synthetic people (body, hands and face, true camera) in
batches of several sizes, each in a process of its own. Measures seconds,
evaluations and peak memory; the full mesh of the smplx package in the same
run, where that is installed; the self-collision term's cost; a whole
`smplifyx fit` for one photo, start-up included, phase by phase; and whole
runs over many photos, pictures included, by the number of workers.

examples:
  smplifyx benchmark
  smplifyx benchmark --batch-sizes 1 8 32 64 128 --threads 1
  smplifyx benchmark --only startup --repeats 5
  smplifyx benchmark --only workers --workers 1 2
  smplifyx benchmark --only collisions --mocap cmu_body_pose.npz"""

_PARTS = ("batches", "mesh", "collisions", "startup", "workers")
#: Workers take minutes.
_DEFAULT_PARTS = _PARTS[:-1]
_BATCH_SIZES = (1, 8, 32, 64, 128)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "benchmark",
        help="speed and memory",
        description=_DESCRIPTION,
        epilog="--SECTION.KEY VALUE changes a setting of the fit",
    )
    parser.add_argument(
        "--only",
        metavar="PART",
        nargs="+",
        choices=_PARTS,
        default=_DEFAULT_PARTS,
        help="parts to measure: batches, mesh, collisions, startup (default: these), workers",
    )
    batches = parser.add_argument_group("batches")
    batches.add_argument(
        "--batch-sizes", metavar="N", type=positive, nargs="+", default=_BATCH_SIZES, help="default: 1 8 32 64 128"
    )
    batches.add_argument(
        "--min-people", metavar="N", type=positive, default=8, help="people of small batches (default: %(default)s)"
    )
    collisions = parser.add_argument_group("collisions")
    collisions.add_argument(
        "--collision-people", metavar="N", type=positive, default=64, help="people (default: %(default)s)"
    )
    collisions.add_argument(
        "--repeats",
        metavar="N",
        type=positive,
        default=2,
        help="repeated fits, also of startup (default: %(default)s)",
    )
    collisions.add_argument("--mocap", metavar="FILE", type=Path, help="body poses (.npz)")
    workers = parser.add_argument_group("workers")
    workers.add_argument(
        "--workers", metavar="N", type=positive, nargs="+", default=(1, 2), help="numbers of them (default: 1 2)"
    )
    workers.add_argument(
        "--worker-people",
        metavar="N",
        type=positive,
        default=160,
        help="people, one a photo (default: %(default)s)",
    )
    parser.add_argument("--seed", metavar="N", type=natural, default=0, help="of the people (default: %(default)s)")
    parser.add_argument("--config", metavar="FILE", help="settings (YAML) or a shipped configuration by name")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="default: %(default)s")
    parser.add_argument("--threads", metavar="N", type=positive, default=1, help="of torch (default: %(default)s)")
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write all figures to a file")
    parser.set_defaults(run=_run, options=())


def _run(arguments: argparse.Namespace) -> int:
    import torch

    from smplifyx.cli.run_common import load_body
    from smplifyx.config import load_config
    from smplifyx.evaluation import speed

    if arguments.collision_people < 2:
        raise UsageError("--collision-people: expected at least 2")
    if "workers" in arguments.only and arguments.worker_people < 2:
        raise UsageError("--worker-people: expected at least 2")
    messages.check_input_file(arguments.mocap, "--mocap")
    config = load_config(arguments.config, arguments.overrides)
    torch.set_num_threads(arguments.threads)
    data = load_body(config.body.models_dir)
    figures: dict[str, Any] = {"machine": speed.describe_machine()}
    full_mesh = speed.measure_full_mesh(data) if "mesh" in arguments.only else None
    if full_mesh is not None:
        figures["full_mesh_ms"] = full_mesh
        messages.say(f"Full mesh by the smplx package, one person: {full_mesh:.1f} ms an evaluation with gradient.\n")
    elif "mesh" in arguments.only:
        messages.note("the package smplx is not installed; its full mesh is left out")
    if "batches" in arguments.only:
        figures["batches"] = _batches(arguments, config, full_mesh)
    if "collisions" in arguments.only:
        figures["collisions"] = _collisions(arguments, config, data)
    if "startup" in arguments.only:
        figures["startup"] = _startup(arguments, data)
    if "workers" in arguments.only:
        figures["workers"] = _workers(arguments, data)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0


def _batches(arguments: argparse.Namespace, config: Any, full_mesh: float | None) -> list[dict[str, Any]]:
    from smplifyx.evaluation import speed
    from smplifyx.evaluation.tables import markdown

    measured = []
    for size in arguments.batch_sizes:
        n_people = max(size, arguments.min_people)
        call = (config, size, n_people, arguments.seed, arguments.device, arguments.threads)
        measured.append(speed.in_own_process(speed.measure_batches, *call))
        messages.note(f"batch of {size} done")
    messages.say(markdown(speed.batch_table(measured, full_mesh)))
    return [asdict(one) for one in measured]


def _startup(arguments: argparse.Namespace, data: Any) -> dict[str, list[dict[str, Any]]]:
    from smplifyx.evaluation import speed
    from smplifyx.evaluation.tables import markdown
    from smplifyx.evaluation.trials import make_people

    (person,) = make_people(data, 1, arguments.seed, None)
    timelines = speed.measure_command(person, arguments.repeats)
    messages.say(f"\n`smplifyx fit`, one person, seconds\n\n{markdown(speed.command_table(timelines))}")
    return {title: [asdict(one) for one in runs] for title, runs in timelines.items()}


def _workers(arguments: argparse.Namespace, data: Any) -> list[dict[str, Any]]:
    from smplifyx.evaluation.tables import markdown
    from smplifyx.evaluation.trials import make_people
    from smplifyx.evaluation.worker_speed import measure_workers, worker_table

    people = make_people(data, arguments.worker_people, arguments.seed, None)
    n_few = max(1, len(people) // 4)
    measured = [measure_workers(people, number, n_few) for number in arguments.workers]
    messages.say(f"\n`smplifyx fit` with pictures, by workers\n\n{markdown(worker_table(measured))}")
    return [asdict(one) for one in measured]


def _collisions(arguments: argparse.Namespace, config: Any, data: Any) -> dict[str, Any]:
    from smplifyx.evaluation.collision_cost import check_candidates, time_term
    from smplifyx.evaluation.tables import markdown
    from smplifyx.evaluation.trials import make_people

    people = make_people(data, arguments.collision_people, arguments.seed, arguments.mocap)
    alone = people[: max(2, arguments.min_people)]
    sizes = sorted({1, max(arguments.batch_sizes)})
    rows = [
        time_term(data, config, alone if size == 1 else people, size, arguments.repeats, arguments.device)
        for size in sizes
    ]
    messages.say(f"\nThe self-collision term\n\n{markdown(rows)}\n")
    sentences = check_candidates(data, config, people, max(arguments.batch_sizes), arguments.device)
    messages.say("\n".join(sentences))
    return {"rows": rows, "sentences": sentences}
