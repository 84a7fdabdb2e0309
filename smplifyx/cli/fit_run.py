"""One run over a folder: lists the photos, hands them to an executor, prints and records the outcomes."""

from __future__ import annotations

import os
from collections.abc import Collection, Generator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from smplifyx.camera import DEFAULT_ENTRY, Camera, read_calibration
from smplifyx.cli import messages
from smplifyx.cli.fit_report import FitReport
from smplifyx.cli.messages import check_output, required_file
from smplifyx.cli.progress import Progress
from smplifyx.cli.signals import StopRequest, stopping
from smplifyx.config import Config, RunOptions, to_yaml, with_absolute_paths
from smplifyx.errors import SmplifyxError, UsageError, reason
from smplifyx.files import output_to, write_text
from smplifyx.gender import read_labels
from smplifyx.keypoints.layouts import AUTO, layout_named
from smplifyx.output import OutputLayout, RendererProcess
from smplifyx.output.layout import TRACKS
from smplifyx.packs import PACKS, has_packs, mend_packs
from smplifyx.pipeline import Executor, Failure, Job, Outcome, SerialExecutor
from smplifyx.pipeline.digests import context_digest, settings_digest
from smplifyx.pipeline.fits import check_body
from smplifyx.pipeline.journal import Journal, PhotoRecord, finished_photos, overwritten_photos
from smplifyx.pipeline.processes import ProcessExecutor
from smplifyx.pipeline.shards import for_all_shards, with_own_shard
from smplifyx.pipeline.summary import SummaryTable
from smplifyx.pipeline.worker_count import suitable_workers
from smplifyx.pipeline.worklist import Finished, WorkList, judge_sample, list_work, unfinished
from smplifyx.skeleton import SIDES

#: Photos up to which meshes are written unless a format is given: an .obj has 1.8 MB, all other files 0.1 MB.
_PHOTOS_WITH_MESHES = 100

#: Number of people from which a report is announced, as it takes some time.
_MANY_PEOPLE = 500


def run_fit(config: Config, run: RunOptions, renderer: RendererProcess | None = None) -> int:
    """Fit all people in a folder of photos.

    Args:
        config: the settings.
        run: input, output, device; images must be given; without keypoints, people are detected.
        renderer: draws the pictures if one worker fits; it ends if there are several. None: the one that fits draws.

    Returns:
        The exit status: 0 when all people are fitted, 1 when some inputs failed.

    Raises:
        UsageError: a folder, the device or a body model is missing.
        OutputError: the disk is full.
        KeyboardInterrupt: interrupted or terminated; the message counts finished photos.
    """
    with stopping() as stop:
        return _prepared(config, run).fit(renderer, stop)


def _prepared(config: Config, run: RunOptions) -> _Run:
    """Check the call, list the photos and judge a sample of them."""
    if run.images is None:
        raise UsageError("expected --images")
    check_output(run.output)
    run = with_own_shard(run, os.environ)
    if run.layout != AUTO:
        run = replace(run, layout=layout_named(run.layout).name)
    _check_files(config)
    layout = OutputLayout.of(run.output, config.output)
    if layout.config_path.is_dir():
        raise UsageError(f"{layout.config_path} is a folder; expected a file")
    config = _with_packs(config, run)
    if (run.output / TRACKS).is_dir():
        messages.note(
            f"{run.output / TRACKS} is of an earlier fit of a sequence and stays as it is; now each photo is fitted "
            "alone (another --output keeps both)"
        )

    calibration = _calibration(config)
    work, pairs = list_work(run, calibration)
    if run.shard_index == 0:
        _note_unmatched(config, work.stems, calibration)
    config = with_mesh_format(config, work.n_photos)
    _check_bodies(config)
    judgement = judge_sample(pairs, config, run)
    for note in judgement.notes:
        messages.note(f"note: {note}")
    output = run.output  # as typed, for messages
    config, run = with_absolute_paths(config, Path.cwd()), with_absolute_paths(run, Path.cwd())
    job = Job(config, run, judgement, settings_digest(config, run))
    return _Run(job, work, context_digest(config, run, judgement), output)


