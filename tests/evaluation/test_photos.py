import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from smplifyx.body.data import BodyModelData
from smplifyx.body.model import BodyModel
from smplifyx.cli.main import main
from smplifyx.errors import InputError
from smplifyx.evaluation.photos import judge, judge_folder, keypoint_rows, summary_rows, worst_rows
from smplifyx.output import OutputLayout
from smplifyx.result import FitResult
from smplifyx.rotations import axis_angle_to_matrix
from smplifyx.skeleton import BODY_KEYPOINT_NAMES, JOINT_NAMES, N_JOINTS, N_KEYPOINTS, joint_index

UPSIDE_DOWN = (np.pi, 0.0, 0.0)  # body frame to a camera that sees the person's front
KEYPOINT = {name: index for index, name in enumerate(BODY_KEYPOINT_NAMES)}


@pytest.fixture(scope="module")
def model(open_body: BodyModelData) -> BodyModel:
    return BodyModel.from_data(open_body)


def person(body: BodyModel, orient=UPSIDE_DOWN, flags=(), **bends) -> FitResult:
    """A fit without error: keypoints are the body's own joints, projected; the face is not seen."""
    pose = torch.zeros(1, N_JOINTS, 3)
    pose[0, 0] = torch.tensor(orient)
    for name, degrees in bends.items():
        pose[0, joint_index(name)] = torch.deg2rad(torch.tensor(degrees))
    output = body(torch.zeros(1, 10), torch.zeros(1, 10), axis_angle_to_matrix(pose), torch.tensor([[0.0, 0.3, 5.0]]))
    joints = output.joints[0].numpy()
    projected = np.zeros((N_KEYPOINTS, 2), np.float32)
    observed = np.zeros((N_KEYPOINTS, 3), np.float32)
    for name, index in KEYPOINT.items():
        joint = "pelvis" if name == "mid_hip" else name
        if joint in JOINT_NAMES:
            point = joints[joint_index(joint)]
            projected[index] = 1000 * point[:2] / point[2] + [400, 300]
            observed[index] = [*projected[index], 0.9]
    zeros = {name: np.zeros(3) for name in ("jaw_pose", "leye_pose", "reye_pose")}
    hands = {
        f"{side}_hand_{kind}": np.zeros(n) for side in ("left", "right") for kind, n in (("pose", 45), ("pca", 12))
    }
    return FitResult(
        model_type="smplx", model_name="open-body 1", gender="neutral", betas=np.zeros(10), expression=np.zeros(10),
        global_orient=pose[0, 0].numpy(), body_pose=pose[0, 1:22].reshape(-1).numpy(), **zeros, **hands,
        body_pose_embedding=None, camera_translation=np.array([0.0, 0.3, 5.0]), camera_rotation=np.eye(3),
        focal_length=np.full(2, 1000.0), principal_point=np.array([400.0, 300.0]), image_size=np.array([800, 600]),
        joints=joints, keypoints_2d=observed, projected_keypoints_2d=projected, loss=1.0, stage_losses=np.ones(5),
        n_evaluations=1, converged=True, flags=flags, seconds=0.1, reprojection_error_px=0.0, n_keypoints=14,
        status="ok",
    )  # fmt: skip


def turned(result: FitResult, other: FitResult) -> FitResult:
    """The first one's keypoints with the second one's body."""
    other.keypoints_2d = result.keypoints_2d
    return other


def test_a_perfect_fit_has_no_problems(model):
    fit = judge(person(model), "a/000")
    assert fit.faces_away is False and fit.n_problems == 0
    assert fit.mean_error == pytest.approx(0.0, abs=1e-6)
    assert np.isnan(fit.errors[KEYPOINT["nose"]])


def test_a_head_alone_has_no_joints_to_bend(model):
    head = person(model)
    head.body_pose, head.joints = np.zeros(0, np.float32), head.joints[:5]
    head.projected_keypoints_2d[:25] = np.nan  # a head has none of the body's points, which may be seen all the same
    fit = judge(head, "a/000")
    assert fit.wrong_bends == {} and fit.faces_away is None
    assert summary_rows([fit]) and keypoint_rows([fit]) == [] and len(worst_rows([fit])) == 1


def test_distances_are_shares_of_the_box_of_confident_keypoints(model):
    result = person(model)
    seen = result.keypoints_2d[:25, 2] > 0
    side = np.ptp(result.keypoints_2d[:25][seen, :2], axis=0).max()
    result.keypoints_2d[KEYPOINT["neck"], 0] += 0.04 * side
    result.keypoints_2d[KEYPOINT["left_elbow"], 1] += 0.06 * side
    result.keypoints_2d[KEYPOINT["nose"]] = [9000, 9000, 0.4]  # neither judged nor part of the box
    errors = judge(result, "a/000").errors
    assert errors[KEYPOINT["neck"]] == pytest.approx(0.04, rel=1e-3)
    assert errors[KEYPOINT["left_elbow"]] == pytest.approx(0.06, rel=1e-3)
    by_name = {row["keypoint"]: row for row in keypoint_rows([judge(result, "a"), judge(person(model), "b")])}
    assert by_name["neck"]["within 5%"] == "100.0 %" and by_name["left_elbow"]["within 5%"] == "50.0 %"
    assert "nose" not in by_name


