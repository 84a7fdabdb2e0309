"""Tables as text, Markdown and CSV."""

from __future__ import annotations

import csv
import io

import numpy as np

from smplifyx.evaluation.tables import csv_text, format_table, markdown, summarise


def test_text_and_summary():
    rows = [{"name": "a", "error": 1.0}, {"name": "b", "error": -5.0}, {"name": "c", "error": float("nan")}]
    lines = format_table(rows).splitlines()
    assert lines[0].split() == ["name", "error"] and lines[2].split() == ["b", "-5.0"]
    assert lines[0] == "name  error" and lines[1] == "a       1.0", "words left, numbers right"
    summary = {line[""]: line["error"] for line in summarise(rows)}
    assert summary == {"mean": -2.0, "median": -2.0, "mean |.|": 3.0, "worst": -5.0}
    assert format_table([]) == ""


def test_markdown_joins_intervals_and_aligns():
    table = [
        {"name": "x", "v": 1.25, "v_low": 1.0, "v_high": 2.0, "n": 3},
        {"name": "y", "v": np.nan, "v_low": np.nan, "v_high": np.nan, "n": 0},
    ]
    assert markdown(table).splitlines() == [
        "| name | v | n |",
        "| --- | ---: | ---: |",
        "| x | 1.2 [1.0, 2.0] | 3 |",
        "| y |  | 0 |",
    ]
    assert markdown([]) == ""


def test_csv_holds_all_columns():
    table = [{"name": "a", "v": 1.5, "v_low": 1.0, "n": 3}]
    assert list(csv.DictReader(io.StringIO(csv_text(table)))) == [
        {"name": "a", "v": "1.5000", "v_low": "1.0000", "n": "3"}
    ]
    assert csv_text([]) == ""
