"""The share of a run in the work of several: from a job array of Slurm, or from the variables of torchrun."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import replace

from smplifyx.config import RunOptions
from smplifyx.errors import UsageError
from smplifyx.pipeline.digests import file_stamp
from smplifyx.pipeline.units import Unit


def shards_of(units: Sequence[Unit], num_shards: int) -> list[int]:
    """The shard of each photo, the same for each call while photos and keypoint files stay as they are.

    Shards have about as many people as each other: the size of a keypoint file tells how many it has. Photos without
    a keypoint file of their own are dealt out in turn.
    """
    if num_shards == 1 or not any(_is_counted(unit) for unit in units):
        return [number % num_shards for number in range(len(units))]
    sizes = [(file_stamp(unit.keypoints) or (0, 0))[0] if _is_counted(unit) else 0 for unit in units]
    shards = [0] * len(units)
    loads = [(0, 0, shard) for shard in range(num_shards)]
    for number in sorted(range(len(units)), key=lambda one: -sizes[one]):  # the largest first, to the least load
        size, count, shards[number] = heapq.heappop(loads)
        heapq.heappush(loads, (size + sizes[number], count + 1, shards[number]))
    return shards


def _is_counted(unit: Unit) -> bool:
    return unit.keypoints is not None and not unit.is_shared


def for_all_shards(run: RunOptions) -> RunOptions:
    """The arguments of a run to continue the work of all its shards: all photos, no finished one again."""
    return replace(run, num_shards=1, shard_index=0, shard="given", overwrite=False)


def with_own_shard(run: RunOptions, environment: Mapping[str, str]) -> RunOptions:
    """The arguments of a run with number and index of its shard, where they are to be taken from the environment.

    With ``num_shards`` given, the number of the task in the array is the index, so that single shards can be run
    again. Otherwise the array is the whole of the shards; its numbers must follow each other.

    Args:
        run: the arguments.
        environment: variables of the process.

    Raises:
        UsageError: the variables are missing, or do not fit.
    """
    if run.shard != "auto":
        return run
    index, count, variable = _own_place(run, environment)
    if not 0 <= index < count:
        raise UsageError(f"--shard auto: expected {variable} from 0 to {count - 1}, found {index}")
    return replace(run, shard="given", num_shards=count, shard_index=index)


def _own_place(run: RunOptions, environment: Mapping[str, str]) -> tuple[int, int, str]:
    """Index, number of shards, and the variable that the index comes from."""
    if "SLURM_ARRAY_TASK_ID" in environment:
        task = _number(environment, "SLURM_ARRAY_TASK_ID")
        if run.num_shards > 1:
            return task, run.num_shards, "SLURM_ARRAY_TASK_ID"
        count = _number(environment, "SLURM_ARRAY_TASK_COUNT")
        first = _number(environment, "SLURM_ARRAY_TASK_MIN", 0)
        last = _number(environment, "SLURM_ARRAY_TASK_MAX", first + count - 1)
        if last - first + 1 != count:
            raise UsageError(
                f"--shard auto: the array has {count} tasks from {first} to {last}; give --num-shards N as well, "
                "so that the number of the task is that of the shard"
            )
        return task - first, count, "SLURM_ARRAY_TASK_ID"
    if "RANK" in environment:
        count = _number(environment, "WORLD_SIZE") if run.num_shards == 1 else run.num_shards
        return _number(environment, "RANK"), count, "RANK"
    raise UsageError("--shard auto: expected SLURM_ARRAY_TASK_ID, or RANK and WORLD_SIZE, in the environment")


def _number(environment: Mapping[str, str], name: str, default: int | None = None) -> int:
    text = environment.get(name, "")
    if not text and default is not None:
        return default
    if not text.isdecimal():
        raise UsageError(f"--shard auto: expected a whole number in {name}, found {text or 'nothing'}")
    return int(text)
