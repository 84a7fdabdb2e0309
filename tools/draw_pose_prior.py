"""Draw a grid of random poses of the learned pose prior, the first with a code of zeros, or paths between two."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.spatial.transform import Rotation

from smplifyx import skeleton
from smplifyx.body.data import BodyModelData, FloatArray
from smplifyx.body.files import load_body_model_data
from smplifyx.body.model import BodyModel
from smplifyx.body.search import OPEN_BODY_DIR, find_body_model
from smplifyx.camera import Camera
from smplifyx.output import BodyMesh
from smplifyx.priors import make_body_pose_prior
from tools.drawing import start_renderer

SIDE, N_PIXELS = 8, 200
#: Distance of the camera (metres), and heading of the people (degrees).
DISTANCE, HEADING = 10.5, 25.0


def codes(n_latent: int, paths: bool, seed: int) -> torch.Tensor:
    """[64, Z] codes, row by row of the grid."""
    generator = torch.manual_seed(seed)
    start = torch.randn(SIDE, SIDE, n_latent, generator=generator)
    start[0, 0] = 0.0
    if paths:
        share = torch.linspace(0.0, 1.0, SIDE)[None, :, None]
        start = start[:, :1] * (1.0 - share) + start[:, 1:2] * share
    return start.flatten(0, 1)


def posed_people(rotations: torch.Tensor, data: BodyModelData) -> FloatArray:
    """Vertices [N, V, 3] in the camera frame for body rotations [N, 21, 3, 3]."""
    model = BodyModel.from_data(data)
    local = torch.eye(3).expand(len(rotations), skeleton.N_JOINTS, 3, 3).clone()
    local[:, skeleton.BODY_JOINTS] = rotations
    towards_camera = Rotation.from_euler("x", 180.0, degrees=True) * Rotation.from_euler("y", HEADING, degrees=True)
    local[:, 0] = torch.tensor(towards_camera.as_matrix())
    none = torch.zeros(len(local), model.n_betas), torch.zeros(len(local), model.n_expressions)
    with torch.no_grad():
        vertices = model(*none, local).vertices.numpy()
    middles = (vertices.min(axis=1, keepdims=True) + vertices.max(axis=1, keepdims=True)) / 2
    return vertices - middles + np.array([0.0, 0.0, DISTANCE])


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the grid of people."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path, help="picture to write")
    parser.add_argument("--checkpoint", type=Path, help="trained VPoser (default: the shipped one)")
    parser.add_argument("--paths", action="store_true", help="each row goes from one person to another")
    parser.add_argument("--seed", type=int, default=3)
    options = parser.parse_args(arguments)
    prior = make_body_pose_prior("vposer", options.checkpoint)
    data = load_body_model_data(find_body_model("smplx", "neutral", OPEN_BODY_DIR))
    with torch.no_grad():
        rotations = prior.decode(codes(prior.n_parameters, options.paths, options.seed)).rotations
    renderer = start_renderer()
    camera = Camera(5.0 * N_PIXELS, image_size=(N_PIXELS, N_PIXELS))
    cells = []
    for vertices in posed_people(rotations, data):
        rgba = np.float64(renderer.render([BodyMesh(vertices, np.asarray(data.faces))], camera))
        cells.append(np.clip(255.0 - rgba[..., 3:] + rgba[..., :3], 0, 255).astype(np.uint8))
    rows = [np.concatenate(cells[row * SIDE : (row + 1) * SIDE], axis=1) for row in range(SIDE)]
    Image.fromarray(np.concatenate(rows)).save(options.output)


if __name__ == "__main__":
    main()
