"""Output of a run: failures as they come, the rest in counts at the end, or line by line with ``--verbose``."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from smplifyx.cli import messages
from smplifyx.config import Config, RunOptions
from smplifyx.keypoints.loading import Skipped
from smplifyx.output import OutputLayout, SummaryRow
from smplifyx.output.flags import badness, is_problem, reason_to_look
from smplifyx.pipeline import Failure, Outcome
from smplifyx.pipeline.worklist import Finished

#: People who are named at the end, the worst ones.
_N_WORST = 3


class FitReport:
    """Collect the outcomes of a run in numbers; nothing grows with the number of photos but failures' count.

    Args:
        config: the settings.
        run: the arguments of the run.
        finished: photos that were finished before the run.
    """

    def __init__(self, config: Config, run: RunOptions, finished: Finished) -> None:
        self._config, self._run, self._finished = config, run, finished
        self.output = run.output
        self._n_people = self._n_fitted = self._n_failures = self._n_kept = self._n_other = 0
        self._n_changed = self._n_remade = self._n_outdated = self._n_skipped = self._n_notes = 0
        self._genders: Counter[str] = Counter()
        self._flags: Counter[str] = Counter()
        self._kinds: Counter[tuple[str, str]] = Counter()
        self._unused: dict[str, tuple[int, int]] = {}
        self._remarks: set[str] = set()
        self._worst: list[SummaryRow] = []
        self._started = time.monotonic()

    def add(self, outcome: Outcome) -> None:
        """Count a photo; print its failures."""
        self._n_people += len(outcome.people)
        self._n_fitted += outcome.n_fitted
        self._n_kept += len(outcome.kept)
        self._n_other += len(outcome.other_settings)
        self._n_changed += len(outcome.changed)
        self._n_remade += len(outcome.remade)
        self._n_outdated += len(outcome.outdated)
        self._worst = sorted([*self._worst, *outcome.rows], key=badness, reverse=True)[:_N_WORST]
        for decision in outcome.decisions:
            if decision.source != "given":
                why = f"({decision.reason_without_figures})" if decision.reason else f"by {decision.source}"
                self._genders[f"{decision.gender} {why}"] += 1
        self._flags.update(outcome.flags)
        self._kinds.update(outcome.kinds)
        for part, (n_points, n_people) in outcome.unused_keypoints.items():
            points, people = self._unused.get(part, (0, 0))
            self._unused[part] = points + n_points, people + n_people
        for failure in outcome.failures:
            self.add_failure(failure)
        self.add_skipped(outcome.skipped)
        self._n_notes += len(outcome.notes)
        if self._run.verbose:
            self._print_details(outcome)
        for remark in outcome.remarks:
            if remark not in self._remarks:
                self._remarks.add(remark)
                messages.note(remark)

    def _print_details(self, outcome: Outcome) -> None:
        for note in outcome.notes:
            messages.note(f"warning: {note}")
        for row, decision in zip(outcome.rows, outcome.decisions, strict=False):
            name = f"{row.stem}, person {row.person}" + (f", {row.side} hand" if row.side else "")
            why = f" ({decision.reason})" if decision.reason else ""
            messages.note(f"{name}: {decision.gender}, {decision.source}{why}")
        for line in outcome.details:
            messages.note(line)

    def add_failure(self, failure: Failure) -> None:
        """Print and count a failure."""
        self._n_failures += 1
        messages.fault(f"failed: {failure}")

    def add_skipped(self, skipped: Iterable[Skipped]) -> None:
        """Count inputs that are left out on purpose; print them if asked for."""
        for one in skipped:
            self._n_skipped += 1
            if self._run.verbose:
                person = "" if one.person_index is None else f", person {one.person_index}"
                messages.note(f"skipped: {one.path}{person}: {one.reason}")

    @property
    def counts(self) -> dict[str, int]:
        """Figures for the log."""
        return {
            "fitted": self._n_fitted,
            "failures": self._n_failures,
            "kept": self._finished.n_people + self._n_kept,
            "remade": self._n_remade,
        }

    def finished_so_far(self) -> str:
        """A sentence about an interrupted run."""
        n_finished = self._n_fitted + self._n_kept + self._finished.n_people
        return f"{messages.count(n_finished, 'person is', 'people are')} finished in {self._run.output}"

    def print_remarks(self) -> None:
        """Print the counts of skipped and kept people."""
        if self._run.keypoints is None and self._n_people:
            folder = OutputLayout(self._run.output).keypoints_path
            detected = messages.count(self._n_people, "person", "people")
            messages.note(f"no --keypoints: {detected} detected; keypoints are in {folder}")
        kinds = ", ".join(f"{kind} ({layout}): {count}" for (kind, layout), count in sorted(self._kinds.items()))
        if kinds and self._run.keypoints is not None and set(self._kinds) != {("OpenPose", "body_25")}:
            messages.note(f"keypoint files: {kinds}")
        for part, (points, people) in self._unused.items():
            model = self._config.body.model
            seen = f"{points} seen on {messages.count(people, 'person', 'people')}"
            messages.note(f"{model} has no {part} keypoints: {seen} are not used")
        if self._flags:
            counts = ", ".join(
                f"{flag} of {messages.count(number, 'person', 'people')}"
                for flag, number in sorted(self._flags.items())
            )
            messages.note(f"keypoints were changed or are uncertain (flags in the results): {counts}")
        numbers = {"inputs skipped": self._n_skipped, "warnings about inputs": self._n_notes}
        text = ", ".join(f"{kind}: {number}" for kind, number in numbers.items() if number)
        if text and not self._run.verbose:
            messages.note(f"{text} (--verbose shows them)")
        if self._genders:
            counts = ", ".join(f"{number} {outcome}" for outcome, number in self._genders.most_common())
            messages.note(f"gender: {counts}")
        self._print_kept()

    def _print_kept(self) -> None:
        n_kept, n_other = self._finished.n_people + self._n_kept, self._finished.n_other_settings + self._n_other
        if n_other:
            people = messages.count(n_other, "person was", "people were")
            messages.note(f"{people} fitted with other settings (--overwrite fits again)")
        if n_kept > n_other:
            people = messages.count(
                n_kept - n_other, "person with an existing result is", "people with existing results are"
            )
            messages.note(f"{people} skipped (--overwrite fits again)")
        if self._n_changed:
            people = messages.count(self._n_changed, "person", "people")
            messages.note(f"keypoints or photo had changed: {people} fitted again")
        if self._n_outdated:
            people = messages.count(self._n_outdated, "person who is", "people who are")
            folder = OutputLayout(self._run.output).outdated_path
            messages.note(f"files of {people} not in the keypoint files any more were moved to {folder}")
        if self._n_remade:
            people = messages.count(self._n_remade, "person", "people")
            messages.note(f"missing meshes and pictures of {people} were made from the results")

    @property
    def has_changes(self) -> bool:
        """Whether the run has changed anything that a report shows."""
        return bool(self._worst or self._n_remade or self._n_outdated)

    def print_end(self, page: Path | None = None, fitted: str | None = None) -> int:
        """Print counts, the output folder, the worst people and their reasons; returns the exit status.

        Args:
            page: the report, if one was written.
            fitted: words for the fits; None for the number of people.
        """
        people = fitted or messages.count(self._n_fitted, "person", "people")
        inputs = messages.count(self._n_failures, "input", "inputs")
        seconds = messages.duration(time.monotonic() - self._started)
        messages.say(f"{people} fitted, {inputs} failed; {seconds}; results in {self._run.output}")
        self._print_worst(names_good=fitted is None and self._n_fitted > _N_WORST)
        if page is not None:
            messages.say(f"to judge the fits, open {page} in a browser")
        return 1 if self._n_failures else 0

    def _print_worst(self, names_good: bool) -> None:
        """Name the worst people; unless good ones too are asked for, those who have a problem."""
        worst = [row for row in self._worst if names_good or row.status != "ok" or any(map(is_problem, row.flags))]
        if worst:
            messages.say("worst:")
        for row in worst:
            person = f"{row.stem}, person {row.person}" + (f", {row.side} hand" if row.side else "")
            messages.say(f"  {person}: {reason_to_look(row)}")
