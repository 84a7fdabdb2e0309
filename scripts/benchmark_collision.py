"""Measures what the self-collision term costs and whether kept candidates miss anything.

The same synthetic people are fitted with and without the term, in turns, and the stages that have it are timed: their
ratio is what counts, as both feel whatever else the machine does. Then everybody is fitted once more with a second
search at each evaluation that keeps nothing; the pairs that only one of the two finds are counted.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from smplifyx.body.data import BodyModelData
from smplifyx.body.files import load_body_model_data
from smplifyx.body.search import find_body_model
from smplifyx.collision import self_collision
from smplifyx.collision.candidates import CandidateCache
from smplifyx.collision.search import TrianglePairs
from smplifyx.collision.skinning import BoneStates
from smplifyx.config import Config, Override, load_config
from smplifyx.evaluation.runner import observation_of
from smplifyx.fitting import FitResult, Fitter
from smplifyx.synthetic.people import SyntheticOptions, SyntheticPerson, synthetic_people
from smplifyx.synthetic.poses import held_out_poses, mild_poses


@dataclass
class MissedPairs:
    """Pairs found in all, and those that only one of the two searches found."""

    evaluations: int = 0
    searches: int = 0
    pairs: int = 0
    missed: int = 0
    additional: int = 0


def checked_candidates(count: MissedPairs) -> type[CandidateCache]:
    """Kept candidates that compare what they find with a search of their own each time."""

    class Checked(CandidateCache):
        def __init__(self, skinning: object, bound: object, search: object, n_rows: int, margin: float) -> None:
            super().__init__(skinning, bound, search, n_rows, margin)  # type: ignore[arg-type]
            self._always = CandidateCache(skinning, bound, search, n_rows, 0.0)  # type: ignore[arg-type]

        def pose(self, state: BoneStates, slots: torch.Tensor) -> torch.Tensor:
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

    return Checked


def _keys(pairs: TrianglePairs) -> set[tuple[int, int, int]]:
    return {(row, *pair) for row, pair in zip(pairs.rows.tolist(), pairs.triangles.tolist(), strict=True)}


def parse_arguments() -> tuple[argparse.Namespace, list[Override]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=64)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=(1, 64), metavar="N")
    parser.add_argument("--people-alone", type=int, default=12, help="people at batch 1")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mocap", type=Path, help="motion capture (.npz) for the poses; default: mild random poses")
    parser.add_argument("--set", nargs=2, action="append", default=[], metavar=("KEY", "VALUE"), dest="overrides")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--no-check", action="store_true", help="leave out the count of missed collisions")
    arguments = parser.parse_args()
    return arguments, [Override(key, value) for key, value in arguments.overrides]


def main() -> None:
    arguments, overrides = parse_arguments()
    torch.set_num_threads(arguments.threads)
    config = load_config(None, overrides)
    data = load_body_model_data(find_body_model("smplx", "neutral", config.body.models_dir))
    poses = held_out_poses(arguments.mocap) if arguments.mocap else mild_poses(seed=arguments.seed)
    people = list(synthetic_people(data, arguments.people, SyntheticOptions(seed=arguments.seed), poses))
    print("| batch | people | stages without, ms a person | with | ratio | all stages: ratio |\n|" + "---:|" * 6)
    for batch_size in arguments.batch_sizes:
        chosen = people[: arguments.people_alone] if batch_size == 1 else people
        print(_time_row(data, config, chosen, batch_size, arguments), flush=True)
    if not arguments.no_check:
        print(f"\n{_count_missed(data, config, people, arguments)}")


def _time_row(
    data: BodyModelData, config: Config, people: list[SyntheticPerson], size: int, arguments: argparse.Namespace
) -> str:
    fitters = [Fitter(data, config=_switched(config, on), device=arguments.device) for on in (False, True)]
    for fitter in fitters:  # first calls load and compile
        _fit(fitter, people[:2], 2)
    seconds = np.zeros((2, len(config.stages) + 1))
    for _ in range(arguments.repeats):
        for k, fitter in enumerate(fitters):
            clock = _StageClock(len(config.stages))
            started = time.process_time()
            _fit(fitter, people, size, clock)
            seconds[k] += [*clock.seconds, time.process_time() - started]
    with_term = [number for number, stage in enumerate(config.stages) if stage.collision]
    without, with_ = 1e3 * seconds[:, with_term].sum(1) / len(people) / arguments.repeats
    whole = seconds[1, -1] / seconds[0, -1]
    return f"| {size} | {len(people)} | {without:.0f} | {with_:.0f} | {with_ / without:.2f} | {whole:.2f} |"


class _StageClock:
    """Processor seconds of each stage, summed over batches."""

    def __init__(self, n_stages: int) -> None:
        self.seconds = np.zeros(n_stages)
        self.restart()

    def restart(self) -> None:
        self._latest = time.process_time()

    def __call__(self, number: int, n_stages: int) -> None:
        now = time.process_time()
        self.seconds[number - 1] += now - self._latest
        self._latest = now


def _switched(config: Config, on: bool) -> Config:
    return replace(config, collision=replace(config.collision, enabled=on))


def _fit(
    fitter: Fitter, people: list[SyntheticPerson], size: int, clock: _StageClock | None = None
) -> list[FitResult]:
    results = []
    for first in range(0, len(people), size):
        batch = people[first : first + size]
        if clock is not None:
            clock.restart()
        results += fitter.fit([observation_of(one, with_camera=True) for one in batch], clock)
    return results


def _count_missed(
    data: BodyModelData, config: Config, people: list[SyntheticPerson], arguments: argparse.Namespace
) -> str:
    """A sentence about what the kept candidates miss, and one about what the term does."""
    count = MissedPairs()
    self_collision.CandidateCache = checked_candidates(count)  # type: ignore[misc]
    with_ = _fit(
        Fitter(data, config=_switched(config, True), device=arguments.device), people, max(arguments.batch_sizes)
    )
    unweighted = replace(config, stages=tuple(replace(stage, collision=0.0) for stage in config.stages))
    without = _fit(
        Fitter(data, config=_switched(unweighted, True), device=arguments.device), people, max(arguments.batch_sizes)
    )
    lines = [
        f"{count.evaluations} evaluations of a person took {count.searches} searches. Of {count.pairs} colliding "
        f"pairs {count.missed} were missed; {count.additional} were found that do not collide."
    ]
    for name, results in (("Without the term", without), ("With the term", with_)):
        depths = np.array([result.penetration_mm for result in results])
        pairs = np.array([result.colliding_pairs for result in results])
        limits = sum("collision_limit" in result.flags for result in results)
        lines.append(
            f"{name}: {np.mean(pairs > 0):.0%} of the people collide, {pairs.mean():.1f} pairs a person, "
            f"deepest penetration {depths.mean():.1f} mm on average, {depths.max():.0f} mm at most; {limits} hit the "
            f"limit of candidates; {np.mean([result.converged for result in results]):.0%} converged."
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
