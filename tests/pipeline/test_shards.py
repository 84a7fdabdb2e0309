"""The share of a run, from the environment of a cluster."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from smplifyx.config import RunOptions
from smplifyx.errors import UsageError
from smplifyx.pipeline.shards import shards_of, with_own_shard
from smplifyx.pipeline.units import Unit

ARRAY = {"SLURM_ARRAY_TASK_ID": "5", "SLURM_ARRAY_TASK_COUNT": "4"}


def shard(environment: dict[str, str], num_shards: int = 1) -> tuple[int, int]:
    run = with_own_shard(RunOptions(shard="auto", num_shards=num_shards), environment)
    assert run.shard == "given"
    return run.shard_index, run.num_shards


def test_without_being_asked_nothing_changes() -> None:
    run = RunOptions(num_shards=3, shard_index=1)
    assert with_own_shard(run, ARRAY) is run


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({**ARRAY, "SLURM_ARRAY_TASK_MIN": "3", "SLURM_ARRAY_TASK_MAX": "6"}, (2, 4)),
        ({"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "1"}, (0, 1)),
        ({"RANK": "2", "WORLD_SIZE": "8"}, (2, 8)),
    ],
)
def test_the_place_of_a_task(environment: dict[str, str], expected: tuple[int, int]) -> None:
    assert shard(environment) == expected


def test_single_shards_can_be_run_again() -> None:
    assert shard({**ARRAY, "SLURM_ARRAY_TASK_MIN": "2", "SLURM_ARRAY_TASK_MAX": "9"}, num_shards=16) == (5, 16)


@pytest.mark.parametrize(
    ("environment", "num_shards", "told"),
    [
        ({}, 1, "expected SLURM_ARRAY_TASK_ID, or RANK and WORLD_SIZE"),
        ({"RANK": "0"}, 1, "expected a whole number in WORLD_SIZE, found nothing"),
        ({"RANK": "x", "WORLD_SIZE": "2"}, 1, "expected a whole number in RANK, found x"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, 1, "expected RANK from 0 to 1, found 2"),
        ({**ARRAY, "SLURM_ARRAY_TASK_MIN": "2", "SLURM_ARRAY_TASK_MAX": "9"}, 1, "give --num-shards N as well"),
        (ARRAY, 4, "expected SLURM_ARRAY_TASK_ID from 0 to 3, found 5"),
    ],
)
def test_variables_that_do_not_fit_are_wrong_calls(environment: dict[str, str], num_shards: int, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        shard(environment, num_shards)


@pytest.mark.parametrize("num_shards", [2, 3, 7])
def test_shards_have_as_many_people_as_each_other(tmp_path: Path, num_shards: int) -> None:
    people = np.random.default_rng(3).choice([0, 1, 1, 1, 2, 3, 5], 60)
    units = []
    for number, count in enumerate(people):
        path = tmp_path / f"{number}_keypoints.json"
        path.write_bytes(b"x" * (1000 * int(count) + 20 + number % 7))
        units.append(Unit(str(number), Path(f"{number}.jpg"), path))
    shards = shards_of(units, num_shards)
    assert shards == shards_of(units, num_shards)
    loads = [people[np.array(shards) == shard].sum() for shard in range(num_shards)]
    assert max(loads) - min(loads) <= 2
    photos = [Unit(unit.stem, unit.image, None) for unit in units]
    assert shards_of(photos, num_shards) == [number % num_shards for number in range(60)]
    one_file = [Unit(unit.stem, unit.image, units[0].keypoints, is_shared=True) for unit in units]
    assert max(Counter(shards_of(one_file, num_shards)).values()) == -(-60 // num_shards)
