from __future__ import annotations

import csv
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from smplifyx.errors import InputError
from smplifyx.output import SummaryRow, read_summary, update_summary
from smplifyx.result import FitResult

ROW = SummaryRow("b", 0, "ok", "male", 3.5, 2.25, 60, 1.5, ("a flag", "b,flag"))


def test_columns_and_order(result: FitResult, tmp_path: Path) -> None:
    path = tmp_path / "out" / "summary.csv"
    update_summary(path, [ROW, replace(ROW, person=10), replace(ROW, person=2), SummaryRow('a, "1"', 0, "failed")])
    with path.open(newline="") as stream:
        lines = list(csv.reader(stream))
    assert lines[0] == (
        [
            "stem",
            "person",
            "status",
            "gender",
            "loss",
            "reprojection_error_px",
            "n_keypoints",
            "seconds",
            "flags",
            "gender_source",
            "gender_probability",
            "gender_reason",
            "expected_error_mm",
            "penetration_mm",
            "colliding_pairs",
        ]
    )
    assert [(line[0], line[1]) for line in lines[1:]] == [('a, "1"', "0"), ("b", "0"), ("b", "2"), ("b", "10")]
    assert lines[1][2:] == ["failed", "", "", "", "0", "", "", "", "", "", "", "", ""]
    assert lines[2][2:] == ["ok", "male", "3.5", "2.25", "60", "1.50", "a flag;b,flag", "", "", "", "", "", ""]
    assert SummaryRow.of_result(result, "s", 4).flags == result.flags


def test_how_the_gender_was_decided(tmp_path: Path) -> None:
    path = tmp_path / "summary.csv"
    rows = [
        replace(
            ROW,
            gender_source="classified",
            gender_probability=0.75,
            gender_reason="not sure enough: 0.75",
            expected_error_mm=72.0,
        )
    ]
    update_summary(path, rows)
    assert path.read_text().endswith(",classified,0.7500,not sure enough: 0.75,72,,\n")
    assert read_summary(path) == rows


def test_how_far_a_body_passes_through_itself(result: FitResult, tmp_path: Path) -> None:
    path = tmp_path / "summary.csv"
    rows = [replace(ROW, penetration_mm=12.5, colliding_pairs=40), replace(ROW, person=1, colliding_pairs=0)]
    update_summary(path, rows)
    assert [line.split(",")[-2:] for line in path.read_text().splitlines()[1:]] == [["12.5", "40"], ["", "0"]]
    assert read_summary(path) == rows
    row = SummaryRow.of_result(result, "s", 4)
    assert (row.penetration_mm, row.colliding_pairs) == (3.5, 17)


def test_a_table_of_an_earlier_version_is_completed(tmp_path: Path) -> None:
    path = tmp_path / "summary.csv"
    update_summary(path, [replace(ROW, flags=("a flag",))])
    earlier = [",".join(line.split(",")[:-6]) for line in path.read_text().splitlines()]
    path.write_text("\n".join(earlier) + "\n")
    rows = update_summary(path, [replace(ROW, person=1, gender_source="given")])
    assert [row.gender_source for row in rows] == ["", "given"]


def test_later_run_adds_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "summary.csv"
    update_summary(path, [ROW, replace(ROW, stem="c", extra={"heading": "back"})])
    rows = update_summary(path, [replace(ROW, loss=1.0, flags=()), replace(ROW, stem="a")])
    assert [row.stem for row in rows] == ["a", "b", "c"]
    assert rows == read_summary(path)
    assert rows[1].loss == 1.0 and rows[1].flags == ()
    assert rows[2].extra == {"heading": "back"}
    assert path.read_text().splitlines()[0].endswith(",penetration_mm,colliding_pairs,heading")


def test_unknown_numbers_come_back_as_nan(tmp_path: Path) -> None:
    update_summary(tmp_path / "summary.csv", [SummaryRow("a", 0, "failed")])
    assert math.isnan(read_summary(tmp_path / "summary.csv")[0].loss)


def test_runs_at_the_same_time_lose_no_row(tmp_path: Path) -> None:
    path = tmp_path / "summary.csv"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda person: update_summary(path, [replace(ROW, person=person)]), range(40)))
    assert [row.person for row in read_summary(path)] == list(range(40))
    assert [p.name for p in tmp_path.iterdir()] == ["summary.csv"]


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("seconds", "minutes", "seconds"),
        (",0,ok", ",zero,ok", "line 2, person"),
        (",3.5,", ",much,", "line 2, loss"),
        (",60,", ",", "line 2"),
        (",60,", ",60,60,", "line 2"),
    ],
)
def test_foreign_tables_raise_input_error(tmp_path: Path, old: str, new: str, where: str) -> None:
    path = tmp_path / "summary.csv"
    update_summary(path, [ROW])
    path.write_text(path.read_text().replace(old, new))
    before = path.read_bytes()
    with pytest.raises(InputError, match=where):
        update_summary(path, [ROW])
    assert path.read_bytes() == before
