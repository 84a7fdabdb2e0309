"""Run evaluations: fit with progress bars, write tables, print them."""

from __future__ import annotations

import argparse
import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from smplifyx.body.correspondence import SurfaceMap
from smplifyx.body.data import BodyModelData
from smplifyx.body.search import find_body_model
from smplifyx.cli import messages
from smplifyx.cli.detect import detect_photos
from smplifyx.cli.messages import required_file
from smplifyx.cli.run_common import calibrated_scenes, load_body, print_report, progress_bar
from smplifyx.config import Config, find_config, load_config
from smplifyx.errors import InputError, UsageError
from smplifyx.evaluation.ablations import (
    FULL,
    HANDS_ALONE,
    PAPER_FOCAL_LENGTH,
    BenchmarkFit,
    Trial,
    Unavailable,
    Variant,
    all_variants,
    configuration,
    fit_frames,
    fit_hands,
)
from smplifyx.evaluation.ehf_layout import (
    KEYPOINT_SUFFIX,
    TRUTH_FILE,
    Frame,
    load_true_joints,
    load_true_rotations,
    read_benchmark,
)
from smplifyx.evaluation.error_sources import Diagnosis, error_sources, hand_rows, joint_rows, mirrored_limbs
from smplifyx.evaluation.external_results import ResultReader, find_results
from smplifyx.evaluation.open_benchmark import OpenBenchmark, is_made, noise_folder, write_benchmark
from smplifyx.evaluation.report import Findings, write_report, write_results_report, write_views_report
from smplifyx.evaluation.report_tables import CAMERA_NAMES, Evaluation
from smplifyx.evaluation.runner import Runner, load_model
from smplifyx.evaluation.scores import Truths, result_row, rows_of, surface_between
from smplifyx.evaluation.tables import Row
from smplifyx.evaluation.vertex_sets import vertex_sets
from smplifyx.evaluation.view_scenes import describe_scene
from smplifyx.evaluation.views import fit_views, view_agreement, view_rows
from smplifyx.keypoints import read_keypoints
from smplifyx.keypoints.folder import keypoint_path
from smplifyx.output import open_renderer
from smplifyx.priors.vposer import VPoser
from smplifyx.priors.vposer_checkpoints import load_vposer, shipped_weights

FloatArray = NDArray[np.float64]

_DEFAULT_CONFIG = "fit_smplx"


def evaluate_ehf(arguments: argparse.Namespace) -> int:
    """``evaluate ehf``."""
    configs, _ = _configs(arguments), _variants(arguments.only)
    frames = read_benchmark(arguments.data, arguments.gender)
    return _evaluate(arguments, configs, frames, arguments.data, "EHF")


def evaluate_open(arguments: argparse.Namespace) -> int:
    """``evaluate open``."""
    configs, _ = _configs(arguments), _variants(arguments.only)
    folder = arguments.output / "benchmark"
    benchmark = OpenBenchmark(
        n_people=arguments.people,
        seed=arguments.seed,
        mocap=arguments.mocap,
        shapes=arguments.shapes,
        detector=arguments.detector,
    )
    if is_made(benchmark, folder):
        messages.note(f"the benchmark is in {folder} already")
    else:
        _make(benchmark, folder, next(iter(configs.values())))
    if arguments.only_make:
        messages.say(f"{messages.count(arguments.people, 'person', 'people')} in {folder}")
        return 0
    frames = read_benchmark(folder)
    if arguments.from_photos:
        frames = _detected(frames, folder / "detected")
    return _evaluate(arguments, configs, frames, folder, "the open benchmark", benchmark)


def _detected(frames: Sequence[Frame], folder: Path) -> list[Frame]:
    """The frames with keypoints detected in their photos; frames without a detected person are left out."""
    problems = detect_photos([frame.image for frame in frames], folder)
    if problems:
        raise UsageError(problems[0])
    detected = [replace(frame, keypoints=keypoint_path(frame.image, folder)) for frame in frames]
    found = [frame for frame in detected if read_keypoints(frame.keypoints, frame.image)]
    missed = sorted({frame.name for frame in detected} - {frame.name for frame in found})
    if missed:
        messages.note(f"no person is detected in photos that are left out: {', '.join(missed)}")
    return found


def _make(benchmark: OpenBenchmark, folder: Path, config: Config) -> None:
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "benchmark.json").is_file():
        messages.note(f"{folder}: continuing an unfinished benchmark")
    for old in folder.glob(f"**/*{KEYPOINT_SUFFIX}") if folder.is_dir() else ():
        old.unlink()
    for old in folder.glob("*_align.ply") if folder.is_dir() else ():
        old.unlink()
    renderer, problem = open_renderer()
    if problem:
        messages.note(problem)
    if benchmark.shapes == "anny":
        messages.note("bodies from anny; the first time on a machine this takes some minutes")
    data = load_body(config.body.models_dir)
    with progress_bar(benchmark.n_people, "making people") as bar:
        write_benchmark(benchmark, data, folder, renderer, lambda _: bar.update())


