"""Fit people with different body models: group them by body, and fit each group in batches."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from smplifyx.fitting.fitter import Callback, Fitter
from smplifyx.keypoints import Observation
from smplifyx.result import FitResult

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class FittedBatch:
    """People that were fitted together.

    Attributes:
        people: their positions in the list of observations.
        results: their fits, in the same order.
        fitter: the fitter of their body model.
    """

    people: list[int]
    results: list[FitResult]
    fitter: Fitter


def fit_people(
    observations: Sequence[Observation],
    bodies: Sequence[K],
    fitter_of: Callable[[K], Fitter],
    callback: Callback | None = None,
) -> Iterator[FittedBatch]:
    """Fit people, one batch of one body model after the other.

    Args:
        observations: the people.
        bodies: the body model of each, for example its gender, or the side of a hand.
        fitter_of: gives the fitter of a body model; called once for each.
        callback: called after each stage of each batch; its positions are those within the group of a body model.

    Yields:
        Batches of at most ``Fitter.batch_size`` people, group by group in the order of :func:`group_people`.
    """
    for body, people in group_people(bodies):
        fitter = fitter_of(body)
        start = 0
        for results in fitter.fit_batches([observations[k] for k in people], callback):
            yield FittedBatch(people[start : start + len(results)], results, fitter)
            start += len(results)


def group_people(bodies: Sequence[K]) -> list[tuple[K, list[int]]]:
    """The positions of the people of each body model, sorted by its name."""
    groups: dict[K, list[int]] = {}
    for position, body in enumerate(bodies):
        groups.setdefault(body, []).append(position)
    return sorted(groups.items(), key=lambda group: str(group[0]))