def back(roll: float) -> tuple[float, float, float]:
    """Seen from behind, rolled in the image."""
    turns = (Rotation.from_rotvec(vector) for vector in ((0.0, 0.0, roll), UPSIDE_DOWN, (0.0, np.pi, 0.0)))
    return tuple(np.prod(list(turns)).as_rotvec())


@pytest.mark.parametrize("roll", [0.0, 1.5, 3.0])
def test_facing_is_told_from_the_shoulders(model, roll):
    behind = person(model, back(roll))
    assert judge(behind, "a").faces_away is False
    assert judge(turned(person(model), person(model, back(0.0))), "a").faces_away is True
    assert judge(turned(person(model, back(0.0)), person(model)), "a").faces_away is True


def test_facing_is_left_open_where_shoulders_do_not_tell(model):
    sideways = person(model)
    for name in ("left_shoulder", "right_shoulder"):
        sideways.keypoints_2d[KEYPOINT[name], 0] = 400
    assert judge(sideways, "a").faces_away is None
    half = person(model)
    half.keypoints_2d[KEYPOINT["mid_hip"], 2] = 0.5
    assert judge(half, "a").faces_away is None


@pytest.mark.parametrize(
    ("joint", "axis", "against"),
    [("left_elbow", 1, 1), ("right_elbow", 1, -1), ("left_knee", 0, -1), ("right_knee", 0, -1)],
)
def test_joints_bent_backwards_are_named(model, joint, axis, against):
    bend = [0.0, 0.0, 0.0]
    for degrees, expected in ((9, False), (11, True), (-60, False)):
        bend[axis] = float(against * degrees)
        found = judge(person(model, **{joint: tuple(bend)}), "a").wrong_bends
        assert found == ({joint: pytest.approx(11, abs=0.01)} if expected else {})


def missed(result: FitResult, pixels: float) -> FitResult:
    """The same with a wrist that lies elsewhere."""
    result.keypoints_2d[KEYPOINT["left_wrist"], 1] += pixels
    return result


def test_tables_count_and_the_worst_come_first(model):
    fits = [
        judge(person(model), "good/000"),
        judge(person(model, flags=("few_keypoints",), left_knee=(-30.0, 0.0, 0.0)), "bad/001"),
        judge(missed(person(model), 40.0), "fair/000"),
    ]
    values = {row[""]: row["value"] for row in summary_rows(fits)}
    assert values["people"] == "3" and values["flags"] == "1"
    assert values["people with a joint bent backwards"] == "1"
    worst = worst_rows(fits, 2)
    assert [row["worst people"] for row in worst] == ["bad/001", "fair/000"]
    assert worst[0]["remarks"] == "left_knee 30 deg backwards, few_keypoints"


def test_a_results_folder_is_read_and_an_empty_one_refused(model, tmp_path):
    layout = OutputLayout(tmp_path / "run")
    for stem, index in (("a", 0), ("a", 1), ("b", 0)):
        person(model).save(layout.result_path(stem, index))
    failures: list[InputError] = []
    assert [fit.name for fit in judge_folder(layout.root, failures.append)] == ["a/000", "a/001", "b/000"]
    with pytest.raises(InputError, match="holds no results"):
        judge_folder(tmp_path, failures.append)
    assert failures == []


def test_a_damaged_result_is_named_and_the_others_are_judged(model, tmp_path, capsys):
    layout = OutputLayout(tmp_path / "run")
    for index in (0, 1):
        person(model).save(layout.result_path("a", index))
    layout.result_path("a", 0).write_bytes(b"no result")
    assert main(["evaluate", "photos", str(layout.root)]) == 1
    printed = capsys.readouterr()
    assert "failed: " in printed.err and "000.npz" in printed.err and "a/001" in printed.out


def test_the_command_prints_tables_and_refuses_other_folders(model, tmp_path, capsys):
    layout = OutputLayout(tmp_path / "run")
    person(model).save(layout.result_path("a", 0))
    assert main(["evaluate", "photos", str(layout.root)]) == 0
    out = capsys.readouterr().out
    assert "a/000" in out and "left_wrist" in out
    assert main(["evaluate", "photos", str(tmp_path)]) == 2
    assert "holds no results" in capsys.readouterr().err
