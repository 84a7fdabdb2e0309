"""One run over sequences, videos and frames of several cameras."""

from __future__ import annotations

import os
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from smplifyx.camera import read_calibration
from smplifyx.cli import messages
from smplifyx.cli.fit_report import FitReport
from smplifyx.cli.fit_run import check_run_inputs, portable, with_mesh_format, write_page
from smplifyx.cli.messages import check_output, required_file
from smplifyx.cli.progress import Progress
from smplifyx.cli.signals import StopRequest, stopping
from smplifyx.clips import Clip
from smplifyx.clips.files import used_errors
from smplifyx.clips.plan import ClipPlan, plan_clips
from smplifyx.clips.state import is_finished
from smplifyx.clips.work import ClipOutcome, ClipWorker
from smplifyx.config import Config, RunOptions, to_yaml, with_absolute_paths
from smplifyx.detect.folder import detect_folder
from smplifyx.errors import UsageError
from smplifyx.files import output_to, write_text
from smplifyx.output import OutputLayout, RendererProcess
from smplifyx.output.layout import PART_MODELS, TRACKS
from smplifyx.packs import has_packs
from smplifyx.pipeline.digests import settings_digest
from smplifyx.pipeline.fits import StopRequested
from smplifyx.pipeline.journal import Journal
from smplifyx.pipeline.shards import with_own_shard
from smplifyx.pipeline.summary import SummaryTable
from smplifyx.pipeline.units import Failure, Job
from smplifyx.pipeline.worker import choose_device, use_threads
from smplifyx.pipeline.worker_count import suitable_workers
from smplifyx.pipeline.worklist import Finished
from smplifyx.sequence import TrackFit


def fit_clips(config: Config, run: RunOptions, renderer: RendererProcess | None = None) -> int:
    """Fit the tracks of all clips.

    Args:
        config: the settings.
        run: input, output, device.
        renderer: draws the pictures; None: this process does.

    Returns:
        The exit status: 0 when all tracks are fitted, 1 when some inputs failed.

    Raises:
        UsageError: a folder, a file of cameras, the device or a body model is missing.
        OutputError: the disk is full.
        KeyboardInterrupt: interrupted or terminated; the message counts finished clips.
    """
    if config.body.model in PART_MODELS:
        raise UsageError(f"--model {config.body.model}: sequences need a model of the whole body, such as smplx")
    if config.output.pack:
        raise UsageError("--pack: expected photos; results of sequences and views are files (smplifyx pack)")
    _note_workers(run)
    check_output(run.output)
    run = with_own_shard(run, os.environ)
    check_run_inputs(config)
    output = run.output
    config, run = with_absolute_paths(config, Path.cwd()), with_absolute_paths(run, Path.cwd())
    with stopping() as stop:
        plan = plan_clips(run)
        for note in plan.notes:
            messages.note(note)
        return _ClipRun(with_mesh_format(config, plan.n_photos), plan, output).fit(renderer, stop)


def _note_workers(run: RunOptions) -> None:
    """Refuse or note arguments that only matter where photos are fitted one by one."""
    if run.executor != "local":
        raise UsageError(f"--executor {run.executor}: expected photos; tracks are fitted in one process")
    if run.workers not in (1, "auto"):
        messages.note(
            f"--workers {run.workers}: tracks are fitted in one process, only people are detected by several; "
            "--num-shards shares the clips"
        )


