"""A Ray cluster of two machines on this one, of which one is lost during the run: all done, the same numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from smplifyx.body.files import load_body_model_data
from smplifyx.body.search import find_body_model
from smplifyx.config import Config, Override, RunOptions, load_run
from smplifyx.errors import UsageError
from smplifyx.pipeline import Job, Outcome, SerialExecutor, Unit
from smplifyx.synthetic.documents import write_openpose_json
from smplifyx.synthetic.people import SyntheticOptions, synthetic_people

ray = pytest.importorskip("ray", reason="Ray is not installed")
cluster_utils = pytest.importorskip("ray.cluster_utils", reason="this Ray has no clusters for tests")

from smplifyx.pipeline.ray_executor import RayExecutor, _Task  # noqa: E402

_N_PHOTOS = 12
_SETTINGS = {
    "body.gender": "neutral",
    "optimizer.max_iterations": "2",
    "starts.depth_flips": "1",
    "collision.enabled": "false",
    "output.render": "false",
    "output.mesh_format": "none",
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    data = load_body_model_data(find_body_model("smplx", "neutral"))
    for number, person in enumerate(synthetic_people(data, _N_PHOTOS, SyntheticOptions(seed=9))):
        width, height = person.image_size
        cv2.imwrite(str(folder / f"photo_{number:02d}.jpg"), np.full((height, width, 3), 128, np.uint8))
        write_openpose_json([person], folder / f"photo_{number:02d}_keypoints.json")
    return folder


#: Fits that take as long as those of a user, so that a machine is lost while it works.
_LONG = {**_SETTINGS, "optimizer.max_iterations": "200", "starts.depth_flips": "8", "collision.enabled": "true"}


def _job(output: Path, settings: Mapping[str, str] = _SETTINGS, **changes: Any) -> Job:
    config, run = load_run(None, [Override(key, value, "test") for key, value in settings.items()])
    assert isinstance(config, Config) and isinstance(run, RunOptions)
    return Job(config, replace(run, output=output, device="cpu", batch_size=2, **changes))


def _units(photos: Path) -> list[Unit]:
    return [
        Unit(image.stem, image, image.with_name(f"{image.stem}_keypoints.json")) for image in photos.glob("*.jpg")
    ]


def _numbers(output: Path) -> dict[str, dict[str, np.ndarray]]:
    found = {}
    for path in sorted((output / "results").glob("*/*.npz")):
        with np.load(path, allow_pickle=False) as file:
            # Times and places of files differ.
            found[str(path.relative_to(output))] = {
                name: file[name] for name in file.files if file[name].dtype.kind in "fiub" and name != "seconds"
            }
    return found


@pytest.fixture
def cluster() -> Iterator[Any]:
    made = cluster_utils.Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "memory": 2 << 30, "include_dashboard": False}
    )
    try:
        yield made
    finally:
        ray.shutdown()
        made.shutdown()


@pytest.mark.slow
def test_a_machine_is_lost_and_nothing_else(
    cluster: Any, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = cluster.add_node(num_cpus=1, memory=2 << 30)
    cluster.wait_for_nodes()
    executor = RayExecutor(cluster.address, task_size=6)
    outcomes: list[Outcome] = []
    for outcome in executor.run(_units(photos), _job(tmp_path / "ray", _LONG)):
        outcomes.append(outcome)
        if len(outcomes) == 1:
            cluster.remove_node(second, allow_graceful=False)
    assert sorted(outcome.unit.stem for outcome in outcomes) == [f"photo_{n:02d}" for n in range(_N_PHOTOS)]
    assert not any(outcome.failures for outcome in outcomes)
    assert "was lost" in outcomes[-1].remarks[-1] and not outcomes[0].remarks
    assert not capsys.readouterr().out  # Ray prints dozens of lines

    list(SerialExecutor().run(_units(photos), _job(tmp_path / "alone", _LONG)))
    expected, found = _numbers(tmp_path / "alone"), _numbers(tmp_path / "ray")
    assert len(expected) == _N_PHOTOS
    assert found.keys() == expected.keys()
    for name, arrays in expected.items():
        assert arrays.keys() == found[name].keys()
        for key, values in arrays.items():
            np.testing.assert_array_equal(found[name][key], values, err_msg=f"{name}: {key}")


@pytest.mark.slow
def test_a_missing_body_model_is_told_and_stop_ends_soon(cluster: Any, photos: Path, tmp_path: Path) -> None:
    job = _job(tmp_path / "none")
    broken = replace(job, config=replace(job.config, body=replace(job.config.body, models_dir=tmp_path)))
    with pytest.raises(UsageError, match="body model"):
        list(RayExecutor(cluster.address).run(_units(photos), broken))
    executor, outcomes = RayExecutor(cluster.address, task_size=5), []
    for outcome in executor.run(_units(photos), _job(tmp_path / "stopped")):
        outcomes.append(outcome)
        executor.stop()
    assert 0 < len(outcomes) < _N_PHOTOS


def test_no_cluster_is_told() -> None:
    with pytest.raises(UsageError, match=r"--ray-address 127\.0\.0\.1:1"):
        RayExecutor("127.0.0.1:1")


def test_a_task_is_repeated_once_and_then_halved() -> None:
    units = {stem: Unit(stem, Path(stem), None) for stem in "abc"}
    (again,) = _Task(units).halves()
    assert list(again.units) == ["a", "b", "c"]
    assert [list(part.units) for part in again.halves()] == [["a", "b"], ["c"]]
