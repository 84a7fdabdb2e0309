import json

import cv2
import numpy as np
import pytest

from smplifyx.errors import InputError, UsageError
from smplifyx.evaluation.ehf_layout import (
    CAMERAS_FILE,
    camera_entry,
    ehf_camera,
    read_benchmark,
    read_mesh,
    write_mesh,
)
from tests.evaluation.ehf_folder import write_ehf


@pytest.fixture()
def ehf(tmp_path, random_body):
    return tmp_path, write_ehf(tmp_path, random_body)


def test_frames_and_truth(ehf, random_body):
    folder, people = ehf
    frames = read_benchmark(folder, "male")
    assert [(frame.name, frame.image.name, frame.gender) for frame in frames] == [
        ("01", "01_img.png", "male"),
        ("02", "02_img.png", "male"),
    ]
    for frame, person in zip(frames, people, strict=True):
        np.testing.assert_allclose(frame.true_vertices(random_body.n_vertices), person.vertices, atol=1e-6)
        observation = frame.observation()
        assert observation.image_size == (1600, 1200)
        used = observation.keypoints[:25, 2] > 0  # a random body has a face where no person has it: left out
        assert used.sum() >= 15
        np.testing.assert_allclose(observation.keypoints[:25][used], person.keypoints_2d[:25][used], atol=1e-3)


def test_camera_agrees_with_opencv(ehf, random_body):
    """The mesh of the scanner's frame, projected by OpenCV with the published numbers, meets the keypoints."""
    folder, people = ehf
    vector, shift = np.array([-2.98747896, 0.01172457, -0.05704687]), np.array([-0.03609917, 0.43416458, 2.37101226])
    k = np.array([[1498.22426237, 0.0, 790.263706], [0.0, 1498.22426237, 578.90334], [0.0, 0.0, 1.0]])
    pixels, _ = cv2.projectPoints(read_mesh(folder / "01_align.ply"), vector, shift, k, None)
    nose = pixels[random_body.extra_point_vertices[0], 0]
    np.testing.assert_allclose(nose, people[0].keypoints_2d[0, :2], atol=0.01)
    assert (people[0].vertices[:, 2] > 0.2).all()


def test_other_cameras_come_from_their_file(ehf, random_body):
    folder, people = ehf
    camera = ehf_camera()
    entries = {name: camera_entry(camera, "female", ("truncated",)) for name in ("01", "02")}
    entries["02"]["translation"] = [0.0, 0.0, 5.0]
    (folder / CAMERAS_FILE).write_text(json.dumps(entries))
    first, second = read_benchmark(folder)
    assert (first.gender, first.tags) == ("female", ("truncated",))
    np.testing.assert_allclose(first.true_vertices(random_body.n_vertices), people[0].vertices, atol=1e-6)
    moved = people[1].vertices - camera.translation + [0.0, 0.0, 5.0]
    np.testing.assert_allclose(second.true_vertices(random_body.n_vertices), moved, atol=1e-6)


def test_vertices_keep_their_order(tmp_path):
    points = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    points[7] = points[3]  # equal vertices must not be merged
    write_mesh(tmp_path / "a.ply", points, np.arange(30).reshape(10, 3))
    np.testing.assert_array_equal(read_mesh(tmp_path / "a.ply"), points)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"01": {}}, "01.focal_length"),
        ({"01": {**camera_entry(ehf_camera(), "male"), "rotation": [1, 2]}}, "01.rotation"),
        ({"01": {**camera_entry(ehf_camera(), "both")}}, "01.gender"),
        ({"02": camera_entry(ehf_camera(), "male")}, "01"),
        ([1, 2], "entry"),
    ],
)
def test_damaged_cameras_are_named(ehf, entry, words):
    (ehf[0] / CAMERAS_FILE).write_text(json.dumps(entry))
    with pytest.raises(InputError, match=words):
        read_benchmark(ehf[0])


def test_missing_files_are_named(ehf, random_body):
    (ehf[0] / "02_2Djnt.json").unlink()
    with pytest.raises(InputError, match="02_2Djnt"):
        read_benchmark(ehf[0])
    with pytest.raises(UsageError, match="01_align"):
        read_benchmark(ehf[0] / "nowhere")


def test_damaged_and_foreign_meshes_are_named(ehf, random_body):
    frame = read_benchmark(ehf[0])[0]
    with pytest.raises(InputError, match="6890"):
        frame.true_vertices(6890)
    frame.mesh.write_bytes(b"ply\nnonsense")
    with pytest.raises(InputError, match="01_align"):
        frame.true_vertices(random_body.n_vertices)