class _Run:
    """The work of one shard and its records: table, log, configuration, messages.

    Args:
        job: the job.
        work: the photos.
        context: hash of the settings that choose the people of a photo.
        output: the output folder, as messages name it.
    """

    def __init__(self, job: Job, work: WorkList, context: str, output: Path) -> None:
        self._job, self._work, self._context = job, work, context
        self._layout = OutputLayout.of(job.run.output, job.config.output)
        self._finished = Finished()
        self._has_written_config = False
        self._report = FitReport(job.config, replace(job.run, output=output), self._finished)

    def fit(self, renderer: RendererProcess | None, stop: StopRequest) -> int:
        """Fit unfinished photos; returns the exit status."""
        job, work, report = self._job, self._work, self._report
        with Progress(len(work.units), lambda: self._finished.n_photos, not job.run.quiet) as progress:
            table = SummaryTable(self._layout)
            if table.restored is not None:
                messages.note(table.restored)
            units = unfinished(work.units, job, self._context, self._records(), self._finished)
            executor = self._executor(renderer)
            stop.pass_on_to(executor)
            journal = Journal(self._layout, job.config, job.run, job.settings_digest, self._context)
            status = "error"
            try:
                for failure in work.failures:
                    report.add_failure(failure)
                    journal.fail(failure)
                report.add_skipped(work.skipped)
                self._work_on(executor.run(units, job), table, journal, progress)
                status = "stopped" if stop.number else "done"
            finally:
                try:
                    table.close()
                finally:
                    journal.close(status, report.counts)
        for problem in table.problems:
            report.add_failure(problem)
        if not self._layout.config_path.exists():
            self._write_config(None)
        report.print_remarks()
        stop.raise_if_asked(report.finished_so_far())
        return report.print_end(write_page(self._job, report, stop))

    def _records(self) -> dict[str, PhotoRecord]:
        """The photos that earlier runs finished; to be overwritten, those that such a run has overwritten already."""
        job, layout = self._job, self._layout
        records = finished_photos(layout, {unit.stem for unit in self._work.units})
        if not job.run.overwrite:
            return records
        stems = overwritten_photos(layout, job.run, job.settings_digest, self._context)
        records = {
            stem: one for stem, one in records.items() if stem in stems and not one.others(job.settings_digest)
        }
        if records:
            photos = messages.count(len(records), "photo", "photos")
            messages.note(f"--overwrite goes on after {photos} that a run without an end has overwritten")
        return records

    def _work_on(
        self,
        outcomes: Generator[Outcome, None, None],
        table: SummaryTable,
        journal: Journal,
        progress: Progress,
    ) -> None:
        """Print and record the outcomes of an executor."""
        with closing(outcomes):
            for outcome in outcomes:
                self._report.add(outcome)
                table.add(outcome.rows)
                journal.record(outcome)
                self._write_config(outcome)
                progress.add(outcome.n_fitted, len(outcome.failures))

    def _executor(self, renderer: RendererProcess | None) -> Executor:
        if self._job.run.executor == "local":
            n_workers = suitable_workers(self._job.run, len(self._work.units))
            if n_workers == 1:
                return SerialExecutor(renderer.open if renderer is not None else None)
        if renderer is not None:
            renderer.close()
        if self._job.run.executor == "local":
            return ProcessExecutor(n_workers)
        from smplifyx.pipeline.ray_executor import RayExecutor

        return RayExecutor(self._job.run.ray_address)

    def _write_config(self, outcome: Outcome | None) -> None:
        """Write the settings once people are fitted with them, so that the file agrees with the latest fits."""
        if outcome is not None and (self._has_written_config or not outcome.n_fitted):
            return
        with output_to(self._layout.config_path):
            write_text(self._layout.config_path, to_yaml(*portable(self._job.config, self._job.run)))
        self._has_written_config = True


def write_page(job: Job, report: FitReport, stop: StopRequest) -> Path | None:
    """Write the page about all people of an output folder; one that fails does not undo the fits.

    Args:
        job: the job.
        report: outcome of the run; a page that fails is a failure in it.
        stop: asked after each photo.

    Returns:
        The page; None without one.
    """
    page = report.output / "report" / "index.html"
    if not job.config.output.report:
        return None
    if job.run.num_shards > 1:
        command = messages.command("report", report.output)
        messages.note(f"after the last shard, {command} writes a page to judge the fits")
        return None
    from smplifyx.report import is_of_this_version, write_report  # late: a run starts without it

    if not report.has_changes and is_of_this_version(report.output):
        return page
    n_people = report.counts["fitted"] + report.counts["kept"]
    if n_people > _MANY_PEOPLE:
        messages.note(f"writing the report of {n_people} people")

    def end_if_asked() -> None:
        stop.raise_if_asked(report.finished_so_far())

    workers = job.run.workers
    threads = None if workers == "auto" else workers * job.run.threads
    models = job.config.body.models_dir
    try:
        with output_to(page):
            return write_report(report.output, models=models, threads=threads, after_photo=end_if_asked).page
    except UsageError:  # nobody was found
        return None
    except (SmplifyxError, OSError) as error:
        report.add_failure(Failure(str(page), f"the report is not written: {reason(error)}"))
        return None


