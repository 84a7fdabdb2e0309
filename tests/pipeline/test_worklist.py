"""The photos of a run: shares, what is finished, and judgements that all shards have in common."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smplifyx.camera import Camera
from smplifyx.config import Config, OutputConfig, RunOptions
from smplifyx.keypoints.images import PhotoHeader
from smplifyx.output import OutputLayout
from smplifyx.pipeline import Job
from smplifyx.pipeline.digests import file_stamp
from smplifyx.pipeline.journal import PhotoRecord
from smplifyx.pipeline.worklist import Finished, WorkList, judge_sample, list_work, unfinished
from tests.photo_folders import Folders, person


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    folders = Folders(tmp_path)
    for number in range(10):
        folders.add(f"photo{number}", [person()])
    return folders


def work_of(folders: Folders, calibration: dict[str, Camera] | None = None, **run: Any) -> WorkList:
    given = {"images": folders.images, "keypoints": folders.keypoints, "output": folders.output, **run}
    return list_work(RunOptions(**given), calibration or {})[0]


@pytest.mark.parametrize("num_shards", [1, 3, 10, 16])
def test_shards_are_disjoint_complete_and_balanced(folders: Folders, num_shards: int) -> None:
    shares = [work_of(folders, num_shards=num_shards, shard_index=index) for index in range(num_shards)]
    stems = [unit.stem for share in shares for unit in share.units]
    assert sorted(stems) == [f"photo{number}" for number in range(10)]
    sizes = [len(share.units) for share in shares]
    assert max(sizes) - min(sizes) <= 1 and {share.n_photos for share in shares} == {10}


def test_the_first_shard_reports_files_without_a_partner(folders: Folders) -> None:
    (folders.keypoints / "photo3_keypoints.json").unlink()
    (folders.images / "photo4.png").unlink()
    first, second = (work_of(folders, num_shards=2, shard_index=index) for index in (0, 1))
    assert [Path(one.name).name for one in first.failures] == ["photo3.png"] and not second.failures
    assert [one.path.name for one in first.skipped] == ["photo4_keypoints.json"]


def test_no_photo_is_opened(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.Image.open", None)
    assert len(work_of(folders).units) == 10
    assert [unit.keypoints for unit in work_of(folders, keypoints=None).units] == [None] * 10


def test_photos_of_one_keypoint_file_and_cameras_are_marked(folders: Folders) -> None:
    shared = folders.keypoints / "all.json"
    shared.write_text(json.dumps([{"image_id": f"photo{n}.png", "keypoints": [1.0] * 51} for n in range(10)]))
    camera = Camera(500.0, (100.0, 150.0), "calibration")
    units = work_of(folders, {"photo1": camera}, keypoints=shared).units
    assert all(unit.is_shared for unit in units)
    assert [unit.camera for unit in units[:2]] == [None, camera]
    assert not any(unit.is_shared for unit in work_of(folders).units)
    default = work_of(folders, {"default": camera}).units
    assert all(unit.camera == camera for unit in default)


@pytest.fixture
def finished(folders: Folders) -> tuple[Job, dict[str, PhotoRecord]]:
    """Stand-ins of all results, and the records of their photos."""
    output = OutputConfig(mesh_format="none", side_view=False)
    run = RunOptions(images=folders.images, keypoints=folders.keypoints, output=folders.output)
    job = Job(Config(output=output), run, settings_digest="settings")
    layout, records = OutputLayout.of(folders.output, output), {}
    for unit in work_of(folders).units:
        path = layout.result_path(unit.stem, 0)
        path.parent.mkdir(parents=True)
        np.savez(path, loss=1.0)
        layout.overlay_path(unit.stem, 0).parent.mkdir(parents=True)
        layout.overlay_path(unit.stem, 0).write_text("picture")
        stamps = file_stamp(unit.image), file_stamp(unit.keypoints)
        records[unit.stem] = PhotoRecord(unit.stem, ("000",), *stamps, None, {"settings": 1}, "context")
    return job, records


def left(folders: Folders, job: Job, records: dict[str, PhotoRecord], context: str = "context") -> list[str]:
    units = work_of(folders).units
    return [unit.stem for unit in unfinished(units, job, context, records, Finished())]


def test_finished_photos_are_left_out(folders: Folders, finished: tuple[Job, dict[str, PhotoRecord]]) -> None:
    job, records = finished
    counts = Finished()
    records["photo2"] = replace(records["photo2"], settings={"others": 1})
    assert list(unfinished(work_of(folders).units, job, "context", records, counts)) == []
    assert counts == Finished(n_photos=10, n_people=10, n_other_settings=1)
    assert len(left(folders, job, records, "other people count")) == 10
    assert len(left(folders, job, {})) == 10


def test_photos_with_a_change_are_not_finished(
    folders: Folders, finished: tuple[Job, dict[str, PhotoRecord]]
) -> None:
    job, records = finished
    layout = OutputLayout.of(folders.output, job.config.output)
    folders.add_keypoints("photo1", "{}")
    (folders.images / "photo2.png").write_bytes(b"other")
    layout.result_path("photo3", 0).write_bytes(layout.result_path("photo3", 0).read_bytes()[:-5])
    layout.result_path("photo4", 0).write_bytes(b"")
    layout.result_path("photo5", 0).unlink()
    layout.overlay_path("photo6", 0).unlink()
    records["photo7"] = replace(records["photo7"], camera=[1.0, 1.0, 2.0, 2.0])
    assert left(folders, job, records) == [f"photo{number}" for number in range(1, 8)]


def test_a_sample_of_the_whole_folder_decides_for_all_shards(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keypoints of photos of half the size: each shard alone would have too few photos to say so."""
    headers = []
    monkeypatch.setattr(
        "smplifyx.pipeline.worklist.read_header", lambda path: headers.append(path) or PhotoHeader((400, 600))
    )
    for index in range(5):
        run = RunOptions(images=folders.images, keypoints=folders.keypoints, num_shards=5, shard_index=index)
        _, pairs = list_work(run, {})
        judgement = judge_sample(pairs, Config(), run)
        assert judgement.size_uncertain and "they may belong to smaller photos" in judgement.notes[0]
    assert len(headers) == 50
