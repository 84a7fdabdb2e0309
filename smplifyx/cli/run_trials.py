"""Run ``evaluate`` on synthetic people, priors, genders, collisions and on photos without truth."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from smplifyx.body.data import BodyModelData
from smplifyx.cli import messages
from smplifyx.cli.messages import required_file
from smplifyx.cli.run_common import calibrated_scenes, fit_config, load_body, photo_people, print_report
from smplifyx.config import Config, Override, load_config
from smplifyx.errors import InputError, UsageError
from smplifyx.evaluation import restarts
from smplifyx.evaluation.detections import compare_detections, detection_rows, distance_rows, missed_rows
from smplifyx.evaluation.open_benchmark import OpenBenchmark, benchmark_people
from smplifyx.evaluation.photos import judge_folder, keypoint_rows, summary_rows, worst_rows
from smplifyx.evaluation.self_contact import (
    ContactCase,
    ContactFit,
    ContactJudge,
    comparison_rows,
    contact_picture,
    describe_truth,
    fit_cases,
    photo_cases,
    synthetic_cases,
)
from smplifyx.evaluation.tables import Row, csv_text, format_table, summarise
from smplifyx.evaluation.trials import (
    BODY_CHOICES,
    count_bent_backwards,
    evaluate_body_choice,
    evaluate_people,
    evaluate_views,
    fit_and_score,
    gender_tables,
    make_people,
    prior_table,
    truncation_groups,
)
from smplifyx.files import write_text
from smplifyx.output import SheetOptions, open_renderer, save_picture, write_contact_sheets
from smplifyx.result import FitResult
from smplifyx.synthetic.documents import observation_of
from smplifyx.synthetic.self_contact import POSES


def evaluate_synthetic(arguments: argparse.Namespace) -> int:
    """``evaluate synthetic``."""
    config = fit_config(arguments)
    data = load_body(config.body.models_dir, arguments.gender)
    people = make_people(data, arguments.people, arguments.seed, arguments.mocap)
    rows = fit_and_score(data, config, people, arguments.true_camera)
    parts = [] if arguments.summary else [format_table(rows)]
    parts += [
        f"{title} ({len(group)})\n{format_table(summarise(group))}"
        for title, group in truncation_groups(rows).items()
    ]
    return _finish(arguments.output, parts, rows)


def evaluate_restarts(arguments: argparse.Namespace) -> int:
    """``evaluate restarts``."""
    config = fit_config(arguments)
    data = load_body(config.body.models_dir)
    made = make_people(data, arguments.people, arguments.seed, arguments.mocap) if arguments.people else []
    photographed = photo_people(arguments.photos)
    people = [*(observation_of(one, with_camera=True) for one in made), *photographed]
    if not people:
        raise UsageError("--photos: expected people with keypoints, found none")
    rows: list[Row] = [{"person": one.name} for one in made]
    rows += [{"person": f"{one.stem} {one.person_index}"} for one in photographed]
    movements: list[Row] = []
    usual: list[FitResult] = []
    for title, settings in (("without collisions", restarts.without_collisions(config)), ("as configured", config)):
        moved, usual = restarts.movements_mm(data, settings, people, arguments.seed)
        movements.append(restarts.movement_row(title, moved))
        for row, distance in zip(rows, moved, strict=True):
            row[f"moved {title}, mm"] = float(distance)
    same = restarts.same_in_other_batches(data, config, people, usual)
    parts = [
        format_table(movements),
        f"{same.mean():.0%} of the people are the same to the bit alone, in batches of seven, and as copies.",
    ]
    if arguments.restarts:
        figures = restarts.restart(data, config, people, arguments.restarts, arguments.size, arguments.seed)
        parts.insert(0, format_table([restarts.restart_row(figures)]))
        for row, excess, loss in zip(rows, figures.excess, figures.loss, strict=True):
            row.update({"loss": float(loss), "above the lowest, %": 100 * float(excess)})
    return _finish(arguments.output, parts, rows)


def evaluate_gender(arguments: argparse.Namespace) -> int:
    """``evaluate gender``."""
    config = fit_config(arguments)
    benchmark = OpenBenchmark(arguments.people, arguments.seed, arguments.mocap)
    people = benchmark_people(benchmark, load_body(config.body.models_dir))
    rows = {choice: evaluate_body_choice(people, choice, config, arguments.true_camera) for choice in BODY_CHOICES}
    means, differences = gender_tables(rows)
    parts = [
        f"{len(people)} people, mean [95 % interval]\n{format_table(means)}",
        f"difference from the right body, person by person\n{format_table(differences)}",
    ]
    return _finish(arguments.output, parts, [row for choice in BODY_CHOICES for row in rows[choice]])


def evaluate_priors(arguments: argparse.Namespace) -> int:
    """``evaluate priors``."""
    torch.set_num_threads(arguments.threads)
    configs = {
        name: load_config(arguments.config, [*arguments.overrides, Override("priors.body_pose", name)])
        for name in arguments.priors
    }
    data = load_body(next(iter(configs.values())).body.models_dir)
    parts: list[str] = []
    rows: list[Row] = []

    def compare(table: str, title: str, evaluate: Callable[[Config], list[Row]]) -> None:
        of_prior = _with_each(configs, evaluate)
        parts.extend([title, prior_table(of_prior)])
        for prior, some in of_prior.items():
            rows.extend({"table": table, "prior": prior, "number": k, **row} for k, row in enumerate(some))

    if arguments.people:
        people = make_people(data, arguments.people, arguments.seed, arguments.mocap)
        bent = count_bent_backwards(people)
        title = f"{len(people)} synthetic people, {bent} of them truly bent backwards"
        compare("people", title, lambda config: evaluate_people(data, config, people))
    scenes = calibrated_scenes(arguments)
    if scenes:
        title = f"single views of {len(scenes)} calibrated scenes"
        compare("views", title, lambda config: evaluate_views(data, config, scenes))
    return _finish(arguments.output, parts, rows)


def _with_each(configs: Mapping[str, Config], evaluate: Callable[[Config], list[Row]]) -> dict[str, list[Row]]:
    figures = {}
    for name, config in configs.items():
        started = time.perf_counter()
        figures[name] = evaluate(config)
        messages.note(f"{name}: {time.perf_counter() - started:.0f} s")
    return figures


def evaluate_collisions(arguments: argparse.Namespace) -> int:
    """``evaluate collisions``."""
    config = fit_config(arguments)
    data = load_body(config.body.models_dir)
    judge = ContactJudge(data, config.collision)
    count = len(POSES) if arguments.poses is None else arguments.poses
    made = synthetic_cases(data, config, judge, arguments.output, count, arguments.seed) if count else []
    cases = made + photo_cases(photo_people(arguments.photos), config)
    fits = [
        fit_cases(data, replace(config, collision=replace(config.collision, enabled=enabled)), cases, judge)
        for enabled in (False, True)
    ]
    rows = comparison_rows(cases, *fits)
    parts = [format_table(rows)]
    for title, group in (("synthetic", rows[: len(made)]), ("photos", rows[len(made) :])):
        if group:
            parts.append(f"{title} ({len(group)})\n{format_table(summarise(group))}")
    if made:
        parts.append(describe_truth(made, judge))
    if not arguments.no_pictures:
        _draw(cases, fits, data, arguments.output)
    return _finish(arguments.output, parts, rows)


def _draw(
    cases: Sequence[ContactCase], fits: Sequence[Sequence[ContactFit]], data: BodyModelData, folder: Path
) -> None:
    renderer, problem = open_renderer()
    if problem:
        messages.note(problem)
    for number, (case, *pair) in enumerate(zip(cases, *fits, strict=True)):
        name = case.name.replace(" ", "_").replace(",", "")
        picture = contact_picture(case, pair, np.asarray(data.faces), renderer)
        save_picture(picture, folder / f"{number:02d}_{name}.jpg")


def evaluate_photos(arguments: argparse.Namespace) -> int:
    """``evaluate photos``."""
    messages.check_input(arguments.folder, "FOLDER")
    damaged: list[InputError] = []
    fits = required_file(judge_folder, arguments.folder, damaged.append)
    for error in damaged:
        messages.note(f"failed: {error}")
    for rows in (summary_rows(fits), keypoint_rows(fits), worst_rows(fits, arguments.worst)) if fits else ():
        if rows:
            messages.say(format_table(rows) + "\n")
    has_sheets = arguments.sheets is None or _write_sheets(arguments)
    return 0 if has_sheets and not damaged else 1


def evaluate_detections(arguments: argparse.Namespace) -> int:
    """``evaluate detections``."""
    messages.check_input(arguments.found, "FOUND")
    comparison = required_file(compare_detections, arguments.images, arguments.found, arguments.reference)
    for rows in (detection_rows(comparison), distance_rows(comparison), missed_rows(comparison)):
        messages.say(format_table(rows) + "\n")
    return 0


def _write_sheets(arguments: argparse.Namespace) -> bool:
    """Write the sheets; False without people to show."""

    def left_out(error: InputError) -> None:
        messages.note(f"left out: {error}")

    options = SheetOptions(people=arguments.people_per_sheet)
    n_sheets = 0
    for path in write_contact_sheets(arguments.folder, arguments.sheets, left_out, options):
        messages.say(str(path))
        n_sheets += 1
    if not n_sheets:
        messages.note(f"{arguments.folder}: no person with a result, an overlay and a side view")
    return n_sheets > 0


def _finish(folder: Path, parts: Sequence[str], rows: Sequence[Mapping[str, str | float]]) -> int:
    """Write the report and a row for each person, and print the report."""
    report = "\n\n".join(parts) + "\n"
    write_text(folder / "report.txt", report)
    write_text(folder / "people.csv", csv_text(rows))
    print_report(report, folder)
    return 0
