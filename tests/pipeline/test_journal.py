"""Manifests and logs of runs, and what later runs take from them."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from smplifyx.config import Config, RunOptions, load_run
from smplifyx.errors import OutputError
from smplifyx.output import OutputLayout, SummaryRow
from smplifyx.pipeline import Failure, Outcome, Unit
from smplifyx.pipeline.journal import (
    LOG,
    SETTINGS,
    Journal,
    finished_photos,
    overwritten_photos,
    read_lines,
    read_logs,
    read_manifests,
)

UNIT = Unit("photo", Path("photo.jpg"), Path("photo.json"))
DONE = Outcome(
    UNIT, people=("000", "001"), rows=(SummaryRow("photo", 0),), kept=("001",), other_settings={"001": "others"},
    photo_stamp=(9, 10), keypoint_stamp=(3, 4), notes=("a doubt",),
)  # fmt: skip


@pytest.fixture
def layout(tmp_path: Path) -> OutputLayout:
    return OutputLayout(tmp_path)


def journal(layout: OutputLayout, context: str = "context", **run: Any) -> Journal:
    return Journal(layout, Config(), RunOptions(output=layout.root, **run), "settings", context)


def lines(layout: OutputLayout, event: str = "") -> list[dict[str, Any]]:
    found: Iterator[dict[str, Any]] = (
        line for path in sorted(layout.runs_path.glob(f"*/{LOG}")) for line in read_lines(path)
    )
    return [line for line in found if event in ("", line["event"])]


def test_a_run_leaves_a_manifest_settings_and_a_log(layout: OutputLayout) -> None:
    one = journal(layout, num_shards=4, shard_index=2)
    ((name, manifest),) = read_manifests(layout)
    assert name == one.name and manifest["shard"] == [2, 4] and manifest["ended"] is None
    one.record(DONE)
    one.fail(Failure("other.jpg", "is empty"))
    one.close("done", {"fitted": 1})
    ((_, manifest),) = read_manifests(layout)
    assert manifest["ended"] and manifest["status"] == "done" and manifest["fitted"] == 1
    assert manifest["settings_digest"] == "settings" and manifest["host"] and manifest["version"]
    assert [line["event"] for line in lines(layout)] == ["start", "person", "photo", "failure", "end"]
    _, run = load_run(one.folder / SETTINGS)
    assert (run.num_shards, run.shard_index) == (1, 0)  # to run again for all shards


def test_a_finished_photo_is_found_again(layout: OutputLayout) -> None:
    journal(layout).record(DONE)
    record = finished_photos(layout)["photo"]
    assert (record.people, record.photo, record.keypoints) == (("000", "001"), (9, 10), (3, 4))
    assert record.context == "context" and record.camera is None
    assert record.others("settings") == 1 and record.others("new settings") == 2


@pytest.mark.parametrize(
    "outcome",
    [replace(DONE, failures=(Failure("photo.jpg", "damaged"),)), replace(DONE, is_complete=False)],
    ids=["failed", "stopped"],
)
def test_photos_with_something_left_to_do_are_not_finished(layout: OutputLayout, outcome: Outcome) -> None:
    journal(layout).record(outcome)
    assert finished_photos(layout) == {}


def test_the_last_record_of_a_photo_counts(layout: OutputLayout) -> None:
    failed = replace(DONE, failures=(Failure("photo.jpg", "damaged"),))
    journal(layout).record(failed)
    assert read_logs(layout)[1] == {"photo": [Failure("photo.jpg", "damaged")]}
    journal(layout).record(DONE)
    assert list(finished_photos(layout)) == ["photo"] and read_logs(layout)[1] == {}
    journal(layout).record(failed)
    assert finished_photos(layout) == {} and list(read_logs(layout)[1]) == ["photo"]


_HALF = '{"event": "photo", "stem": "a", "people": ["000"], "keypoints": null'


@pytest.mark.parametrize(
    "damage",
    [
        *("", "no json", '{"event": "photo"', '{"event": "photo", "stem": 3}', "[1]", "[" * 5000, "\x00\x00"),
        _HALF + ', "photo": [1], "settings": {}}',
        _HALF + ', "photo": null, "settings": [1]}',
    ],
)
def test_damaged_lines_are_left_out(layout: OutputLayout, damage: str) -> None:
    one = journal(layout)
    one.record(DONE)
    with (one.folder / LOG).open("a") as stream:
        stream.write(damage)
    assert list(finished_photos(layout)) == ["photo"]
    (one.folder / "manifest.json").write_text(damage)
    assert list(read_manifests(layout)) == []


def test_levels_of_the_log(layout: OutputLayout) -> None:
    for level, events in (
        ("error", ["photo"]),
        ("info", ["person", "photo"]),
        ("debug", ["person", "note", "photo"]),
    ):
        root = OutputLayout(layout.root / level)
        journal(root, log_level=level).record(DONE)
        assert [line["event"] for line in lines(root)][1:] == events


def test_names_of_any_bytes_come_back(layout: OutputLayout) -> None:
    for stem in (os.fsdecode(b"pr\xe9nom"), "line\rbreak", "two\nlines"):
        journal(layout).record(replace(DONE, unit=replace(UNIT, stem=stem)))
    assert set(finished_photos(layout)) == {os.fsdecode(b"pr\xe9nom"), "line\rbreak", "two\nlines"}
    assert all(json.dumps(line).isascii() for line in lines(layout))


def test_of_runs_that_overlap_the_later_record_of_a_photo_counts(
    layout: OutputLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = journal(layout), journal(layout)
    monkeypatch.setattr("smplifyx.pipeline.journal._now", lambda: "2030-01-01T00:00:00Z")
    second.record(replace(DONE, failures=(Failure("photo.jpg", "damaged"),)))
    monkeypatch.setattr("smplifyx.pipeline.journal._now", lambda: "2030-01-01T00:00:05Z")
    first.record(DONE)
    found, failed = read_logs(layout)
    assert list(found) == ["photo"] and not failed


def test_records_of_other_shards_are_left_out(layout: OutputLayout) -> None:
    journal(layout).record(DONE)
    assert list(finished_photos(layout, {"photo"})) == ["photo"]
    assert not finished_photos(layout, {"another"})


def test_a_full_disk_ends_the_run(layout: OutputLayout, monkeypatch: pytest.MonkeyPatch) -> None:
    one = journal(layout)

    def full(text: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(one, "_log", SimpleNamespace(write=full, flush=lambda: None, close=lambda: None))
    with pytest.raises(OutputError, match=r"log\.jsonl: No space left"):
        one.record(DONE)
    with pytest.raises(OutputError, match="No space left"):
        one.close("error", {})


def test_photos_of_a_run_without_an_end_count_as_overwritten(layout: OutputLayout) -> None:
    run = RunOptions(output=layout.root, overwrite=True)

    def overwritten(**changes: Any) -> set[str]:
        return overwritten_photos(layout, replace(run, **changes), "settings", "context")

    journal(layout).record(DONE)
    assert not overwritten()
    stopped = journal(layout, overwrite=True)
    stopped.record(DONE)
    stopped.close("stopped", {})
    assert overwritten() == {"photo"}
    assert not overwritten(num_shards=2)
    assert not overwritten_photos(layout, run, "other settings", "context")
    journal(layout, overwrite=True).close("done", {})
    assert not overwritten()
