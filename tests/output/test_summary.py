"""The table of a run: appended rows, the last one of a person counts, nothing is lost."""

from __future__ import annotations

import csv
import errno
import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest

from smplifyx.errors import InputError
from smplifyx.output import OutputLayout, SummaryRow, append_summary, compact_summary, complete_summary, read_summary
from smplifyx.result import RESULT_FIELDS, FitResult

ROW = SummaryRow(
    "b", 0, status="ok", gender="male", loss=3.5, reprojection_error_px=2.25, n_keypoints=60, seconds=1.5,
    flags=("a flag", "b,flag"),
)  # fmt: skip
COLUMNS = [
    "stem", "person", "status", "gender", "loss", "reprojection_error_px", "n_keypoints", "seconds", "flags",
    "gender_source", "gender_probability", "gender_reason", "expected_error_mm", "penetration_mm", "colliding_pairs",
    "side", "camera_source", "frame", "track", "view",
]  # fmt: skip


def _lines(path: Path) -> list[list[str]]:
    with path.open(newline="") as stream:
        return list(csv.reader(stream))


def test_columns_and_rows(result: FitResult, tmp_path: Path) -> None:
    path = tmp_path / "out" / "summary.csv"
    append_summary(path, [ROW, SummaryRow('a, "1"', 0, status="failed")])
    append_summary(path, [replace(ROW, person=10), replace(ROW, person=2)])
    lines = _lines(path)
    assert lines[0] == COLUMNS == ["stem", "person", *(one.name for one in RESULT_FIELDS if one.csv is not None)]
    assert [(line[0], line[1]) for line in lines[1:]] == [("b", "0"), ('a, "1"', "0"), ("b", "10"), ("b", "2")]
    assert lines[2][2:] == ["failed", "", "", "", "0", *[""] * 13]
    assert lines[1][2:] == ["ok", "male", "3.5", "2.25", "60", "1.50", "a flag;b,flag", *[""] * 11]
    assert [(row.stem, row.person) for row in read_summary(path)] == [('a, "1"', 0), ("b", 0), ("b", 2), ("b", 10)]


def test_the_row_of_a_result_comes_back(result: FitResult, tmp_path: Path) -> None:
    path = tmp_path / "summary.csv"
    row = SummaryRow.of_result(result, "s", 4)
    append_summary(path, [row])
    (read,) = read_summary(path)
    assert read == replace(row, gender_probability=0.9375, expected_error_mm=62.0)
    assert (row.penetration_mm, row.colliding_pairs, row.camera_source) == (3.5, 17, "exif")


def test_the_last_row_of_a_person_counts(tmp_path: Path) -> None:
    path = tmp_path / "summary.csv"
    append_summary(path, [ROW, replace(ROW, side="left")])
    append_summary(path, [replace(ROW, loss=1.0, flags=()), replace(ROW, stem="a")])
    rows = read_summary(path)
    assert [(row.stem, row.side, row.loss) for row in rows] == [("a", "", 3.5), ("b", "", 1.0), ("b", "left", 3.5)]
    compact_summary(path)
    assert read_summary(path) == rows and len(_lines(path)) == 4


def test_appending_writes_the_new_rows_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "summary.csv"
    append_summary(path, [replace(ROW, person=person) for person in range(1000)])
    written: list[bytes] = []

    def write(stream: IO[bytes], data: bytes) -> None:
        written.append(data)
        stream.write(data)

    monkeypatch.setattr("smplifyx.output.summary.write_all", write)
    monkeypatch.setattr("smplifyx.output.summary.write_text", None)
    append_summary(path, [replace(ROW, person=1000)])
    assert 0 < len(b"".join(written)) < 200
    assert len(read_summary(path)) == 1001


def test_columns_of_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "summary.csv"
    path.write_text("stem,person,status,heading\nc,0,ok,back\n")
    append_summary(path, [ROW])
    assert _lines(path)[0] == [*COLUMNS, "heading"]
    append_summary(path, [replace(ROW, stem="a")])
    rows = read_summary(path)
    assert [(row.stem, row.extra) for row in rows] == [("a", {}), ("b", {}), ("c", {"heading": "back"})]


def test_unknown_numbers_come_back_as_nan(tmp_path: Path) -> None:
    append_summary(tmp_path / "summary.csv", [SummaryRow("a", 0, status="failed")])
    assert math.isnan(read_summary(tmp_path / "summary.csv")[0].loss)


def test_runs_at_the_same_time_lose_no_row(tmp_path: Path) -> None:
    path = tmp_path / "summary.csv"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda person: append_summary(path, [replace(ROW, person=person)]), range(40)))
    assert [row.person for row in read_summary(path)] == list(range(40))
    assert [p.name for p in tmp_path.iterdir()] == ["summary.csv"]


