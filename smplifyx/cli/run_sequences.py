"""Run ``evaluate sequences`` and ``evaluate multiview``: people in motion, from one and from several views."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence

from smplifyx.cli import messages
from smplifyx.cli.run_common import fit_config, load_body, print_report, progress_bar
from smplifyx.config import Config
from smplifyx.evaluation.calibrated_scenes import (
    fit_scenes,
    one_shape_rows,
    scan_track,
    triangulation_rows,
    turning_track,
)
from smplifyx.evaluation.multiview_trials import fault_rows, view_count_rows
from smplifyx.evaluation.runner import Runner
from smplifyx.evaluation.sequence_cost import CostFigures, cost_rows, measure_cost
from smplifyx.evaluation.sequence_report import (
    ALONE,
    TOGETHER,
    TRUTH,
    mean_rows,
    plot_fast,
    write_multiview_report,
    write_sequences_report,
)
from smplifyx.evaluation.sequence_scores import (
    FastCurves,
    FrameErrors,
    fast_curves,
    fast_motion_figures,
    fastest_joint,
    frame_errors,
    motion_figures,
)
from smplifyx.evaluation.sequence_trials import (
    N_RING,
    SequenceBenchmark,
    fast_sequences,
    fit_frames_alone,
    fit_jointly,
    make_sequences,
)
from smplifyx.evaluation.speed import in_own_process
from smplifyx.evaluation.tables import Row
from smplifyx.evaluation.view_scenes import balancing_scenes, seated_scene
from smplifyx.fitting.fitter import Fitter
from smplifyx.sequence import SequenceFitter


def evaluate_sequences(arguments: argparse.Namespace) -> int:
    """``evaluate sequences``."""
    config, benchmark = fit_config(arguments), _benchmark(arguments)
    data = load_body(config.body.models_dir)
    runner = Runner(arguments.output / "fits")
    fitter = SequenceFitter(Fitter(data, config=config))
    sequences = make_sequences(benchmark, data) if arguments.sequences else []
    with_fast = arguments.sequences > 0 and not arguments.no_fast
    fast = fast_sequences(benchmark, data) if with_fast else {}
    if with_fast and not fast:
        messages.note("no table of fast movements: it needs the CMU motion capture (--mocap)")
    rows: list[Row] = []
    fast_rows: list[Row] = []
    curves: dict[str, dict[str, FastCurves]] = {}
    for name, sequence in fast.items():
        curves[name] = {TRUTH: fast_curves(sequence.joints, fastest_joint(sequence))}
    errors: dict[str, list[FrameErrors]] = {ALONE: [], TOGETHER: []}
    with progress_bar(2 * (len(sequences) + len(fast)), "fitting", "sequence") as bar:
        for name, sequence in (*((one.name, one) for one in sequences), *fast.items()):
            for way in (ALONE, TOGETHER):
                if way == ALONE:
                    fit = fit_frames_alone(runner, config, sequence, 0, arguments.true_camera)
                else:
                    fit, _ = fit_jointly(fitter, sequence, (0,), arguments.true_camera)
                found = frame_errors(sequence, fit, data)
                line: Row = {"sequence": name, "motion": sequence.motion, "fit": way}
                if name in fast:
                    fast_rows.append({**line, **fast_motion_figures(sequence, fit)})
                    curves[name][way] = fast_curves(fit.joints, fastest_joint(sequence))
                else:
                    errors[way].append(found)
                    rows.append({**line, **motion_figures(sequence, fit, found)})
                bar.update()
    if curves and plot_fast(curves, arguments.output / "fast.png"):
        messages.note(f"{arguments.output / 'fast.png'} shows the fast movements")
    cost = _cost(arguments, config)
    report = write_sequences_report(
        arguments.output, benchmark.description(), rows, errors, fast_rows, cost_rows(cost), config
    )
    print_report(report, arguments.output)
    return 0


def _cost(arguments: argparse.Namespace, config: Config) -> list[CostFigures]:
    if not arguments.cost:
        return []
    sizes: Sequence[tuple[int, int]] = list(itertools.product(arguments.cost_frames, (0, *arguments.cost_views)))
    figures = []
    with progress_bar(len(sizes), "measuring", "fit") as bar:
        for n_frames, n_views in sizes:
            figures.append(in_own_process(measure_cost, config, n_frames, n_views, arguments.seed, arguments.threads))
            bar.update()
    return figures


def evaluate_multiview(arguments: argparse.Namespace) -> int:
    """``evaluate multiview``."""
    config, benchmark = fit_config(arguments), _benchmark(arguments)
    data = load_body(config.body.models_dir)
    fitter = SequenceFitter(Fitter(data, config=config))
    tables: dict[str, tuple[str, Sequence[Row]]] = {}
    if arguments.sequences:
        runner = Runner(arguments.output / "fits")
        views: list[Row] = []
        faults: list[Row] = []
        sequences = make_sequences(benchmark, data, N_RING)
        with progress_bar(2 * len(sequences), "fitting", "step") as bar:
            for sequence in sequences:
                views += view_count_rows(runner, fitter, sequence)
                bar.update()
                faults += fault_rows(fitter, sequence)
                bar.update()
        tables["views"] = ("Number of views, true calibration", mean_rows(views, ("views", "fit")))
        tables["faults"] = ("Faults of one of four views", mean_rows(faults, ("fault",)))
        tables["sequences"] = ("Each sequence", views)
    scenes = []
    if arguments.balancing:
        scenes.append(fit_scenes(fitter, "balancing", balancing_scenes(arguments.balancing)))
    if arguments.seated:
        scenes.append(fit_scenes(fitter, "seated", [seated_scene(arguments.seated)]))
    if scenes:
        heading = "Real people: joints against triangulated ones"
        tables["triangulation"] = (heading, [row for scene in scenes for row in triangulation_rows(scene)])
    one_shape: list[Row] = []
    if arguments.turning:
        one_shape += one_shape_rows(fitter, "turning", turning_track(arguments.turning))
    if arguments.scan:
        one_shape += one_shape_rows(fitter, "scan", scan_track(arguments.scan))
    tables["one_shape"] = ("Real people: photos alone and together", one_shape)
    report = write_multiview_report(arguments.output, benchmark.description(), tables, config)
    print_report(report, arguments.output)
    return 0


def _benchmark(arguments: argparse.Namespace) -> SequenceBenchmark:
    return SequenceBenchmark(
        count=arguments.sequences,
        n_frames=arguments.frames,
        seed=arguments.seed,
        mocap=arguments.mocap,
        detector=arguments.detector,
    )
