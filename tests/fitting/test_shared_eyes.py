"""Both eyes look in one direction, unless the settings say otherwise."""

from __future__ import annotations

import pytest
import torch

from smplifyx.fitting.batch import InitialPose
from smplifyx.fitting.parameters import BodyParameters
from smplifyx.priors import make_body_pose_prior
from tests.random_body import random_body_model


@pytest.mark.parametrize("shared", [True, False])
def test_eyes_have_one_rotation_or_two(shared: bool) -> None:
    data = random_body_model()
    parameters = BodyParameters(data, make_body_pose_prior("gaussian"), 12, torch.float32, "cpu", shared)
    assert ("reye_pose" in parameters.layout.sizes) is not shared
    x = torch.randn(2, parameters.layout.n_parameters, generator=torch.Generator().manual_seed(0))
    initial = InitialPose(torch.eye(3).expand(2, 3, 3), torch.ones(2, 3))
    angles = parameters(parameters.layout.split(x), initial).angles
    assert torch.equal(angles["leye_pose"], angles["reye_pose"]) is shared
    matrix, offset = parameters.angle_map()
    torch.testing.assert_close(x @ matrix.T + offset, torch.cat([*angles.values()], 1))