@pytest.mark.parametrize("kept", [1, 10, 40])
def test_a_line_that_was_cut_off_is_dropped(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "summary.csv"
    append_summary(path, [ROW, replace(ROW, person=1)])
    data = path.read_bytes()
    first_lines = data.index(b"\n", data.index(b"\n") + 1) + 1
    path.write_bytes(data[: first_lines + kept])
    assert [row.person for row in read_summary(path)] == [0]
    append_summary(path, [replace(ROW, person=2)])
    assert [row.person for row in read_summary(path)] == [0, 2]


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("stem,", "name,", "stem"),
        (",0,ok", ",zero,ok", "line 2, person"),
        (",3.5,", ",much,", "line 2, loss"),
        (",60,", ",", "line 2"),
        (",60,", ",60,60,", "line 2"),
    ],
)
def test_damaged_tables_raise_input_error(tmp_path: Path, old: str, new: str, where: str) -> None:
    path = tmp_path / "summary.csv"
    append_summary(path, [ROW])
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError, match=where):
        read_summary(path)


@pytest.fixture
def layout(result: FitResult, tmp_path: Path) -> OutputLayout:
    layout = OutputLayout(tmp_path)
    for stem, person, side in (("a", 0, None), ("a", 1, "left"), ("b", 12, None)):
        replace(result, side=side or "").save(layout.result_path(stem, person, side))
    layout.result_path("b", 13).write_bytes(b"damaged")
    return layout


_KEYS = [("a", 0, ""), ("a", 1, "left"), ("b", 12, "")]


def test_a_lost_table_is_rebuilt_from_results(result: FitResult, layout: OutputLayout) -> None:
    rows, note = complete_summary(layout)
    assert [row.key for row in rows] == _KEYS
    assert note is not None and "3 missing rows" in note
    assert rows[0] == SummaryRow.of_result(result, "a", 0)
    assert [row.key for row in read_summary(layout.summary_path)] == _KEYS
    assert complete_summary(layout) == (read_summary(layout.summary_path), None)


def test_a_damaged_table_is_kept_beside_the_new_one(layout: OutputLayout) -> None:
    layout.summary_path.write_bytes(b"\xff\x00 no table\n")
    rows, note = complete_summary(layout)
    assert [row.key for row in rows] == _KEYS
    assert note is not None and "columns are missing" in note
    assert (layout.root / "summary.csv.damaged").is_file()


def test_every_damaged_table_is_kept(layout: OutputLayout) -> None:
    for text in ("first", "second"):
        layout.summary_path.write_text(f"{text}\n")
        complete_summary(layout)
    kept = [layout.root / f"summary.csv.damaged{number}" for number in ("", "1")]
    assert [path.read_text() for path in kept] == ["first\n", "second\n"]


def test_runs_that_meet_a_damaged_table_at_the_same_time_mend_it_once(layout: OutputLayout) -> None:
    for _ in range(20):
        layout.summary_path.write_bytes(b"no table\n")
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(complete_summary, [layout] * 4))
        assert all([row.key for row in rows] == _KEYS for rows, _ in found)
        assert [row.key for row in read_summary(layout.summary_path)] == _KEYS
    assert len(list(layout.root.glob("summary.csv.damaged*"))) == 20


def test_a_table_that_cannot_be_read_is_left_alone(layout: OutputLayout) -> None:
    layout.summary_path.mkdir()
    with pytest.raises(OSError, match=r"summary\.csv"):
        complete_summary(layout)
    assert layout.summary_path.is_dir()


def test_rows_that_are_there_stay(layout: OutputLayout) -> None:
    append_summary(layout.summary_path, [SummaryRow("a", 0, status="failed"), SummaryRow("z", 3, status="ok")])
    rows, _ = complete_summary(layout)
    assert [(row.stem, row.person, row.status) for row in rows] == [
        ("a", 0, "failed"),
        ("a", 1, "ok"),
        ("b", 12, "ok"),
        ("z", 3, "ok"),
    ]


def test_no_output_gives_no_rows(tmp_path: Path) -> None:
    assert complete_summary(OutputLayout(tmp_path / "none")) == ([], None)
    assert not (tmp_path / "none").exists()


def test_names_of_any_bytes_and_with_line_ends_come_back(tmp_path: Path) -> None:
    """File names are bytes on Linux: Latin-1, carriage returns and newlines are legal."""
    path = tmp_path / "summary.csv"
    names = [os.fsdecode(b"pr\xe9nom"), "line\rbreak", "two\nlines", "plain"]
    append_summary(path, [replace(ROW, stem=name) for name in names[:2]])
    append_summary(path, [replace(ROW, stem=name) for name in names[2:]])
    assert {row.stem for row in read_summary(path)} == set(names)
    compact_summary(path)
    assert {row.stem for row in read_summary(path)} == set(names)


@pytest.mark.parametrize("stem", ["=cmd|' C'!A0", "+1", "-2", "@SUM(1)", "'=1", "''+1", "'quoted'", "\t=1"])
def test_no_cell_is_a_formula_for_a_spreadsheet(tmp_path: Path, stem: str) -> None:
    path = tmp_path / "summary.csv"
    append_summary(path, [replace(ROW, stem=stem)])
    assert not _lines(path)[1][0].startswith(("=", "+", "-", "@", "\t", "\r"))
    assert read_summary(path)[0].stem == stem


def test_a_file_system_without_locks_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", unsupported)
    append_summary(tmp_path / "summary.csv", [SummaryRow("a", 0, status="ok")])
    compact_summary(tmp_path / "summary.csv")
    assert [row.stem for row in read_summary(tmp_path / "summary.csv")] == ["a"]
