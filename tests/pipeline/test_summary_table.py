"""The table of a run while it grows."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from smplifyx.errors import OutputError
from smplifyx.output import OutputLayout, SummaryRow, read_summary
from smplifyx.pipeline.summary import SummaryTable
from tests.random_result import random_result


@pytest.fixture
def layout(tmp_path: Path) -> OutputLayout:
    return OutputLayout(tmp_path / "out")


def rows(*stems: str) -> list[SummaryRow]:
    return [SummaryRow(stem, 0) for stem in stems]


def stems_of(layout: OutputLayout) -> list[str]:
    return [row.stem for row in read_summary(layout.summary_path)]


def test_rows_are_appended_in_pieces_and_sorted_at_the_end(
    layout: OutputLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smplifyx.pipeline.summary._SECONDS", 1e9)
    table = SummaryTable(layout)
    names = [f"photo{number:03d}" for number in range(100, 0, -1)]
    table.add(rows(*names[:63]))
    assert not layout.summary_path.exists()
    table.add(rows(names[63]))
    assert len(layout.summary_path.read_text().splitlines()) == 65
    table.add(rows(*names[64:]))
    table.close()
    assert stems_of(layout) == sorted(names) and not table.problems
    assert layout.summary_path.read_text().splitlines()[1].startswith("photo001,")


def test_few_rows_are_appended_after_some_time(layout: OutputLayout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smplifyx.pipeline.summary._SECONDS", -1.0)
    table = SummaryTable(layout)
    table.add(rows("one"))
    assert stems_of(layout) == ["one"]


def test_rows_of_two_runs_are_kept(layout: OutputLayout) -> None:
    first, second = SummaryTable(layout), SummaryTable(layout)
    first.add(rows("a", "c"))
    second.add(rows("b"))
    first.close()
    second.close()
    assert stems_of(layout) == ["a", "b", "c"]


def test_rows_that_lack_are_made_from_results(layout: OutputLayout) -> None:
    random_result().save(layout.result_path("lost", 2))
    table = SummaryTable(layout)
    assert table.restored is not None and "1 missing row is restored" in table.restored
    assert [(row.stem, row.person) for row in read_summary(layout.summary_path)] == [("lost", 2)]
    assert SummaryTable(layout).restored is None


def test_a_table_that_is_damaged_meanwhile_is_a_problem_of_its_own(layout: OutputLayout) -> None:
    table = SummaryTable(layout)
    table.add(rows("a"))
    layout.root.mkdir(exist_ok=True)
    layout.summary_path.write_text("something else\n1\n")
    table.close()
    assert {one.reason.partition(":")[0] for one in table.problems} == {"1 row is not added", "is not sorted"}
    assert SummaryTable(layout).restored is not None  # the next run keeps the damaged one beside a new one
    assert layout.summary_path.with_name("summary.csv.damaged").exists()


def test_a_full_disk_is_raised(layout: OutputLayout, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: object, **named: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    table = SummaryTable(layout)
    table.add(rows("a"))
    monkeypatch.setattr("smplifyx.pipeline.summary.append_summary", full)
    with pytest.raises(OutputError, match=r"summary\.csv"):
        table.close()