def portable(config: Config, run: RunOptions) -> tuple[Config, RunOptions]:
    """The same settings and arguments with absolute paths and for all shards, to run again from any folder."""
    folder = Path.cwd()
    return with_absolute_paths(config, folder), with_absolute_paths(for_all_shards(run), folder)


def _check_files(config: Config) -> None:
    """Check that the files of the settings exist, before people are detected and classified; raises UsageError."""
    priors = config.priors
    files = {
        "--calibration": config.camera.calibration,
        "--gender.labels": config.gender.labels if _uses_labels(config) else None,
        "--priors.vposer": priors.vposer if priors.body_pose == "vposer" else None,
        "--priors.gmm": priors.gmm if priors.body_pose == "gmm" else None,
        "--lifting.checkpoint": config.lifting.checkpoint if config.lifting.enabled else None,
        "--collision.part_segmentation": config.collision.part_segmentation if config.collision.enabled else None,
    }
    for option, path in files.items():
        if path is not None and not path.is_file():
            problem = "is a folder" if path.is_dir() else "does not exist"
            raise UsageError(f"{option}: {path} {problem}; expected a file")
    folder = config.body.models_dir
    if folder is not None and not folder.is_dir():
        found = f"is a file; its folder is {folder.parent}" if folder.is_file() else "does not exist"
        raise UsageError(f"--models: {folder} {found}; expected a folder of body models")


def _uses_labels(config: Config) -> bool:
    return config.body.gender == "auto" and config.body.model != "mano"


def check_run_inputs(config: Config) -> None:
    """Check that the files of the settings and the body models that are surely needed exist; raises UsageError."""
    _check_files(config)
    _check_bodies(config)


def _check_bodies(config: Config) -> None:
    """Check that the body models that are surely needed exist; raises UsageError."""
    if config.body.model == "mano":
        bodies: tuple[str, ...] = SIDES
    else:
        bodies = ("neutral",) if config.body.gender == "auto" else (config.body.gender,)
    for body in bodies:
        check_body(config, body)


def _calibration(config: Config) -> Mapping[str, Camera]:
    path = config.camera.calibration
    return {} if path is None else required_file(read_calibration, path)


def _note_unmatched(config: Config, photos: Collection[str], calibration: Mapping[str, Camera]) -> None:
    """Print the numbers of entries of the calibration, and of labels, that match no photo."""
    known = set(photos)
    unmatched = [stem for stem in calibration if stem not in known and stem != DEFAULT_ENTRY]
    if unmatched:
        messages.note(
            f"{config.camera.calibration}: {len(unmatched)} of {len(calibration)} entries match no photo, such as "
            f"{unmatched[0]!r}"
        )
    if config.gender.labels is None or not _uses_labels(config):
        return
    stems = [stem for stem, _ in required_file(read_labels, config.gender.labels).by_person]
    unmatched = [stem for stem in stems if stem not in known]
    if unmatched:
        messages.note(
            f"{config.gender.labels}: {len(unmatched)} of {len(stems)} labels match no photo, such as "
            f"{unmatched[0]!r}"
        )


def _with_packs(config: Config, run: RunOptions) -> Config:
    """The settings of a folder whose results are packed already; archives that killed runs left are mended."""
    if not has_packs(run.output):
        return config
    with output_to(run.output):
        for path in mend_packs(run.output):
            messages.note(f"{path}: was left incomplete by a run that was killed, and is complete again")
    if not config.output.pack:
        messages.note(f"{run.output / PACKS}: new results are packed too (smplifyx unpack makes files of all)")
    return replace(config, output=replace(config.output, pack=True))


def with_mesh_format(config: Config, n_photos: int) -> Config:
    """The settings with a mesh format instead of ``auto``."""
    if config.output.mesh_format != "auto":
        return config
    with_meshes = n_photos <= _PHOTOS_WITH_MESHES
    if not with_meshes:
        messages.note(
            f"more than {_PHOTOS_WITH_MESHES} photos: no meshes are written; --mesh-format obj (or ply, glb) writes "
            "them, also later and without fitting again"
        )
    return replace(config, output=replace(config.output, mesh_format="obj" if with_meshes else "none"))
