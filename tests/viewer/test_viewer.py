"""``smplifyx view``: parameters that sliders change, the photo's frustum, and the server with a browser."""

from __future__ import annotations

import socket
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from smplifyx.cli.main import WRONG_CALL, main
from smplifyx.errors import UsageError
from smplifyx.export.files import result_files
from smplifyx.export.motion import PersonKey
from smplifyx.rotations import axis_angle_to_matrix
from smplifyx.viewer.people import angles, backdrop, read_people, with_angles, with_coefficient
from smplifyx.viewer.scene import frustum_scale
from tests.report.folders import add_person, person, picture


def test_angles_turn_one_joint_and_come_back() -> None:
    result = person()
    turned = with_angles(result, "left_elbow", (30.0, -20.0, 10.0))
    assert angles(turned, "left_elbow") == pytest.approx((30, -20, 10), abs=1e-4)
    others = [k for k, name in enumerate(result.joint_names) if name != "left_elbow"]
    np.testing.assert_array_equal(turned.full_pose[others], result.full_pose[others])
    import torch

    matrix = axis_angle_to_matrix(torch.tensor([[0.0, 0.0, np.pi / 2]]))[0].numpy()
    quarter = with_angles(result, "jaw", (0.0, 0.0, 90.0))
    np.testing.assert_allclose(
        axis_angle_to_matrix(torch.tensor(quarter.jaw_pose)[None])[0].numpy(), matrix, atol=1e-6
    )


def test_changed_parameters_move_the_body(tmp_path: Path) -> None:
    path = tmp_path / "000.npz"
    person().save(path)
    (tmp_path / "001.npz").write_bytes(b"PK")
    people, problems = read_people({PersonKey(0, ""): path, PersonKey(1, ""): tmp_path / "001.npz"})
    assert len(people) == 1 and problems[0].path == tmp_path / "001.npz"
    one = people[0]
    np.testing.assert_allclose(one.vertices(one.result), one.result.vertices, atol=1e-6)
    for changed in (
        with_coefficient(one.result, "betas", 1, 2.0),
        with_coefficient(one.result, "expression", 0, 2.0),
        with_angles(one.result, "pelvis", (0, 40, 0)),
    ):
        moved = np.abs(one.vertices(changed) - one.result.vertices).max()
        assert moved > 0.001
    assert one.result.betas[1] != 2.0


def test_backdrop_has_its_axis_in_the_middle(tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(picture(250))
    result = person(
        image_path=str(photo),
        focal_length=np.array([700, 700], np.float32),
        principal_point=np.array([400, 239.5], np.float32),
    )
    shown = backdrop(result)
    assert shown.picture.shape == (480, 801, 3) and shown.picture[240, 10].min() > 240
    assert (shown.picture[:, -1] == 128).all()
    # a point is where the photo's camera projects it
    point = np.array([0.3, -0.2, 3.0])
    half = np.tan(shown.fov / 2)
    column = (1 + point[0] / point[2] / (half * shown.aspect)) * shown.picture.shape[1] / 2 - 0.5
    row = (1 + point[1] / point[2] / half) * shown.picture.shape[0] / 2 - 0.5
    np.testing.assert_allclose((column, row), result.camera.project(point[None])[0], atol=0.6)
    lost = backdrop(person(image_path=str(tmp_path / "lost.jpg"))).picture
    assert lost.min() == lost.max() == 128


def test_scale_of_a_frustum() -> None:
    # viser divides the sides tan(fov / 2) * aspect, tan(fov / 2), 1 by the cube root of a third of their product
    fov, aspect, depth = 0.8, 1.5, 4.0
    half = np.tan(fov / 2)
    assert frustum_scale(fov, aspect, depth) / np.cbrt(half * aspect * half / 3) == pytest.approx(depth)


def test_without_viser_the_command_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "viser", None)
    assert main(["view", str(tmp_path)]) == WRONG_CALL
    assert "pip install 'smplifyx[view]'" in capsys.readouterr().err


@pytest.fixture
def served(tmp_path: Path) -> Iterator[object]:
    pytest.importorskip("viser", reason="serves the scene: pip install 'smplifyx[view]'")
    from smplifyx.viewer import Viewer

    for k in range(3):
        add_person(tmp_path, f"frame_{k}", 0, person(k))
    add_person(tmp_path, "frame_2", 1, person(5))
    viewer = Viewer(result_files(tmp_path), port=_free_port())
    yield viewer
    viewer.stop()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_the_server_shows_photos_and_changes(served) -> None:  # type: ignore[no-untyped-def]
    with urllib.request.urlopen(served.address) as answer:
        assert answer.status == 200 and b"<html" in answer.read().lower()
    scene = served.scene
    assert len(scene.people) == 1
    assert not served._problems.visible
    served._photos["frame_2"][PersonKey(0, "")].write_bytes(b"PK")
    served.show(2)
    assert served._problems.visible and "damaged" in served._problems.value
    assert [one.key.number for one in scene.people] == [1]
    body = scene._bodies[0]
    before = np.array(body.vertices)
    changed = with_coefficient(scene.results[0], "betas", 0, 3.0)
    scene.pose(0, changed)
    assert np.abs(np.array(body.vertices) - before).max() > 0.01
    served._person.value = "person_1"
    served._reset()
    np.testing.assert_allclose(body.vertices, before, atol=1e-6)


def test_playing_goes_through_the_photos(served) -> None:  # type: ignore[no-untyped-def]
    seen = []
    original = served.scene.show
    import threading

    done = threading.Event()

    def show(files, models):  # type: ignore[no-untyped-def]
        seen.append(len(files))
        if len(seen) >= 4:
            done.set()
        return original(files, models)

    served.scene.show = show
    served._rate.value = 30
    served._playing.value = True
    assert done.wait(60)
    served._playing.value = False
    assert seen[:4] == [1, 2, 1, 1]


def test_an_address_that_is_not_ours(tmp_path: Path) -> None:
    pytest.importorskip("viser", reason="serves the scene: pip install 'smplifyx[view]'")
    from smplifyx.viewer import Viewer

    add_person(tmp_path, "one", 0, person())
    with pytest.raises(UsageError, match="cannot be listened at"):
        Viewer(result_files(tmp_path), host="203.0.113.7")
