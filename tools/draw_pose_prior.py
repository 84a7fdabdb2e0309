"""Draws random people of the learned pose prior in a grid, the first with a code of zeros, or paths between two."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.spatial.transform import Rotation

from smplifyx import skeleton
from smplifyx.body.files import load_body_model_data
from smplifyx.body.model import BodyModel
from smplifyx.body.search import find_body_model
from smplifyx.camera import Camera
from smplifyx.output import BodyMesh, open_renderer
from smplifyx.priors import make_body_pose_prior

SIDE, N_PIXELS = 8, 200
#: Distance of the camera (metres), and how far people are turned from it (degrees).
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


def main() -> None:
    """Draw the grid of people."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path, help="picture to write")
    parser.add_argument("--checkpoint", type=Path, help="trained VPoser (default: the shipped one)")
    parser.add_argument("--paths", action="store_true", help="each row goes from one person to another")
    parser.add_argument("--seed", type=int, default=3)
    arguments = parser.parse_args()
    prior = make_body_pose_prior("vposer", arguments.checkpoint)
    data = load_body_model_data(find_body_model("smplx", "neutral", None))
    model = BodyModel.from_data(data)
    decoded = prior.decode(codes(prior.n_parameters, arguments.paths, arguments.seed)).rotations
    rotations = torch.eye(3).expand(len(decoded), skeleton.N_JOINTS, 3, 3).clone()
    rotations[:, skeleton.BODY_JOINTS] = decoded
    towards_camera = Rotation.from_euler("x", 180.0, degrees=True) * Rotation.from_euler("y", HEADING, degrees=True)
    rotations[:, 0] = torch.tensor(towards_camera.as_matrix())
    none = torch.zeros(len(decoded), model.n_betas), torch.zeros(len(decoded), model.n_expressions)
    with torch.no_grad():
        people = model(*none, rotations).vertices.numpy()
    renderer, _ = open_renderer()
    centre = N_PIXELS / 2
    camera = Camera(5.0 * N_PIXELS, (centre, centre), image_size=(N_PIXELS, N_PIXELS))
    cells = []
    for vertices in people:
        vertices = vertices - (vertices.min(0) + vertices.max(0)) / 2 + np.array([0.0, 0.0, DISTANCE])
        rgba = np.float64(renderer.render([BodyMesh(vertices, np.asarray(data.faces))], camera))
        cells.append(np.clip(255.0 - rgba[..., 3:] + rgba[..., :3], 0, 255).astype(np.uint8))
    rows = [np.concatenate(cells[row * SIDE : (row + 1) * SIDE], axis=1) for row in range(SIDE)]
    Image.fromarray(np.concatenate(rows)).save(arguments.output)


if __name__ == "__main__":
    main()
