"""Readers of damaged and made-up files raise the package's own errors alone, or read what is readable.

``HYPOTHESIS_EXAMPLES=100000 pytest tests/test_fuzz.py`` looks further than the default.
"""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("hypothesis", reason="hypothesis is not installed")
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from smplifyx.camera import read_calibration
from smplifyx.config import Config, RunOptions, load_run
from smplifyx.errors import SmplifyxError
from smplifyx.gender import read_labels
from smplifyx.keypoints import read_image, read_keypoints
from smplifyx.keypoints.images import read_header
from smplifyx.output import OutputLayout, SummaryRow, append_summary, complete_summary, read_summary
from smplifyx.packs import Packs, PackWriter, mend_packs, pack_files
from smplifyx.pipeline import Outcome, Unit
from smplifyx.pipeline.journal import LOG, Journal, read_logs, read_manifests
from smplifyx.result import load_result
from tests.photo_folders import person
from tests.random_result import random_result

_N_EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "100"))
_fuzzed = settings(
    max_examples=_N_EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

#: Where a file is changed (as a share of its length), and by what; and where it is cut off.
_damage = st.tuples(
    st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=12)), max_size=6), st.none() | st.floats(0, 1)
)
_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=20,
)


def damaged(data: bytes, damage: tuple[list[tuple[float, bytes]], float | None]) -> bytes:
    changes, end = damage
    changed = bytearray(data)
    for place, content in changes:
        start = int(place * len(changed))
        changed[start : start + len(content)] = content
    return bytes(changed if end is None else changed[: int(end * len(changed))])


def reads(read: Callable[[Path], Any], path: Path, data: bytes) -> None:
    """Read a file; only the package's own errors may come."""
    path.write_bytes(data)
    try:
        read(path)
    except SmplifyxError as error:
        assert str(error)


@lru_cache(maxsize=1)
def picture(kind: str) -> bytes:
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
    Image.fromarray(noise).save(stream, kind)
    return stream.getvalue()


def kinds_of_pictures() -> list[str]:
    from PIL import features

    return ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", *(["AVIF"] if features.check("avif") else [])]


@pytest.mark.parametrize("kind", kinds_of_pictures())
@_fuzzed
@given(damage=_damage)
def test_photos(tmp_path: Path, kind: str, damage: Any) -> None:
    data = damaged(picture.__wrapped__(kind), damage)
    reads(read_image, tmp_path / "photo.jpg", data)
    reads(read_header, tmp_path / "photo.jpg", data)


@_fuzzed
@given(damage=_damage)
def test_keypoint_files(tmp_path: Path, damage: Any) -> None:
    document = json.dumps({"version": 1.3, "people": [person(), person(20)]}).encode()
    reads(lambda path: read_keypoints(path, image_size=(200, 300)), tmp_path / "a.json", damaged(document, damage))


@_fuzzed
@given(content=_json)
def test_keypoint_files_of_any_json(tmp_path: Path, content: Any) -> None:
    for document in (content, {"people": content}, {"people": [content]}, [{"keypoints": content}]):
        data = json.dumps(document).encode()
        reads(lambda path: read_keypoints(path, image_size=(200, 300)), tmp_path / "a.json", data)


@_fuzzed
@given(damage=_damage)
def test_results(tmp_path: Path, damage: Any) -> None:
    path = tmp_path / "results" / "photo" / "000.npz"
    random_result().save(path)
    data = damaged(path.read_bytes(), damage)
    reads(load_result, path, data)
    rows, _ = complete_summary(OutputLayout(tmp_path))
    assert len(rows) <= 1
    (tmp_path / "summary.csv").unlink(missing_ok=True)


@_fuzzed
@given(stem=st.text(min_size=1), damage=_damage)
def test_summaries(tmp_path: Path, stem: str, damage: Any) -> None:
    path = tmp_path / "summary.csv"
    path.unlink(missing_ok=True)
    stem = os.fsdecode(stem.encode("utf-8", "surrogatepass").replace(b"\0", b""))
    append_summary(path, [SummaryRow(stem, 0), SummaryRow("other", 3, flags=("a", "b"))])
    assert {row.stem for row in read_summary(path)} == {stem, "other"}
    reads(read_summary, path, damaged(path.read_bytes(), damage))
    complete_summary(OutputLayout(tmp_path))
    read_summary(path) if path.exists() else None


