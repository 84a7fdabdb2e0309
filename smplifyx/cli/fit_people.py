"""Fits the people of a run in batches of one body model; writes one batch while the next is fitted."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from tqdm import tqdm

from smplifyx.body.files import load_body_model_data
from smplifyx.body.search import find_body_model
from smplifyx.camera import Camera, resolve_cameras
from smplifyx.cli.choose_genders import choose_genders
from smplifyx.cli.messages import required_file
from smplifyx.cli.result_writer import BatchWriter, GroupOverlays, PersonWriter, RunStatistics, background
from smplifyx.config import Config, RunOptions
from smplifyx.fitting.fitter import FitProgress, Fitter
from smplifyx.fitting.result import FitResult
from smplifyx.gender import GenderDecision
from smplifyx.keypoints import Observation
from smplifyx.skeleton import SIDES


class _Person(NamedTuple):
    """Somebody and the body model that was decided on."""

    observation: Observation
    decision: GenderDecision


@dataclass(frozen=True)
class FitPlan:
    """Who is fitted with which body, found to be possible.

    Attributes:
        todo: whom to fit.
        groups: them by the gender of their body model, or hands by their side.
        fitter_of: the fitter of a group.
    """

    todo: Sequence[Observation]
    groups: Sequence[tuple[str, list[_Person]]]
    fitter_of: Callable[[str], Fitter]


@dataclass(frozen=True)
class FitJob:
    """How people are fitted.

    Attributes:
        config: all settings.
        run: arguments of the run.
        device: where the fits run.
        writer: writes what they leave behind.
        tally: counts them.
        calibration: measured cameras by photo.
    """

    config: Config
    run: RunOptions
    device: torch.device
    writer: PersonWriter
    statistics: RunStatistics
    calibration: Mapping[str, Camera]

    def plan(self, todo: Sequence[Observation]) -> FitPlan:
        """Choose bodies and load all that the fits need, before anything is written.

        Args:
            todo: whom to fit.

        Raises:
            UsageError: a body model, a prior, the classifier or a table of labels is unusable.
        """
        groups = self._by_kind(todo)
        for kind, _ in groups:  # looked for before any is loaded, which takes seconds
            self._model_file(kind)
        fitter_of = functools.cache(self._fitter)
        for kind, _ in groups:
            fitter_of(kind)
        return FitPlan(todo, groups, fitter_of)

    def fit(self, plan: FitPlan, everybody: Sequence[Observation]) -> None:
        """Fit people and write their files.

        Args:
            plan: from :meth:`plan`.
            everybody: all people of the run, those fitted earlier included, for the pictures of all of a photo.
        """
        with (
            tqdm(total=len(plan.todo), unit="person", smoothing=0, disable=not sys.stderr.isatty()) as bar,
            background(self.writer.close) as worker,
        ):
            overlays = GroupOverlays(everybody, plan.todo, self.writer, plan.fitter_of)
            results = BatchWriter(self.writer, overlays, self.statistics, bar, worker, self.run.verbose)
            if plan.todo:
                worker.submit(self.writer.open)
            worker.submit(results.draw_missing)

            def show_stage(progress: FitProgress) -> None:
                bar.set_postfix_str(f"stage {progress.stage} of {progress.n_stages}")

            for kind, group in plan.groups:
                fitter = plan.fitter_of(kind)
                for people in _batches(group, self.run.batch_size):
                    batch = [person.observation for person in people]
                    batch = resolve_cameras(batch, self.config.camera, self.calibration)
                    fitted = fitter.fit(batch, show_stage)
                    worker.submit(results.write, batch, _with_decisions(fitted, people), fitter)

    def _by_kind(self, people: Sequence[Observation]) -> list[tuple[str, list[_Person]]]:
        """The people by the gender of their body model, or the hands by their side."""
        groups: dict[str, list[_Person]] = {}
        for person in map(_Person, people, choose_genders(people, self.config, self.device, self.run.verbose)):
            groups.setdefault(person.observation.side or person.decision.gender, []).append(person)
        return sorted(groups.items())

    def _model_file(self, kind: str) -> Path:
        body = self.config.body
        gender, side = ("neutral", kind) if kind in SIDES else (kind, None)
        find = functools.partial(find_body_model, side=side)
        return required_file(find, body.model, gender, body.models_dir)

    def _fitter(self, kind: str) -> Fitter:
        gender = "neutral" if kind in SIDES else kind
        data = required_file(load_body_model_data, self._model_file(kind), gender)
        make = functools.partial(
            Fitter,
            config=self.config,
            device=self.device,
            dtype=self.run.dtype,
            batch_size=self.run.batch_size,
        )
        return required_file(make, data)


def _with_decisions(results: Sequence[FitResult], people: Sequence[_Person]) -> list[FitResult]:
    return [
        replace(
            result,
            gender_source=decision.source,
            gender_probability=decision.probability,
            gender_reason=decision.reason,
        )
        for result, (_, decision) in zip(results, people, strict=True)
    ]


def _batches(people: Sequence[_Person], size: int) -> Iterator[Sequence[_Person]]:
    for first in range(0, len(people), size):
        yield people[first : first + size]