def _evaluate(
    arguments: argparse.Namespace,
    configs: dict[str, Config],
    frames: Sequence[Frame],
    folder: Path,
    title: str,
    benchmark: OpenBenchmark | None = None,
) -> int:
    variants = _variants(arguments.only)
    models_dir = next(iter(configs.values())).body.models_dir
    data = load_body(models_dir)
    truths = Truths(data, load_true_joints(folder / TRUTH_FILE))
    truths.of(frames[0])  # a mesh that cannot be compared is an error before the first fit
    session = _Session(arguments, frames, data, truths)
    rows, unavailable = session.tables(configs, variants)
    evaluation = Evaluation(rows, list(configs), arguments.cameras, unavailable)
    rotations = {} if benchmark is None else load_true_rotations(folder / TRUTH_FILE)
    diagnosis = session.diagnosis(configs, rotations)
    noise_rows: list[Row] = []
    hands: list[Row] = []
    if benchmark is not None and not arguments.no_noise:
        noise_rows, hands = session.noise(configs, benchmark.noise_levels, folder)
    made_from = None if benchmark is None else benchmark.description()
    findings = Findings(evaluation, session.sets.source, noise_rows, hands, diagnosis, made_from)
    print_report(write_report(arguments.output, title, findings, configs), arguments.output)
    return 0


class _Session:
    """The fits of one evaluation."""

    def __init__(
        self, arguments: argparse.Namespace, frames: Sequence[Frame], data: BodyModelData, truths: Truths
    ) -> None:
        torch.set_num_threads(arguments.threads)
        folders = [Path(path) for path in (arguments.vertex_sets, arguments.models) if path is not None]
        self.frames, self.truths, self.sets = frames, truths, vertex_sets(data, folders)
        self._data = data
        self._cameras = arguments.cameras
        self._runner = Runner(arguments.output / "fits", _device(arguments.device))

    def tables(
        self, configs: dict[str, Config], variants: Sequence[Variant]
    ) -> tuple[list[Row], dict[tuple[str, str], str]]:
        """The rows of all variants, and the reasons why some cannot be fitted."""
        rows: list[Row] = []
        unavailable: dict[tuple[str, str], str] = {}
        trials = []
        for label, base in configs.items():
            for variant in variants:
                config = configuration(variant, base)
                if isinstance(config, Unavailable):
                    unavailable[label, variant.key] = config.reason
                    continue
                trials += [Trial(label, variant, config, camera) for camera in self._cameras]
        with progress_bar(len(trials) * len(self.frames), "fitting") as bar:
            for trial in trials:
                _show(bar, f"{trial.label}, {trial.variant.name}, camera {CAMERA_NAMES[trial.camera]}")
                surface = self._surface(trial.config)
                rows += rows_of(trial, self._fit(trial, bar), self.truths, self.sets, surface)
        return rows, unavailable

    def noise(self, configs: dict[str, Config], levels: Sequence[float], folder: Path) -> tuple[list[Row], list[Row]]:
        """The rows of the full method at several noise levels; hands of the first one beside hands fitted alone."""
        rows: list[Row] = []
        hands: list[Row] = []
        first = next(iter(configs))
        with progress_bar((len(configs) + 1) * len(levels) * len(self.frames), "fitting noisy keypoints") as bar:
            for label, level in itertools.product(configs, levels):
                trial = Trial(label, FULL, configs[label], self._cameras[0], level)

                def keypoints(frame: Frame, level: float = level) -> Path:
                    return folder / noise_folder(level) / frame.keypoints.name

                _show(bar, f"{label}, noise level {level:g}")
                fits = self._fit(trial, bar, keypoints)
                rows += rows_of(trial, fits, self.truths, self.sets)
                if label == first:
                    alone = self._hands(configs[first], level, keypoints, bar)
                    hands += hand_rows(level, alone, [fit for fit in fits if fit.succeeded], self.truths)
        return rows, hands

    def _hands(
        self, config: Config, level: float, keypoints: Callable[[Frame], Path], bar: tqdm
    ) -> dict[tuple[str, str], FloatArray]:
        """Hands fitted alone with MANO; none where there is no such model."""
        mano = load_config("fit_mano")
        mano = replace(mano, body=replace(mano.body, models_dir=config.body.models_dir))
        trial = Trial("fit_mano", HANDS_ALONE, mano, self._cameras[0], level)
        _show(bar, f"MANO, noise level {level:g}")
        try:
            return fit_hands(self._runner, trial, self.frames, keypoints, bar.update)
        except InputError as error:
            messages.note(f"no hands alone: {error}")
            return {}

    def diagnosis(self, configs: dict[str, Config], rotations: Mapping[str, FloatArray]) -> dict[str, Diagnosis]:
        """Sources of the errors of the full method, by configuration."""
        found = {}
        for label, config in configs.items():
            everyone = self._fit(Trial(label, FULL, config, self._cameras[0]), None)
            fits = [fit for fit in everyone if fit.succeeded]
            genders = sorted({fit.result.gender for fit in fits})
            models = {gender: load_body(config.body.models_dir, gender) for gender in genders}
            sources = error_sources(fits, self.truths, rotations, models) if rotations else []
            found[label] = Diagnosis(sources, joint_rows(fits, self.truths), mirrored_limbs(fits, self.truths))
        return found

    def _surface(self, config: Config) -> SurfaceMap | None:
        """Correspondence of the fitted mesh and the true one."""
        if config.body.model == self._data.model_type:
            return None
        return surface_between(load_body(config.body.models_dir, model=config.body.model), self._data)

    def _fit(
        self, trial: Trial, bar: tqdm | None, keypoints: Callable[[Frame], Path] | None = None
    ) -> list[BenchmarkFit]:
        return fit_frames(self._runner, trial, self.frames, keypoints, None if bar is None else bar.update)