@_fuzzed
@given(damage=_damage, line=_json)
def test_logs_of_runs(tmp_path: Path, damage: Any, line: Any) -> None:
    layout = OutputLayout(tmp_path)
    journal = Journal(layout, Config(), RunOptions(output=tmp_path), "digest", "context")
    journal.record(Outcome(Unit("photo", Path("p.jpg"), None), people=("000",), photo_stamp=(1, 2)))
    path = journal.folder / LOG
    path.write_bytes(damaged(path.read_bytes() + json.dumps(line).encode() + b"\n", damage))
    (journal.folder / "manifest.json").write_text(json.dumps(line))
    assert all(isinstance(stem, str) for found in read_logs(layout) for stem in found)
    list(read_manifests(layout))
    shutil.rmtree(layout.runs_path)


@_fuzzed
@given(damage=_damage, index_damage=_damage, line=_json, key=st.text(max_size=8))
def test_archives_of_results(tmp_path: Path, damage: Any, index_damage: Any, line: Any, key: str) -> None:
    layout, writer = OutputLayout(tmp_path), PackWriter(tmp_path)
    for stem in ("one", "two"):
        writer.write(f"{stem}/000", {"npz": b"result", "overlay.jpg": b"picture"})
    writer.close()
    (path,) = pack_files(tmp_path)
    index = path.with_suffix(".jsonl")
    made_up = [
        line,
        {"key": key, "members": line},
        {"key": f"{key}/000", "time": 0, "end": 1024, "members": {key: [0, 9]}},
    ]
    lines = b"".join(json.dumps(one).encode() + b"\n" for one in made_up)
    path.write_bytes(damaged(path.read_bytes(), damage))
    index.write_bytes(damaged(lines + index.read_bytes(), index_damage))
    for _ in range(2):  # the second time as mended
        found = Packs.of_folder(tmp_path)
        for sample in found.samples():
            assert all(found.read(tmp_path / one) is not None for one in sample.paths())
            layout.sample_files(sample.key)
        list(layout.results())
        mend_packs(tmp_path)
    shutil.rmtree(path.parent)


_YAML = b"objective: {rho: 50}\nstages: {4: {collision: 20}}\nrun:\n  threads: 2\n  images: photos\n"
_CALIBRATION = b"default: {focal_length: 1400, principal_point: [960, 540]}\nIMG: {focal_length: [1, 2]}\n"
_LABELS = b"image,person,label\na.jpg,0,male\nb.jpg,,female\n"


@pytest.mark.parametrize(
    ("read", "valid"), [(load_run, _YAML), (read_calibration, _CALIBRATION), (read_labels, _LABELS)]
)
@_fuzzed
@given(damage=_damage, text=st.text(max_size=40))
def test_settings_and_tables(
    tmp_path: Path, read: Callable[[Path], Any], valid: bytes, damage: Any, text: str
) -> None:
    reads(read, tmp_path / "file.yaml", damaged(valid, damage))
    reads(read, tmp_path / "file.yaml", valid + text.encode("utf-8", "surrogatepass"))


def test_an_archive_with_large_members_is_not_unpacked(tmp_path: Path) -> None:
    path, result = tmp_path / "000.npz", random_result()
    result.save(path)
    with np.load(path) as stored:
        entries = dict(stored)
    np.savez_compressed(path, **entries, foreign=np.zeros(40_000_000, np.uint8))
    assert load_result(path).loss == pytest.approx(result.loss)
    entries["betas"] = np.zeros(20_000_000, np.float32)
    np.savez_compressed(path, **entries)
    with pytest.raises(SmplifyxError, match="betas: has 80000128 bytes; expected at most"):
        load_result(path)
