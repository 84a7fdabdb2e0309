"""Workers in processes: every photo has an outcome, whatever happens to a process. Fits are stand-ins."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from smplifyx.config import Config, RunOptions
from smplifyx.errors import SmplifyxError, UsageError
from smplifyx.pipeline import Job, Outcome, Unit
from smplifyx.pipeline.processes import ProcessExecutor, _ParentConnection
from tests.pipeline.stand_in import BrokenWorker, StandInWorker

JOB = Job(Config(), RunOptions())


def units(*stems: str) -> list[Unit]:
    return [Unit(stem, Path(f"{stem}.jpg"), None) for stem in stems]


def run(given: Iterable[Unit], n_workers: int = 2) -> list[Outcome]:
    return list(ProcessExecutor(n_workers, StandInWorker).run(given, JOB))


def test_every_photo_is_done_once_by_other_processes() -> None:
    outcomes = run(units(*(f"photo{number}" for number in range(20))))
    assert Counter(one.unit.stem for one in outcomes) == Counter(f"photo{number}" for number in range(20))
    assert os.getpid() not in {row.person for one in outcomes for row in one.rows}
    assert not any(one.failures for one in outcomes)


@pytest.mark.slow
def test_a_photo_that_kills_its_worker_fails_alone() -> None:
    stems = ["a", "b", "deadly1", "c", "d", "e", "deadly2", "f"]
    outcomes = run(units(*stems))
    assert sorted(one.unit.stem for one in outcomes) == sorted(stems)
    failed = {one.unit.stem: str(one.failures[0]) for one in outcomes if one.failures}
    assert set(failed) == {"deadly1", "deadly2"}
    assert failed["deadly1"] == "deadly1.jpg: a worker process died with it: signal 9 (SIGKILL)"


@pytest.mark.slow
def test_an_error_of_a_worker_costs_one_photo() -> None:
    """Also an OSError, which is not taken for the end of the parent."""
    stems = ["a", "odd", "b", "c"]
    outcomes = run(units(*stems), n_workers=1)
    assert sorted(one.unit.stem for one in outcomes) == sorted(stems)
    assert [str(failure) for one in outcomes for failure in one.failures] == [
        "odd.jpg: a worker process died with it: OSError: an odd driver"
    ]


def test_photos_are_taken_as_workers_become_free() -> None:
    taken: list[str] = []

    def lazily() -> Iterator[Unit]:
        for unit in units(*(f"photo{number}" for number in range(100))):
            taken.append(unit.stem)
            yield unit

    outcomes = ProcessExecutor(1, StandInWorker).run(lazily(), JOB)
    next(outcomes)
    assert len(taken) < 20
    outcomes.close()


@pytest.mark.slow
def test_errors_of_the_job_are_raised_here() -> None:
    with pytest.raises(UsageError, match="a wrong job"):
        run(units("a", "wrong", "b"))


def test_a_request_to_stop_ends_the_run_with_what_is_written() -> None:
    executor = ProcessExecutor(1, StandInWorker)
    outcomes = executor.run(units("a", "b", "c", "slow", "d"), JOB)
    done = [next(outcomes).unit.stem for _ in range(3)]
    executor.stop()
    done += [one.unit.stem for one in outcomes]
    assert done[:3] == ["a", "b", "c"] and done[3:] in ([], ["slow"])  # the worker may not have taken it yet


def test_all_who_wait_for_the_parent_hear_that_it_quits() -> None:
    """A reader whose round was stopped waits beside the worker; the first to hear leaves the order to the other."""
    parent, child = multiprocessing.Pipe()
    connection = _ParentConnection(child)
    connection.listen(StandInWorker(JOB))
    reader = threading.Thread(target=lambda: list(connection.units()), daemon=True)
    waiting = threading.Thread(target=connection.wait_for_round, daemon=True)
    reader.start()
    waiting.start()
    parent.send("quit")
    for thread in (reader, waiting):
        thread.join(60)
        assert not thread.is_alive()
    assert connection.has_quit


@pytest.mark.slow
def test_workers_that_die_at_their_start_end_the_run() -> None:
    with pytest.raises(SmplifyxError, match=r"die at their start \(exit status 7\)"):
        list(ProcessExecutor(1, BrokenWorker).run(units("a"), JOB))
