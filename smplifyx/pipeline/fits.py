"""Fits of waiting people: batches by body model across photos, halved where one person fails."""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from smplifyx.body.search import find_body_model
from smplifyx.config import Config, RunOptions
from smplifyx.errors import InputError, UsageError, reason
from smplifyx.fitting.fitter import FitProgress, Fitter, is_out_of_memory
from smplifyx.gender import GenderDecision
from smplifyx.pipeline.reading import Person, Photo
from smplifyx.result import FitResult
from smplifyx.skeleton import SIDES

#: People in the first batch of a worker, so that the first results come soon.
_FIRST_BATCH = 8
#: People in a batch unless the user says otherwise. On the CPU more would leave the caches; a GPU is idle with few.
_CPU_BATCH, _GPU_BATCH = 32, 1024


class StopRequested(Exception):  # noqa: N818
    """The run is to end: the fits in hand are given up."""


class WaitingPeople:
    """People who wait for a full batch, by body model.

    Args:
        batch_size: people in a batch.
    """

    def __init__(self, batch_size: int) -> None:
        self._batch_size, self._first = batch_size, min(_FIRST_BATCH, batch_size)
        self._groups: dict[str, list[tuple[Person, Photo]]] = {}

    def add(self, photo: Photo) -> None:
        """Let the people of a photo wait who are to be fitted."""
        for person in photo.new_people:
            self._groups.setdefault(person.body, []).append((person, photo))

    def take(self, is_last: bool) -> tuple[str, list[tuple[Person, Photo]]] | None:
        """Take a batch: a full one, at the start a small one, at the end any; None if there is none."""
        if not self._groups:
            return None
        body = max(self._groups, key=lambda name: len(self._groups[name]))
        people = self._groups[body]
        if not is_last and len(people) < (self._first or self._batch_size):
            return None
        self._first = 0
        self._groups[body] = people[self._batch_size :]
        if not self._groups[body]:
            del self._groups[body]
        return body, people[: self._batch_size]


class BatchFitter:
    """Fits of batches, with a fitter for each body model.

    Args:
        config: the settings.
        run: precision and batch size.
        device: where to compute.
        is_stopped: asked after each stage; the fit is given up if it says so.
    """

    def __init__(
        self, config: Config, run: RunOptions, device: torch.device, is_stopped: Callable[[], bool] = lambda: False
    ) -> None:
        self._is_stopped = is_stopped
        self._make = functools.partial(_make_fitter, config, run, device)
        self._fitters: dict[str, Fitter] = {}
        self._making = threading.Lock()

    def fitter_of(self, body: str) -> Fitter:
        """The fitter of a gender or side, made once; raises UsageError for a damaged model, prior or network."""
        with self._making:
            if body not in self._fitters:
                self._fitters[body] = self._make(body, next(iter(self._fitters.values()), None))
            return self._fitters[body]

    @property
    def unused_settings(self) -> tuple[str, ...]:
        """Settings that differ from their defaults and have no effect on the models fitted so far."""
        return tuple(dict.fromkeys(name for one in self._fitters.values() for name in one.unused_settings))

    def fit(self, body: str, people: Sequence[Person]) -> list[FitResult | str]:
        """Fit people with one body model; a person who cannot be fitted gets the reason instead of a result.

        A batch that one person's numbers break is fitted in two halves; for the memory of a GPU, a fitter does so.

        Raises:
            StopRequested: the run is to end.
            UsageError: a body model or prior is missing or damaged.
        """
        fitter = self.fitter_of(body)
        return self._fit(fitter, people)

    def _fit(self, fitter: Fitter, people: Sequence[Person]) -> list[FitResult | str]:
        try:
            results = fitter.fit([one.observation for one in people], self._check)
            return [with_decision(result, one.decision) for result, one in zip(results, people, strict=True)]
        except (StopRequested, UsageError):
            raise
        except Exception as error:  # one person's numbers break no other person's fit
            if len(people) == 1:
                is_memory = isinstance(error, MemoryError) or is_out_of_memory(error)
                return [f"{'out of memory' if is_memory else type(error).__name__}: {reason(error)}"]
        return self._in_halves(fitter, people)

    def _in_halves(self, fitter: Fitter, people: Sequence[Person]) -> list[FitResult | str]:
        middle = math.ceil(len(people) / 2)
        return [*self._fit(fitter, people[:middle]), *self._fit(fitter, people[middle:])]

    def _check(self, progress: FitProgress) -> None:
        if self._is_stopped():
            raise StopRequested

    def vertices(self, result: FitResult) -> tuple[np.ndarray, np.ndarray]:
        """Vertices [V, 3] without the camera translation, metres, and triangles [F, 3] of a result."""
        return self.meshes([result])[0]

    def meshes(self, results: Sequence[FitResult]) -> list[tuple[np.ndarray, np.ndarray]]:
        """The same of several results of one body model, in less time than one by one."""
        if not results:
            return []
        fitter = self.fitter_of(results[0].side or results[0].gender)
        return [(vertices, fitter.faces) for vertices in fitter.vertices(results)]


def batch_size_of(run: RunOptions, device: torch.device) -> int:
    """People in a batch: as asked for, or as many as keep the device busy."""
    if run.batch_size != "auto":
        return run.batch_size
    return _CPU_BATCH if device.type == "cpu" else _GPU_BATCH


def check_body(config: Config, body: str) -> None:
    """Raise :class:`UsageError` if there is no model file for a gender or side."""
    gender, side = _gender_and_side(body)
    try:
        find_body_model(config.body.model, gender, config.body.models_dir, side=side)
    except InputError as error:
        raise UsageError(str(error)) from error


def _make_fitter(
    config: Config, run: RunOptions, device: torch.device, body: str, networks_of: Fitter | None
) -> Fitter:
    gender, side = _gender_and_side(body)
    try:
        return Fitter(
            config.body.model,
            gender,
            side=side,
            config=config,
            device=device,
            dtype=run.dtype,
            batch_size=batch_size_of(run, device),
            networks_of=networks_of,
        )
    except InputError as error:
        raise UsageError(str(error)) from error


def _gender_and_side(body: str) -> tuple[str, str | None]:
    return ("neutral", body) if body in SIDES else (body, None)


def with_decision(result: FitResult, decision: GenderDecision | None) -> FitResult:
    """The result with the decision about the gender of its person."""
    if decision is None:
        return result
    return replace(
        result,
        gender_source=decision.source,
        gender_probability=decision.probability,
        gender_reason=decision.reason,
    )
