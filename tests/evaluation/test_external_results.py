import pickle

import numpy as np
import pytest
import torch

from smplifyx.body.model import BodyModel
from smplifyx.body.pickles import load_pickle
from smplifyx.errors import InputError
from smplifyx.evaluation.external_results import ResultReader, find_results
from smplifyx.output import save_mesh
from smplifyx.output.results import save_smplifyx_pickle
from smplifyx.priors.vposer import VPoser
from smplifyx.priors.vposer_checkpoints import load_vposer, shipped_weights
from smplifyx.result import FitResult
from smplifyx.rotations import axis_angle_to_matrix


@pytest.fixture(scope="module")
def vposer():
    return VPoser(load_vposer(shipped_weights()))


@pytest.fixture(scope="module")
def reader(random_body, vposer):
    return ResultReader(lambda gender: random_body, "neutral", lambda: vposer)


@pytest.fixture()
def result(random_body, vposer):
    """A result whose body pose is its VPoser code's and whose hands lie in the hand pose space."""
    rng = np.random.default_rng(0)

    def array(*shape):
        return rng.normal(0.0, 0.5, shape).astype(np.float32)

    code, left, right = array(32), array(12), array(12)
    return FitResult(
        model_type="smplx", model_name="random", gender="neutral",
        betas=array(10), expression=array(10), global_orient=array(3),
        body_pose=vposer.decode(torch.as_tensor(code)[None]).axis_angle[0].numpy().reshape(-1),
        jaw_pose=array(3), leye_pose=array(3), reye_pose=array(3),
        left_hand_pose=random_body.left_hand_mean + left @ random_body.left_hand_components[:12],
        right_hand_pose=random_body.right_hand_mean + right @ random_body.right_hand_components[:12],
        left_hand_pca=left, right_hand_pca=right, body_pose_embedding=code,
        camera_translation=array(3), camera_rotation=np.eye(3), focal_length=700 + array(2), principal_point=array(2),
        image_size=np.array([640, 480]), joints=array(55, 3), keypoints_2d=array(135, 3),
        projected_keypoints_2d=array(135, 2), loss=1.0, stage_losses=array(5), n_evaluations=1, converged=True,
        flags=(), seconds=1.0, reprojection_error_px=1.0, n_keypoints=80, status="ok",
    )  # fmt: skip


@pytest.fixture()
def surface(random_body, result):
    """The same body through the body model itself, camera translation included."""
    pose = [result.global_orient, result.body_pose, result.jaw_pose, result.leye_pose, result.reye_pose]
    pose = np.float64(np.concatenate([*pose, result.left_hand_pose, result.right_hand_pose]))
    row = [torch.as_tensor(np.float64(part))[None] for part in (result.betas, result.expression)]
    rotations = axis_angle_to_matrix(torch.as_tensor(pose).reshape(1, 55, 3))
    return (
        BodyModel.from_data(random_body, torch.float64)(*row, rotations).vertices[0].numpy()
        + result.camera_translation
    )


def test_our_results(tmp_path, reader, result, surface):
    result.save(tmp_path / "000.npz")
    np.testing.assert_allclose(reader.vertices(tmp_path / "000.npz"), surface, atol=1e-5)


def test_our_pickles(tmp_path, reader, result, surface):
    save_smplifyx_pickle(result, tmp_path / "000.pkl")
    np.testing.assert_allclose(reader.vertices(tmp_path / "000.pkl"), surface, atol=1e-5)


def test_pickles_with_vposer_codes(tmp_path, reader, result, surface):
    path = tmp_path / "000.pkl"
    save_smplifyx_pickle(result, path)
    path.write_bytes(pickle.dumps(load_pickle(path) | {"body_pose": result.body_pose_embedding[None]}, protocol=2))
    np.testing.assert_allclose(reader.vertices(path), surface, atol=1e-4)


def test_pickles_with_axis_angle(tmp_path, reader, result, surface):
    names = ("betas", "expression", "global_orient", "body_pose", "jaw_pose", "leye_pose", "reye_pose")
    content = {name: getattr(result, name)[None] for name in (*names, "left_hand_pose", "right_hand_pose")}
    content["camera_translation"] = result.camera_translation[None]
    (tmp_path / "000.pkl").write_bytes(pickle.dumps(content, protocol=2))
    np.testing.assert_allclose(reader.vertices(tmp_path / "000.pkl"), surface, atol=1e-5)


@pytest.mark.parametrize("ending", ["obj", "ply"])
def test_meshes(tmp_path, random_body, reader, surface, ending):
    save_mesh(surface, np.asarray(random_body.faces), tmp_path / f"000.{ending}")
    np.testing.assert_allclose(reader.vertices(tmp_path / f"000.{ending}"), surface, atol=2e-6)


def test_a_pickle_never_runs_code(tmp_path, reader):
    (tmp_path / "000.pkl").write_bytes(pickle.dumps({"betas": print}))
    with pytest.raises(InputError, match="print"):
        reader.vertices(tmp_path / "000.pkl")


def test_incomplete_pickles_are_named(tmp_path, reader):
    (tmp_path / "000.pkl").write_bytes(pickle.dumps({"betas": np.zeros((1, 10))}))
    with pytest.raises(InputError, match="global_orient: is missing"):
        reader.vertices(tmp_path / "000.pkl")


@pytest.mark.parametrize(
    "name",
    ["01.obj", "01_img.ply", "01_img/000.pkl", "results/01_img/000.npz", "meshes/01/000.obj", "01_000.obj"],
)
def test_files_are_found(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    assert find_results(tmp_path, ["01", "02"]) == {"01": path}


@pytest.mark.parametrize("name", ["010.obj", "101.obj", "01_img/001.pkl", "01.jpg", "a01.obj"])
def test_other_files_are_left_alone(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    assert find_results(tmp_path, ["01"]) == {}


def test_the_truth_is_nobodys_result(tmp_path):
    for name in ("benchmark/01_align.ply", "benchmark/02_align.ply", "fits/02.ply"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    truths = [tmp_path / "fits" / ".." / "benchmark" / f"{name}_align.ply" for name in ("01", "02")]
    assert find_results(tmp_path, ["01", "02"], truths) == {"02": tmp_path / "fits" / "02.ply"}


def test_parameters_go_before_meshes(tmp_path):
    for name in ("meshes/01_img/000.obj", "results/01_img/000.npz"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    assert find_results(tmp_path, ["01"])["01"].suffix == ".npz"
