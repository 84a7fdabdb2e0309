"""Cost of the self-collision term, and collisions that its cached candidates miss.

The same synthetic people are fitted with and without the term, in turns, and the stages that have it are timed: their
ratio counts, as both feel whatever else the machine does. Then all are fitted once more with a second search at each
evaluation that caches nothing; the pairs that only one of the two searches finds are counted.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from smplifyx.body.data import BodyModelData
from smplifyx.collision import self_collision
from smplifyx.collision.candidates import CandidateCache
from smplifyx.collision.search import TrianglePairs
from smplifyx.collision.skinning import BoneStates
from smplifyx.config import Config
from smplifyx.evaluation.tables import Row
from smplifyx.fitting.fitter import FitProgress, Fitter
from smplifyx.result import FitResult
from smplifyx.synthetic.documents import observation_of
from smplifyx.synthetic.people import SyntheticPerson


@dataclass
class MissedPairs:
    """Evaluations, searches, colliding pairs, and pairs that only one of the two searches found."""

    evaluations: int = 0
    searches: int = 0
    pairs: int = 0
    missed: int = 0
    additional: int = 0

    def __str__(self) -> str:
        return (
            f"{self.evaluations} evaluations of a person took {self.searches} searches. Of {self.pairs} colliding "
            f"pairs {self.missed} were missed; {self.additional} were found that do not collide."
        )


def time_term(
    data: BodyModelData,
    config: Config,
    people: Sequence[SyntheticPerson],
    batch_size: int,
    repeats: int,
    device: str = "cpu",
) -> Row:
    """Processor time of the stages with the term and of whole fits, without and with it: one row of a table."""
    fitters = [_fitter(data, config, on, batch_size, device) for on in (False, True)]
    observations = [observation_of(one, with_camera=True) for one in people]
    for fitter in fitters:  # first calls load and compile
        fitter.fit(observations[:2])
    seconds = np.zeros((2, len(config.stages) + 1))
    for _ in range(repeats):
        for k, fitter in enumerate(fitters):
            clock = _StageClock(len(config.stages))
            started = time.process_time()
            fitter.fit(observations, clock)
            seconds[k] += [*clock.seconds, time.process_time() - started]
    with_term = [number for number, stage in enumerate(config.stages) if stage.collision]
    without, with_ = 1e3 * seconds[:, with_term].sum(1) / len(people) / repeats
    return {
        "batch": batch_size,
        "people": len(people),
        "stages without, ms/person": f"{without:.0f}",
        "stages with, ms/person": f"{with_:.0f}",
        "ratio": f"{with_ / without:.2f}",
        "ratio of whole fits": f"{seconds[1, -1] / seconds[0, -1]:.2f}",
    }


def check_candidates(
    data: BodyModelData, config: Config, people: Sequence[SyntheticPerson], batch_size: int, device: str = "cpu"
) -> list[str]:
    """Count pairs that cached candidates miss: a sentence on it, and one each on fits without and with the term."""
    observations = [observation_of(one, with_camera=True) for one in people]
    exact = replace(config, collision=replace(config.collision, rounds=0))  # fixed contacts need no candidates
    with _checked_candidates() as count:
        _fitter(data, exact, True, batch_size, device).fit(observations)
    with_ = _fitter(data, config, True, batch_size, device).fit(observations)
    unweighted = replace(config, stages=tuple(replace(stage, collision=0.0) for stage in config.stages))
    without = _fitter(data, unweighted, True, batch_size, device).fit(observations)
    return [str(count), f"Without the term: {_describe(without)}", f"With the term: {_describe(with_)}"]


def _describe(results: Sequence[FitResult]) -> str:
    depths = np.array([result.penetration_mm for result in results])
    pairs = np.array([result.colliding_pairs for result in results])
    limits = sum("collision_limit" in result.flags for result in results)
    return (
        f"{np.mean(pairs > 0):.0%} of the people collide, {pairs.mean():.1f} pairs a person, "
        f"deepest penetration {depths.mean():.1f} mm on average, {depths.max():.0f} mm at most; {limits} reached the "
        f"limit of candidates; {np.mean([result.converged for result in results]):.0%} converged."
    )


@contextmanager
def _checked_candidates() -> Iterator[MissedPairs]:
    """Compare the pairs of all fits inside the block with a search that caches nothing."""
    count = MissedPairs()
    original = self_collision.CandidateCache

    class Checked(CandidateCache):
        def __init__(self, skinning: object, bound: object, search: object, n_rows: int, margin: float) -> None:
            super().__init__(skinning, bound, search, n_rows, margin)  # type: ignore[arg-type]
            self._always = CandidateCache(skinning, bound, search, n_rows, 0.0)  # type: ignore[arg-type]

        def pose(self, state: BoneStates, slots: Tensor) -> Tensor:
            before = self.counts.searches
            meets = super().pose(state, slots)
            rows, place = meets.nonzero(as_tuple=True)
            hits = TrianglePairs(rows, self.lists.pairs[slots[rows], place].long(), self.truncated[slots])
            found, expected = (_keys(one) for one in (hits, self._always.intersecting(state, slots)))
            count.evaluations += len(slots)
            count.searches += self.counts.searches - before
            count.pairs += len(expected)
            count.missed += len(expected - found)
            count.additional += len(found - expected)
            return meets

    self_collision.CandidateCache = Checked  # type: ignore[misc]
    try:
        yield count
    finally:
        self_collision.CandidateCache = original  # type: ignore[misc]


def _keys(pairs: TrianglePairs) -> set[tuple[int, int, int]]:
    return {(row, *pair) for row, pair in zip(pairs.rows.tolist(), pairs.triangles.tolist(), strict=True)}


class _StageClock:
    """Processor seconds of each stage, summed over batches; those before a batch's first stage count to it."""

    def __init__(self, n_stages: int) -> None:
        self.seconds = np.zeros(n_stages)
        self._latest = time.process_time()

    def __call__(self, progress: FitProgress) -> None:
        now = time.process_time()
        self.seconds[progress.stage - 1] += now - self._latest
        self._latest = now


def _fitter(data: BodyModelData, config: Config, on: bool, batch_size: int, device: str) -> Fitter:
    switched = replace(config, collision=replace(config.collision, enabled=on))
    return Fitter(data, config=switched, device=device, batch_size=batch_size)