class _ClipRun:
    """The clips of a run and its records: table, log, configuration, messages.

    Args:
        config: settings, paths absolute.
        plan: the clips.
        output: the output folder, as messages name it.
    """

    def __init__(self, config: Config, plan: ClipPlan, output: Path) -> None:
        run = plan.run
        self._job = Job(config, run, settings_digest=settings_digest(config, run))
        self._rig, self._clips, self._output = plan.rig, plan.own_clips, output
        self._layout = OutputLayout.of(run.output, config.output)
        self._stopping = threading.Event()
        self._worker: ClipWorker | None = None
        self._n_tracks = self._n_frames = self._n_kept = self._n_kept_photos = 0
        self._report = FitReport(config, replace(run, output=output), Finished())
        self._dropped: Counter[str] = Counter()
        self._has_packs = has_packs(run.output)

    def stop(self) -> None:
        """End soon; called from a signal handler, which gives up a fit at once.

        Raises:
            StopRequested: a fit was under way.
        """
        self._stopping.set()
        if self._worker is not None and self._worker.is_fitting:
            self._worker.is_fitting = False
            raise StopRequested

    def fit(self, renderer: RendererProcess | None, stop: StopRequest) -> int:
        """Fit unfinished clips; returns the exit status."""
        job, config = self._job, self._job.config
        calibration = config.camera.calibration
        cameras = {} if calibration is None else required_file(read_calibration, calibration)
        use_threads(job.run.threads)
        stop.pass_on_to(self)
        device = choose_device(job.run.device)
        open_one = None if renderer is None else renderer.open
        self._worker = worker = ClipWorker(
            job, self._rig, cameras, device, self._stopping.is_set, open_one, messages.note
        )
        self._work(worker)
        if worker.remark:
            messages.note(worker.remark)
        stop.raise_if_asked(f"{messages.count(self._n_tracks, 'track is', 'tracks are')} finished in {self._output}")
        return self._print_end(stop)

    def _work(self, worker: ClipWorker) -> None:
        table = SummaryTable(self._layout)
        if table.restored is not None:
            messages.note(table.restored)
        digest = self._job.settings_digest
        journal = Journal(self._layout, self._job.config, self._job.run, digest, "clips")
        status = "error"
        try:
            n_photos = sum(len(clip.all_shots()) for clip in self._clips)
            with Progress(n_photos, lambda: self._n_kept_photos, not self._job.run.quiet) as progress:
                for clip in self._clips:
                    if self._stopping.is_set():
                        break
                    self._fit_clip(worker, clip, table, journal, progress)
            status = "stopped" if self._stopping.is_set() else "done"
        finally:
            try:
                table.close()
            finally:
                journal.close(status, self._report.counts | {"clips": len(self._clips), "kept_clips": self._n_kept})
        for problem in table.problems:
            self._report.add_failure(problem)
        with output_to(self._layout.config_path):
            write_text(self._layout.config_path, to_yaml(*portable(self._job.config, self._job.run)))

    def _fit_clip(
        self, worker: ClipWorker, clip: Clip, table: SummaryTable, journal: Journal, progress: Progress
    ) -> None:
        """Fit one clip unless it is finished; detects its people first where there are no keypoints."""
        outcome = ClipOutcome(clip)
        if self._job.run.keypoints is None:
            self._detect(clip, progress)
        if not self._job.run.overwrite and is_finished(clip, self._job, self._rig):
            self._n_kept += 1
            self._n_kept_photos += len(clip.all_shots())
            return
        if self._has_packs:
            unpack = messages.command("unpack", self._output)
            raise UsageError(f"{self._output} holds packed results; expected files: {unpack}, then fit again")
        progress.begin_clip(len(clip.all_shots()))
        try:
            for record in worker.run(clip, outcome):
                table.add(record.rows)
                journal.record(record)
                progress.add(record.n_fitted, len(record.failures))
                self._n_frames += record.n_fitted
                self._report.add(replace(record, decisions=()))
        except StopRequested:
            return
        finally:
            for failure in outcome.failures:
                self._report.add_failure(failure)
                journal.fail(failure)
        self._n_tracks += len(outcome.fits)
        self._print_tracks(outcome)

    def _detect(self, clip: Clip, progress: Progress) -> None:
        by_folder: dict[Path, list[Path]] = {}
        for shot in clip.all_shots():
            if shot.keypoints is not None:
                by_folder.setdefault(shot.keypoints.parent, []).append(shot.image)
        for folder, images in by_folder.items():
            workers = suitable_workers(self._job.run, len(images))
            with output_to(folder):
                folder.mkdir(parents=True, exist_ok=True)
                found = detect_folder(
                    images,
                    folder,
                    workers=workers,
                    progress=lambda image: progress.add_detected(),
                    is_stopped=self._stopping.is_set,
                )
            for error in found.failures:
                self._report.add_failure(Failure(str(error.path), error.problem))
            if found.n_photos:
                people = messages.count(found.n_people, "person", "people")
                photos = messages.count(found.n_photos, "photo", "photos")
                messages.note(f"no --keypoints: {people} detected in {photos}; keypoints in {folder}")

    def _print_tracks(self, outcome: ClipOutcome) -> None:
        """Print remarks on the tracks of a clip."""
        prefix = f"{outcome.clip.name}: " if outcome.clip.name else ""
        for note in outcome.notes:
            messages.note(f"{prefix}{note}")
        for summary in outcome.summaries:
            if summary.dropped:
                self._dropped[summary.dropped] += 1
        for fit in outcome.fits:
            if len(self._clips) <= 10 or self._job.run.verbose:
                messages.note(prefix + _line_about(fit))

    def _print_end(self, stop: StopRequest) -> int:
        for text, number in self._dropped.items():
            messages.note(f"{messages.count(number, 'track', 'tracks')} left out: {text} (tracks.csv)")
        if self._n_kept:
            clips = messages.count(self._n_kept, "finished clip is", "finished clips are")
            messages.note(f"{clips} skipped (--overwrite fits again)")
        if self._n_tracks:
            messages.note(f"motions, animated scenes and the tables of tracks are in {self._output / TRACKS}")
        return self._report.print_end(write_page(self._job, self._report, stop), self._fitted_in_words())

    def _fitted_in_words(self) -> str:
        text = messages.count(self._n_tracks, "track", "tracks")
        if not self._n_tracks:
            return text
        if self._rig is not None:
            text += f" of {messages.count(max(len(clip.views) for clip in self._clips), 'camera', 'cameras')}"
        return f"{text} with {messages.count(self._n_frames, 'result', 'results')}"


def _worst_view(fit: TrackFit) -> str:
    """The camera with the largest error: one that is badly calibrated stands out."""
    columns = zip(fit.track.views, fit.reprojection_px.T, strict=True)
    means = {view.name: float(np.nanmean(one)) for view, one in columns if np.isfinite(one).any()}
    if len(means) < 2:
        return ""
    worst = max(means, key=lambda name: means[name])
    return f" (most in {worst}: {means[worst]:.1f} px)"


def _line_about(fit: TrackFit) -> str:
    """A line about a fitted track."""
    errors = used_errors(fit)
    first, last = fit.track.frames[0], fit.track.frames[-1]
    parts = [f"track {fit.track.number}" + (f": frames {first} to {last}" if last > first else "")]
    if len(errors):
        parts.append(f"reprojection {errors.mean():.1f} px{_worst_view(fit)}")
    for count, text in ((fit.bridged.sum(), "bridged"), (fit.outlier_frames.sum(), "outliers")):
        if count:
            parts.append(f"{count} {text}")
    observed = np.array([[one is not None for one in row] for row in fit.track.observations])
    for view, place in enumerate(fit.track.views):
        rejected = int((observed[:, view] & (fit.view_weights[:, view] == 0)).sum())
        if rejected and len(fit.track.views) > 1:
            parts.append(f"{place.name} disagrees in {rejected} of {observed[:, view].sum()} frames")
    return ", ".join(parts)
