"""People are grouped by body model and keep their positions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from smplifyx.fitting.people import fit_people, group_people


class _Fitter:
    """Fits by naming the body and the observation, two at a time."""

    def __init__(self, body: str) -> None:
        self.body = body

    def fit_batches(
        self, observations: Sequence[str], callback: Callable[[str], None] | None
    ) -> Iterator[list[tuple[str, str]]]:
        for start in range(0, len(observations), 2):
            yield [(self.body, one) for one in observations[start : start + 2]]


def test_groups_keep_the_order_of_the_people() -> None:
    assert group_people(["male", "female", "male"]) == [("female", [1]), ("male", [0, 2])]
    assert group_people([]) == []


def test_batches_have_one_body_and_name_their_people() -> None:
    made: list[str] = []

    def fitter_of(body: str) -> _Fitter:
        made.append(body)
        return _Fitter(body)

    people, bodies = ["a", "b", "c", "d", "e"], ["male", "female", "male", "female", "male"]
    batches = list(fit_people(people, bodies, fitter_of))
    assert made == ["female", "male"]
    assert [batch.people for batch in batches] == [[1, 3], [0, 2], [4]]
    for batch in batches:
        assert batch.results == [(batch.fitter.body, people[k]) for k in batch.people]
