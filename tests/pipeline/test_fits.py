"""Batches of waiting people, and fits that are halved where memory or a person fails. The fits are stand-ins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from smplifyx.camera import resolve_cameras
from smplifyx.config import Config, RunOptions
from smplifyx.fitting import fitter as fitter_module
from smplifyx.fitting.fitter import Fitter
from smplifyx.gender import GenderDecision, given
from smplifyx.keypoints import Observation
from smplifyx.pipeline import Outcome, Unit
from smplifyx.pipeline.fits import BatchFitter, StopRequested, WaitingPeople
from smplifyx.pipeline.reading import Person, Photo


def person(number: int, decision: GenderDecision | None = None) -> Person:
    keypoints = np.zeros((135, 3), np.float32)
    one = Observation(keypoints, (40, 30), image_path=Path("photo.jpg"), person_index=number)
    return Person(one, "", decision or given("neutral"), is_new=True)


class FakeFitter:
    """Fits the numbers of people; raises what it is told to."""

    unused_settings = ()

    def __init__(self, check: Callable[[Sequence[int]], None]) -> None:
        self.sizes: list[int] = []
        self._check = check

    def fit(self, people: Sequence[Observation], callback: object) -> list[FakeResult]:
        numbers = [one.person_index for one in people]
        self.sizes.append(len(numbers))
        self._check(numbers)
        return [FakeResult(number) for number in numbers]


class FakeResult:
    def __init__(self, number: int) -> None:
        self.number = number


def fitting(
    monkeypatch: pytest.MonkeyPatch, check: Callable[[Sequence[int]], None]
) -> tuple[BatchFitter, FakeFitter]:
    fitter = FakeFitter(check)
    monkeypatch.setattr("smplifyx.pipeline.fits._make_fitter", lambda *arguments: fitter)
    monkeypatch.setattr("smplifyx.pipeline.fits.with_decision", lambda result, decision: result.number)
    return BatchFitter(Config(), RunOptions(batch_size=8), torch.device("cpu")), fitter


def out_of_memory_above(n_people: int) -> Callable[[Sequence[int]], None]:
    def check(numbers: Sequence[int]) -> None:
        if len(numbers) > n_people:
            raise torch.OutOfMemoryError("CUDA out of memory")

    return check


def test_a_person_alone_who_does_not_fit_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    fits, _ = fitting(monkeypatch, out_of_memory_above(0))
    assert fits.fit("neutral", [person(0)]) == ["out of memory: CUDA out of memory"]


def test_a_person_whose_numbers_break_the_fit_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(numbers: Sequence[int]) -> None:
        if 5 in numbers:
            raise RuntimeError("singular matrix")

    fits, _ = fitting(monkeypatch, check)
    results = fits.fit("neutral", [person(number) for number in range(8)])
    assert results == [0, 1, 2, 3, 4, "RuntimeError: singular matrix", 6, 7]


def test_a_request_to_stop_is_no_failure_of_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(numbers: Sequence[int]) -> None:
        raise StopRequested

    fits, _ = fitting(monkeypatch, check)
    with pytest.raises(StopRequested):
        fits.fit("neutral", [person(0), person(1)])


def photo(*people: Person) -> Photo:
    return Photo(Outcome(Unit("photo", Path("photo.jpg"), None)), list(people))


def test_people_wait_by_body_model_for_full_batches() -> None:
    waiting = WaitingPeople(batch_size=16)
    sizes = []
    for number in range(100):
        waiting.add(photo(person(number, given(["male", "female", "neutral"][number % 3]))))
        while (batch := waiting.take(is_last=False)) is not None:
            assert {one.body for one, _ in batch[1]} == {batch[0]}
            sizes.append(len(batch[1]))
    assert sizes[0] == 8  # the first results come soon
    assert set(sizes[1:]) == {16}
    while (batch := waiting.take(is_last=True)) is not None:
        sizes.append(len(batch[1]))
    assert sum(sizes) == 100 and len(sizes) <= 9


def test_people_with_results_do_not_wait() -> None:
    waiting, kept = WaitingPeople(4), person(0)
    kept.is_new = False
    waiting.add(photo(kept))
    assert waiting.take(is_last=True) is None


def test_fitters_of_all_genders_share_the_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    def counted(name: str) -> Callable[..., object]:
        load = getattr(fitter_module, name)

        def count(*given: object) -> object:
            loaded.append(name)
            return load(*given)

        return count

    for name in ("load_lifting", "make_body_pose_prior"):
        monkeypatch.setattr(fitter_module, name, counted(name))
    fits = BatchFitter(Config(), RunOptions(), torch.device("cpu"))
    neutral, male = fits.fitter_of("neutral"), fits.fitter_of("male")
    assert sorted(loaded) == ["load_lifting", "make_body_pose_prior"]
    alone = Fitter("smplx", "male", config=Config())
    keypoints = np.random.default_rng(0).uniform(1.0, 30.0, (135, 3)).clip(max=[40, 30, 1]).astype(np.float32)
    people = resolve_cameras([Observation(keypoints, (40, 30))], Config().camera)
    lifted, expected = (one.initial_hypotheses(people).targets.lifted for one in (male, alone))
    assert neutral.data is not male.data and expected.abs().sum() > 0 and torch.equal(lifted, expected)
