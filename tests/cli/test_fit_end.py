"""The end of ``smplifyx fit``: the report, what is printed, and ``--quiet``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from smplifyx.cli.fit_report import FitReport
from smplifyx.cli.main import main
from smplifyx.config import Config, RunOptions
from smplifyx.output import SummaryRow
from smplifyx.pipeline import Outcome
from smplifyx.pipeline.units import Unit
from smplifyx.pipeline.worklist import Finished
from tests.photo_folders import QUICK, Folders, person

WITH_REPORT = tuple(option for option in QUICK if option != "--no-report")


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    made = Folders(tmp_path)
    made.add("one", [person()])
    return made


def test_a_fit_ends_with_a_report(folders: Folders, capsys: pytest.CaptureFixture[str]) -> None:
    page = folders.output / "report" / "index.html"
    assert main(folders.argv(*WITH_REPORT)) == 0
    printed = capsys.readouterr().out
    assert re.search(
        rf"1 person fitted, 0 inputs failed; \d+ s; results in {re.escape(str(folders.output))}\n", printed
    )
    assert f"open {page} in a browser" in printed and page.is_file()
    written = page.stat().st_mtime_ns
    assert main(folders.argv(*WITH_REPORT)) == 0
    assert str(page) in capsys.readouterr().out and page.stat().st_mtime_ns == written
    content = page.read_text()
    page.write_text("of an earlier version")
    assert main(folders.argv(*WITH_REPORT)) == 0
    assert page.read_text() == content
    folders.add("two", [person()])
    assert main(folders.argv(*WITH_REPORT)) == 0
    assert page.stat().st_mtime_ns > written


def test_no_report_on_request_and_of_a_shard(folders: Folders, capsys: pytest.CaptureFixture[str]) -> None:
    assert folders.fit() == 0
    assert main(folders.argv(*WITH_REPORT, "--overwrite", "--num-shards", "2", "--shard-index", "0")) == 0
    printed = capsys.readouterr()
    assert not (folders.output / "report").exists() and "browser" not in printed.out
    assert f"smplifyx report {folders.output}" in printed.err


def test_a_report_that_fails_does_not_undo_the_fits(folders: Folders, capsys: pytest.CaptureFixture[str]) -> None:
    folders.output.mkdir()
    (folders.output / "report").write_text("a file of the user")
    assert main(folders.argv(*WITH_REPORT)) == 1
    assert folders.results() == ["one/000.npz"]
    assert "the report is not written" in capsys.readouterr().err


def test_quiet_prints_errors_alone(folders: Folders, capsys: pytest.CaptureFixture[str]) -> None:
    assert folders.fit("--quiet") == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "")
    folders.add_keypoints("one", "{")
    assert folders.fit("--quiet", "--overwrite") == 1
    printed = capsys.readouterr()
    assert printed.out == "" and len(printed.err.splitlines()) == 1 and "failed: " in printed.err
    assert folders.fit("--quiet", "--verbose") == 2
    assert "quiet: expected false with verbose" in capsys.readouterr().err


def rows(*errors: float, flags: tuple[str, ...] = ()) -> tuple[SummaryRow, ...]:
    return tuple(
        SummaryRow(f"photo{k}", 0, expected_error_mm=error, reprojection_error_px=2.0, flags=flags)
        for k, error in enumerate(errors)
    )


@pytest.mark.parametrize(
    ("fitted", "named"),
    [
        (
            rows(50, 90, 40, 70),
            ["photo1, person 0: expected error 90 mm; reprojection error 2.0 px", "photo3", "photo0"],
        ),
        (rows(50, 90), []),
        (
            rows(50, flags=("not_converged", "few_keypoints")),
            ["photo0, person 0: expected error 50 mm; reprojection error 2.0 px; fewer than 10 body keypoints"],
        ),
        (
            (SummaryRow("lost", 1, status="failed", flags=("not_finite",)),),
            ["lost, person 1: failed; the optimisation"],
        ),
    ],
)
def test_the_worst_are_named(
    fitted: tuple[SummaryRow, ...], named: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    report = FitReport(Config(), RunOptions(), Finished())
    for row in fitted:  # each in a photo of its own
        report.add(Outcome(Unit(row.stem, Path(row.stem), None), rows=(row,)))
    report.print_end()
    lines = capsys.readouterr().out.splitlines()[1:]
    assert lines[:1] == (["worst:"] if named else [])
    assert len(lines[1:]) == len(named) and all(
        line.startswith(f"  {name}") for line, name in zip(lines[1:], named, strict=True)
    )
