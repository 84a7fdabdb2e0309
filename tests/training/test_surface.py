"""The cheap surface of the loss against the full body model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from smplifyx.body.files import load_body_model_data
from smplifyx.body.model import BodyModel
from smplifyx.body.search import find_body_model
from smplifyx.training.surface import PoseSurface
from smplifyx.training.vposer_trainer import pose_batch


@pytest.fixture(scope="module")
def data():
    return load_body_model_data(find_body_model("smplx", "neutral", None))


def test_vertices_are_those_of_the_body_without_correctives(data, motion_capture):
    rotations = pose_batch(motion_capture.body_pose[:3]).rotations
    full = BodyModel.from_data(data)
    full.pose_shapes = torch.zeros_like(full.pose_shapes)
    turned = torch.eye(3).expand(3, 55, 3, 3).clone()
    turned[:, 1:22] = rotations
    expected = full(torch.zeros(3, full.n_betas), torch.zeros(3, full.n_expressions), turned).vertices
    torch.testing.assert_close(PoseSurface(data)(rotations), expected, atol=1e-5, rtol=0)


def test_chosen_vertices_cover_the_body(data):
    rest = torch.eye(3).expand(1, 21, 3, 3)
    few = PoseSurface(data, 100)(rest)[0].numpy()
    assert few.shape == (100, 3)
    gap = np.linalg.norm(np.asarray(data.v_template)[:, None] - few, axis=2).min(1)
    assert gap.max() < 0.12  # metres
