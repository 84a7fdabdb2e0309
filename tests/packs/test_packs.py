"""Tar archives of results: what was written is read back, also by tarfile and WebDataset, however a writer ended."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path, PurePath
from typing import Any, BinaryIO

import numpy as np
import pytest

import smplifyx
from smplifyx.errors import InputError
from smplifyx.output import OutputLayout
from smplifyx.packs import (
    PACKS,
    Packs,
    PackWriter,
    exists,
    key_of,
    member_of,
    mend_packs,
    pack_files,
    path_of,
    read_bytes,
)
from tests.random_result import random_result

NAMES = [
    "plain",
    "IMG.0001.edited",
    "per%cent",
    "__meta__",
    "ü\u0308 ñ",
    "a b",
    "line\nend",
    os.fsdecode(b"\xe9x"),
    "x" * 120,
]


def files_of(stem: str, number: int = 0) -> dict[str, bytes]:
    return {
        "npz": os.fsencode(f"result of {stem} {number}") * 40,
        "overlay.jpg": b"picture" * number,
        "obj": b"v 0 0 0\n",
    }


def written(root: Path, stems: list[str]) -> Path:
    writer = PackWriter(root)
    for number, stem in enumerate(stems):
        writer.write(key_of(stem, "000"), files_of(stem, number))
        writer.write(key_of(stem, "photo"), {"overlay.jpg": b"all"})
    writer.close()
    (path,) = pack_files(root)
    return path


@pytest.mark.parametrize("stem", NAMES)
@pytest.mark.parametrize(
    "parts",
    [
        ("results", "STEM", "000.npz"), ("results", "STEM", "012_left.pkl"), ("meshes", "STEM", "001.glb"),
        ("images", "STEM", "000", "side_view.png"), ("images", "STEM", "overlay.jpg"),
    ],
)  # fmt: skip
def test_names_of_files_and_members_belong_to_each_other(stem: str, parts: tuple[str, ...]) -> None:
    path = PurePath(*(stem if part == "STEM" else part for part in parts))
    member = member_of(path)
    assert member is not None and path_of(*member) == path
    assert "." not in member[0] and not member[0].startswith("__")


@pytest.mark.parametrize(
    ("key", "ending"),
    [
        ("../000", "npz"), ("%2E%2E/000", "npz"), ("a%2Fb/000", "../npz"), ("/000", "npz"), ("s/000", "exe"),
        ("s/../../000", "npz"), ("s/name", "npz"), ("s.t/000", "npz"),
    ],
)  # fmt: skip
def test_foreign_members_get_no_path(key: str, ending: str) -> None:
    assert path_of(key, ending) is None


def test_files_keep_their_names(tmp_path: Path) -> None:
    written(tmp_path, NAMES)
    for number, stem in enumerate(NAMES):
        assert read_bytes(tmp_path / "results" / stem / "000.npz") == files_of(stem, number)["npz"]
        assert read_bytes(tmp_path / "images" / stem / "overlay.jpg") == b"all"
        assert exists(tmp_path / "images" / stem / "000" / "overlay.jpg") is bool(number)  # empty files do not count
    assert not exists(tmp_path / "results" / "plain" / "001.npz")
    with pytest.raises(FileNotFoundError):
        read_bytes(tmp_path / "results" / "plain" / "001.npz")


def test_a_later_sample_counts_and_a_removed_one_does_not(tmp_path: Path) -> None:
    first = written(tmp_path, ["a", "b"])
    writer = PackWriter(tmp_path)
    writer.write(key_of("a", "000"), {"npz": b"second"})
    writer.write(key_of("a", "000"), {"npz": b"third"})  # next to each other, they go into two archives
    writer.remove(key_of("b", "000"))
    writer.close()
    packs = Packs.of_folder(tmp_path)
    assert len(pack_files(tmp_path)) == 3 and pack_files(tmp_path)[0] == first
    assert packs.read(tmp_path / "results" / "a" / "000.npz") == b"third"
    assert not packs.has(tmp_path / "images" / "a" / "000" / "overlay.jpg")
    assert packs.names("a") == ["000"] and packs.names("b") == []
    assert {sample.key for sample in packs.samples()} == {"a/000", "a/photo", "b/photo"}
    assert Packs.of_folder(tmp_path, {"b"}).names("a") == []


def test_archives_are_read_by_tarfile_at_every_moment(tmp_path: Path) -> None:
    writer = PackWriter(tmp_path)
    names = []
    for number, stem in enumerate(NAMES):
        key = key_of(stem, "000")
        writer.write(key, files_of(stem, number))
        names += [f"{key}.{ending}" for ending in ("obj", "overlay.jpg", "npz")]
        (path,) = pack_files(tmp_path)
        with tarfile.open(path) as archive:
            assert archive.getnames() == names


def test_webdataset_reads_a_sample_for_each_person(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset", reason="the reader that the archives are made for")
    stems = [stem for stem in NAMES if stem.isprintable()]
    path = written(tmp_path, stems)
    samples = list(webdataset.WebDataset(str(path), shardshuffle=False))
    people = [one for one in samples if "npz" in one]
    assert [one["__key__"] for one in people] == [key_of(stem, "000") for stem in stems]
    assert [one["npz"] for one in people] == [files_of(stem, number)["npz"] for number, stem in enumerate(stems)]
    assert [one["overlay.jpg"] for one in samples if "npz" not in one] == [b"all"] * len(stems)


@pytest.mark.parametrize("has_index", [True, False])
def test_an_archive_that_was_cut_off_is_mended(tmp_path: Path, has_index: bool) -> None:
    path = written(tmp_path, ["a", "b", "c"])
    whole, index = path.read_bytes(), path.with_suffix(".jsonl").read_bytes()
    ends = [sample.end for sample in Packs.of_folder(tmp_path).samples()]
    for size in [*range(0, len(whole), 1500), *ends, *(end - 1 for end in ends)]:
        path.write_bytes(whole[:size])
        path.with_suffix(".jsonl").write_bytes(index if has_index else b"")
        n_whole = sum(end <= size for end in ends)
        assert len(list(Packs.of_folder(tmp_path).samples())) == n_whole
        assert mend_packs(tmp_path) == [path]
        assert path.exists() == bool(n_whole)
        if n_whole:
            with tarfile.open(path) as archive:
                groups = {name.partition(".")[0] for name in archive.getnames()}
            assert groups == {sample.key for sample in Packs.of_folder(tmp_path).samples()} and len(groups) == n_whole
            assert mend_packs(tmp_path) == []


def test_a_lost_or_cut_index_is_made_anew(tmp_path: Path) -> None:
    path = written(tmp_path, ["a", "b"])
    index = path.with_suffix(".jsonl")
    lines = index.read_bytes()
    for rest in (None, b"", lines[:100], lines[: lines.index(b"\n") + 9], b"[1]\n{\n" + lines):
        index.unlink() if rest is None else index.write_bytes(rest)
        assert Packs.of_folder(tmp_path).read(tmp_path / "results" / "b" / "000.npz") == files_of("b", 1)["npz"]
        mend_packs(tmp_path)
        assert len(list(Packs.of_folder(tmp_path).samples())) == 4
    assert index.read_bytes().count(b"\n") >= 4


def test_an_archive_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    writer = PackWriter(tmp_path)
    writer.write("a/000", files_of("a"))
    (path,) = pack_files(tmp_path)
    with path.open("ab") as stream:
        stream.write(b"half a sample")
    assert mend_packs(tmp_path) == []
    writer.close()
    assert mend_packs(tmp_path) == [path]


def test_a_full_disk_leaves_the_archive_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = PackWriter(tmp_path)
    writer.write("a/000", files_of("a"))
    (path,) = pack_files(tmp_path)
    before = path.read_bytes()

    def full(sample: object) -> str:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("smplifyx.packs.writing.line_of", full)
        with pytest.raises(OSError, match=path.name):
            writer.write("b/000", files_of("b"))
    assert path.read_bytes() == before
    writer.write("c/000", files_of("c"))
    assert {sample.key for sample in Packs.of_folder(tmp_path).samples()} == {"a/000", "c/000"}


def test_a_line_of_the_index_written_in_part_does_not_spoil_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = PackWriter(tmp_path)
    writer.write("a/000", files_of("a"))
    (path,) = pack_files(tmp_path)

    def in_part(stream: BinaryIO, data: bytes) -> None:
        is_line = data.startswith(b"{")
        stream.write(data[:20] if is_line else data)
        if is_line:
            raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("smplifyx.packs.writing.write_all", in_part)
        with pytest.raises(OSError, match=path.name):
            writer.write("b/000", files_of("b"))
    writer.write("c/000", files_of("c"))
    lines = path.with_suffix(".jsonl").read_text().splitlines()
    assert [json.loads(line)["key"] for line in lines] == ["a/000", "c/000"]
    assert {sample.key for sample in Packs.of_folder(tmp_path).samples()} == {"a/000", "c/000"}


@pytest.mark.parametrize(
    "change",
    [
        {"time": 1e400}, {"end": -512}, {"end": 700}, {"key": "%00/000"}, {"key": "\ud800/000"},
        {"key": "x" * 300 + "/000"}, {"members": {"npz": [512, 1 << 60]}}, {"members": {"npz": [-9, 3]}},
        {"members": {"npz\0": [512, 1]}},
    ],
)  # fmt: skip
def test_damaged_lines_of_an_index_are_read_from_the_archive(tmp_path: Path, change: dict[str, Any]) -> None:
    path = written(tmp_path, ["a", "b"])
    index = path.with_suffix(".jsonl")
    lines = [json.loads(line) for line in index.read_text().splitlines()]
    index.write_text("".join(json.dumps(line | change) + "\n" for line in lines))
    assert Packs.of_folder(tmp_path).names("b") == ["000"]
    assert [stem for stem, *_ in OutputLayout(tmp_path).results()] == ["a", "b"]
    assert mend_packs(tmp_path) == [path]
    assert [json.loads(line) for line in index.read_text().splitlines()] == lines


@pytest.mark.parametrize("headers", [{"mtime": "inf"}, {"GNU.sparse.major": "1"}, {"size": "-7"}])
def test_an_archive_with_damaged_headers_is_read_up_to_them(tmp_path: Path, headers: dict[str, str]) -> None:
    path = written(tmp_path, ["a"])
    path.with_suffix(".jsonl").unlink()
    member = tarfile.TarInfo("b/000.npz")
    member.pax_headers = headers
    end = max(sample.end for sample in Packs.of_folder(tmp_path).samples())
    with path.open("r+b") as stream:
        stream.seek(end)
        stream.write(member.tobuf(tarfile.PAX_FORMAT) + bytes(2048))
    assert {sample.stem for sample in Packs.of_folder(tmp_path).samples()} >= {"a"}
    mend_packs(tmp_path)


def test_a_result_is_loaded_from_an_archive(tmp_path: Path) -> None:
    result = random_result()
    writer = PackWriter(tmp_path)
    writer.write("photo1/000", {"npz": result.to_bytes()})
    writer.write("photo2/000", {"npz": b"damaged"})
    writer.close()
    (path,) = pack_files(tmp_path)
    moved = path.rename(tmp_path / "moved.tar")  # without its index
    loaded = smplifyx.load_result(moved / "photo1" / "000.npz")
    np.testing.assert_array_equal(loaded.body_pose, result.body_pose)
    (tmp_path / PACKS).mkdir(exist_ok=True)
    moved.rename(path)
    loaded = smplifyx.load_result(tmp_path / "results" / "photo1" / "000.npz")
    np.testing.assert_array_equal(loaded.body_pose, result.body_pose)
    with pytest.raises(InputError, match="damaged"):
        smplifyx.load_result(tmp_path / "results" / "photo2" / "000.npz")
    with pytest.raises(InputError, match="does not exist"):
        smplifyx.load_result(tmp_path / "results" / "photo3" / "000.npz")
