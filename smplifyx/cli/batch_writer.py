"""Writes the people of one batch after the other, while the next batch is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from smplifyx.cli import console
from smplifyx.cli.background import Background
from smplifyx.cli.group_overlays import GroupOverlays
from smplifyx.cli.person_writer import PersonWriter
from smplifyx.errors import InputError
from smplifyx.fitting.fitter import Fitter
from smplifyx.fitting.result import FitResult
from smplifyx.keypoints import Observation
from smplifyx.output import SummaryRow, update_summary


@dataclass
class Tally:
    """What has become of the inputs so far."""

    n_fitted: int = 0
    problems: list[str] = field(default_factory=list)

    def failed(self, problem: str) -> None:
        """Count a failure and name it."""
        self.problems.append(problem)
        console.note(f"failed: {problem}")

    def all_failed(self, problems: Sequence[str]) -> None:
        """Count and name several."""
        for problem in problems:
            self.failed(problem)


@dataclass(frozen=True)
class BatchWriter:
    """What the writing thread does; nobody else touches the tally while it runs.

    Attributes:
        writer: writes a person's files.
        overlays: draws the pictures of all people of a photo.
        tally: counts who is finished and who failed.
        bar: a progress bar; a person counts when all of its files are written.
        worker: says whether to stop.
        verbose: whether to tell how each fit went, stage by stage.
    """

    writer: PersonWriter
    overlays: GroupOverlays
    tally: Tally
    bar: Any
    worker: Background
    verbose: bool = False

    def draw_missing(self) -> None:
        """Draw what an earlier run left undrawn."""
        self.tally.all_failed(self.overlays.draw_missing(lambda: self.worker.stopping))

    def write(self, batch: Sequence[Observation], results: Sequence[FitResult], fitter: Fitter) -> None:
        """Write everybody's files, then their rows of the table; ends after the current person if told to stop.

        Args:
            batch: the people.
            results: their fits, in the same order.
            fitter: what fitted them; poses their bodies.

        Raises:
            InputError, OSError: the table cannot be read or written.
        """
        rows = []
        for observation, result in zip(batch, results, strict=True):
            if self.worker.stopping:
                break
            rows.append(self._write_person(observation, result, fitter))
            self.tally.all_failed(self.overlays.finished([observation]))
            self.bar.update()
        if rows:
            update_summary(self.writer.layout.summary_path, rows)

    def _write_person(self, observation: Observation, result: FitResult, fitter: Fitter) -> SummaryRow:
        name = observation.name
        row = SummaryRow.of_result(result, observation.stem, observation.person_index)
        if self.verbose:
            losses = " ".join(f"{loss:.0f}" for loss in result.stage_losses)
            console.note(f"{name}: stages {losses}, {int(result.n_evaluations)} evaluations")
        if result.status != "ok":
            self.tally.failed(f"{name}: the fit did not come out ({', '.join(result.flags) or 'no number'})")
            return row
        try:
            self.writer.write(observation, result, fitter.vertices(result), fitter.faces)
        except (InputError, OSError) as error:
            self.tally.failed(f"{name}: {error}")
            return replace(row, status="failed", flags=(*row.flags, "not_written"))
        self.tally.n_fitted += 1
        return row
