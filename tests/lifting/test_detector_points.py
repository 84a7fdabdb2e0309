import numpy as np
import torch

from smplifyx.lifting.detector_points import _HIPS, _JOINTS, _KEYPOINTS, _MID_HIP, add_detector_points
from smplifyx.lifting.lifter import LiftedJoints


def lifted_people(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(n, 21, 3, 3, generator=generator, dtype=torch.float64) * 3.0
    joints = torch.randn(n, 21, 3, generator=generator, dtype=torch.float64)
    return LiftedJoints(joints, root, torch.zeros(n, 2, dtype=torch.float64))


def detector_points(n, seed=1):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(n, 25, 4, generator=generator, dtype=torch.float64)
    points[..., 3] = torch.rand(n, 25, generator=generator, dtype=torch.float64) + 0.1
    return points


def test_the_combined_energy_is_the_sum_of_both_but_for_a_constant():
    lifted, points, sd = lifted_people(3), detector_points(3), 0.2
    combined = add_detector_points(lifted, points, sd)
    hips = lifted.joints[:, _HIPS, 2].mean(1)

    def energy(joints, of):
        return (of.sqrt_precision @ (joints - of.joints)[..., None]).square().sum((2, 3))[:, _JOINTS]

    def both(joints):
        depth = joints[:, _JOINTS, 2] - hips[:, None]
        wanted = points[:, _KEYPOINTS, 2] - points[:, _MID_HIP, 2:3]
        return energy(joints, lifted) + points[:, _KEYPOINTS, 3] * ((depth - wanted) / sd).square()

    first, second = lifted_people(3, 5).joints, lifted_people(3, 6).joints
    difference = both(first) - both(second)
    torch.testing.assert_close(energy(first, combined) - energy(second, combined), difference)


def test_people_without_points_and_other_joints_stay_as_they_are():
    lifted, points = lifted_people(2), detector_points(2)
    points[1, :, 3] = 0.0
    combined = add_detector_points(lifted, points, 0.2)
    torch.testing.assert_close(combined.joints[1], lifted.joints[1])
    torch.testing.assert_close(combined.sqrt_precision[1], lifted.sqrt_precision[1])
    others = np.setdiff1d(np.arange(21), _JOINTS)
    torch.testing.assert_close(combined.joints[0, others], lifted.joints[0, others])


def test_joints_that_were_not_lifted_stay_without_effect():
    lifted = lifted_people(1)
    lifted.sqrt_precision[:] = 0.0
    combined = add_detector_points(lifted, detector_points(1), 0.2)
    assert torch.isfinite(combined.joints).all()
    torch.testing.assert_close(combined.sqrt_precision, lifted.sqrt_precision)


def test_a_person_does_not_depend_on_the_others():
    lifted, points = lifted_people(5), detector_points(5)
    together = add_detector_points(lifted, points, 0.2)
    alone = add_detector_points(
        LiftedJoints(lifted.joints[3:4], lifted.sqrt_precision[3:4], lifted.swapped_sides[3:4]), points[3:4], 0.2
    )
    assert torch.equal(together.joints[3:4], alone.joints)
    assert torch.equal(together.sqrt_precision[3:4], alone.sqrt_precision)


def test_points_of_a_file_reach_the_targets_of_a_fit(tmp_path):
    """A hand that a detector sees nearer is expected nearer."""
    import json
    from dataclasses import replace

    from smplifyx import Camera, Fitter, read_keypoints
    from smplifyx.cli.demo import DEMO_INPUTS

    document = json.loads((DEMO_INPUTS / "keypoints" / "walking_keypoints.json").read_text())
    wrist, hip = 4, 8
    points = np.zeros((25, 4))
    points[:, 3] = 1.0
    points[:, 1] = np.linspace(-0.5, 0.5, 25)
    points[wrist, 2] = -0.4
    document["people"][0]["pose_keypoints_3d"] = points.ravel().tolist()
    path = tmp_path / "walking_keypoints.json"
    path.write_text(json.dumps(document))
    (person,) = read_keypoints(path, DEMO_INPUTS / "images" / "walking.jpg")
    person = replace(person, camera=Camera(1500.0))
    np.testing.assert_allclose(person.points_3d, points, atol=1e-6)
    fitter = Fitter(overrides={"lifting.detector_depth_sd": 0.05})
    joint = _JOINTS[_KEYPOINTS.index(wrist)]
    near = fitter._targets([person]).lifted[0, joint, 2]
    without = fitter._targets([replace(person, points_3d=None)]).lifted[0, joint, 2]
    assert near < without and hip == _MID_HIP
    off = Fitter(overrides={"lifting.detector_depth_sd": None})._targets([person]).lifted[0, joint, 2]
    torch.testing.assert_close(off, without)


def test_points_in_other_units_are_ignored_and_told(tmp_path):
    import json

    from smplifyx import read_keypoints
    from smplifyx.cli.demo import DEMO_INPUTS

    document = json.loads((DEMO_INPUTS / "keypoints" / "walking_keypoints.json").read_text())
    points = np.ones((25, 4))
    points[0, 0] = 900.0
    document["people"][0]["pose_keypoints_3d"] = points.ravel().tolist()
    path = tmp_path / "walking_keypoints.json"
    path.write_text(json.dumps(document))
    (person,) = read_keypoints(path, DEMO_INPUTS / "images" / "walking.jpg")
    assert person.points_3d is None
    assert any("pose_keypoints_3d" in warning for warning in person.warnings)