def _variants(only: Sequence[str] | None) -> list[Variant]:
    everything = all_variants()
    if only is None:
        return everything
    names = [variant.key for variant in everything]
    for name in only:
        if name not in names:
            raise UsageError(f"--only: expected some of {', '.join(names)}, found {name}")
    return [variant for variant in everything if variant.key in only or variant is FULL]


def _configs(arguments: argparse.Namespace) -> dict[str, Config]:
    """The configurations by label; the label is the file's name."""
    configs = {}
    for file in arguments.configs or [_DEFAULT_CONFIG]:
        config = load_config(file, arguments.overrides)
        if arguments.models is not None:
            config = replace(config, body=replace(config.body, models_dir=arguments.models))
        configs[find_config(file).stem] = config
    return configs


def _device(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch sees no GPU here; use --device cpu, or auto")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def _show(bar: tqdm, what: str) -> None:
    """Show the current work beside the bar, or as a line without one."""
    if bar.disable:
        messages.note(what)
    else:
        bar.set_postfix_str(what)


def evaluate_views(arguments: argparse.Namespace) -> int:
    """``evaluate views``."""
    torch.set_num_threads(arguments.threads)
    scenes = calibrated_scenes(arguments)
    configs = _configs(arguments)
    views: list[Row] = []
    pairs: list[Row] = []
    with progress_bar(len(configs) * len(arguments.cameras), "fitting", "run") as bar:
        for label, config in configs.items():
            data = load_body(config.body.models_dir, arguments.gender, config.body.model)
            for camera in arguments.cameras:
                known = config
                if camera == "paper":
                    known = replace(config, camera=replace(config.camera, focal_length=PAPER_FOCAL_LENGTH))
                fitted = fit_views(data, known, scenes, camera == "true")
                of = {"config": label, "camera": camera}
                views += [{**of, **row} for row in view_rows(fitted)]
                pairs += [{**of, **row} for row in view_agreement(fitted)]
                bar.update()
    triangulated = [describe_scene(scene) for scene in scenes]
    print_report(write_views_report(arguments.output, triangulated, views, pairs, configs), arguments.output)
    return 0


def evaluate_results(arguments: argparse.Namespace) -> int:
    """``evaluate results``."""
    frames = read_benchmark(arguments.truth, arguments.gender)
    names, truth_files = [frame.name for frame in frames], [frame.mesh for frame in frames]
    files = find_results(arguments.results, names, truth_files)
    if not files:
        raise UsageError(f"{arguments.results}: no mesh or parameters of any frame such as {frames[0].name}")
    missing = [frame.name for frame in frames if frame.name not in files]
    if missing:
        messages.note(f"{len(missing)} of {len(frames)} frames have no result, such as {missing[0]}")

    @functools.cache
    def model(gender: str) -> BodyModelData:
        return load_model(find_body_model("smplx", gender, arguments.models), gender)

    @functools.cache
    def vposer() -> VPoser:
        return VPoser(load_vposer(shipped_weights() if arguments.vposer is None else Path(arguments.vposer)))

    data = required_file(model, "neutral")
    truths = Truths(data, load_true_joints(arguments.truth / TRUTH_FILE))
    folders = [Path(path) for path in (arguments.vertex_sets, arguments.models) if path is not None]
    sets = vertex_sets(data, folders)
    reader = ResultReader(model, arguments.gender, vposer, arguments.mesh_axes)
    rows: list[Row] = []
    failures = 0
    for frame in (frame for frame in frames if frame.name in files):
        try:
            rows.append(result_row(frame, reader.vertices(files[frame.name]), truths, sets))
        except InputError as error:
            failures += 1
            messages.note(f"smplifyx: error: {error}")
    report = write_results_report(arguments.output, str(arguments.results), rows, sets.source)
    print_report(report, arguments.output)
    return 1 if failures or missing else 0
