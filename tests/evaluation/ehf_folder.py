"""Writes a small folder in exactly the layout of EHF: no camera file, meshes in the frame of its scanner."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np

from smplifyx.body.data import BodyModelData
from smplifyx.evaluation.ehf_layout import ehf_camera, write_mesh
from smplifyx.synthetic.documents import write_openpose_json
from smplifyx.synthetic.noise import DetectorNoise
from smplifyx.synthetic.people import SyntheticOptions, SyntheticPerson, synthetic_people

_SIZE = (1600, 1200)


def write_ehf(folder: Path, data: BodyModelData, count: int = 2) -> list[SyntheticPerson]:
    """People as EHF's camera sees them, with exact keypoints; returns the truth in the camera frame."""
    camera = ehf_camera()
    clean = DetectorNoise(occlusion=False).scaled(0.0)
    options = SyntheticOptions(
        seed=5,
        image_sizes=(_SIZE,),
        focal_range=(camera.intrinsics.focal_length[0] / _SIZE[0],) * 2,
        truncated_share=0.0,
        facing_share=1.0,
        noise=clean,
    )
    people = []
    folder.mkdir(parents=True, exist_ok=True)
    for number, person in enumerate(synthetic_people(data, count, options), 1):
        shift = np.array(camera.intrinsics.principal_point) - person.principal_point
        keypoints = person.keypoints_2d.copy()
        keypoints[keypoints[:, 2] > 0, :2] += shift
        moved = dataclasses.replace(person, keypoints_2d=keypoints)
        write_openpose_json([moved], folder / f"{number:02d}_2Djnt.json")
        cv2.imwrite(str(folder / f"{number:02d}_img.png"), np.full((_SIZE[1], _SIZE[0], 3), 200, np.uint8))
        cv2.imwrite(str(folder / f"{number:02d}_2Djnt.png"), np.zeros((8, 8, 3), np.uint8))
        (folder / f"{number:02d}_scan.obj").write_text("v 0 0 0\n")
        in_world = (person.vertices - camera.translation) @ camera.rotation
        write_mesh(folder / f"{number:02d}_align.ply", in_world, data.faces)
        people.append(moved)
    return people
