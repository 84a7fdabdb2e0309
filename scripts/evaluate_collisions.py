"""Fits people who touch themselves without and with the self-collision term; prints figures, writes pictures."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from smplifyx.body.data import BodyModelData
from smplifyx.body.files import load_body_model_data
from smplifyx.body.search import find_body_model
from smplifyx.camera import resolve_cameras
from smplifyx.config import Config, Override, load_config
from smplifyx.evaluation.runner import observation_of, true_camera
from smplifyx.evaluation.self_contact import (
    ContactCase,
    ContactFit,
    ContactJudge,
    comparison_rows,
    fit_cases,
    touching_people,
)
from smplifyx.evaluation.statistics import format_table, summarise
from smplifyx.keypoints import draw_keypoints, load_pairs, pair_folder, read_image
from smplifyx.output.pictures import overlay, save_picture, side_view
from smplifyx.output.render import BodyMesh, BodyRenderer, open_renderer
from smplifyx.synthetic.self_contact import POSES, contact_poses, with_flat_hands

_HEIGHT = 480


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder for poses, pictures")
    parser.add_argument(
        "--photos", type=Path, action="append", default=[], metavar="DIR", help="folder with images/ and keypoints/"
    )
    parser.add_argument("--poses", type=int, default=len(POSES), help="so many synthetic poses, 0 for none")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--config", help="settings of the fitter (YAML)")
    parser.add_argument("--set", nargs=2, action="append", default=[], metavar=("KEY", "VALUE"), dest="overrides")
    parser.add_argument("--picture", nargs=2, metavar=("CASE", "FILE"), help="also write one case's picture here")
    parser.add_argument("--no-pictures", action="store_true")
    return parser.parse_args()  # fmt: skip


def main() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(1)
    config = load_config(arguments.config, [Override(key, value) for key, value in arguments.overrides])
    data = load_body_model_data(find_body_model("smplx", "neutral", config.body.models_dir))
    judge = ContactJudge(data, config.collision)
    arguments.output.mkdir(parents=True, exist_ok=True)
    made = synthetic_cases(arguments, data, config, judge)
    photographed = [case for folder in arguments.photos for case in photo_cases(folder, config)]
    cases = made + photographed
    fits = [
        fit_cases(data, replace(config, collision=replace(config.collision, enabled=enabled)), cases, judge)
        for enabled in (False, True)
    ]
    rows = comparison_rows(cases, *fits)
    print(format_table(rows), end="\n\n")
    for title, group in (("synthetic", rows[: len(made)]), ("photos", rows[len(made) :])):
        if group:
            print(f"{title} ({len(group)})\n{format_table(summarise(group))}\n")
    if made:
        bodies = [case.truth.vertices for case in made if case.truth is not None]
        depths = [1e3 * judge.meter.measure(body, judge.pairs(body)).depth for body in bodies]
        gaps = [1e3 * min(judge.hand_gaps(body)) for body in bodies]
        print(
            f"the truth: depth {np.mean(depths):.1f} mm, worst {max(depths):.1f}; hand gap {np.median(gaps):.1f} mm"
        )
    if arguments.no_pictures:
        return
    renderer, _ = open_renderer()
    for number, (case, before, after) in enumerate(zip(cases, *fits, strict=True)):
        picture = strip(case, (before, after), np.asarray(data.faces), renderer)
        save_picture(picture, arguments.output / f"{number:02d}_{case.name.replace(' ', '_').replace(',', '')}.jpg")
        if arguments.picture and arguments.picture[0] == case.name:
            save_picture(picture, arguments.picture[1])


def synthetic_cases(
    arguments: argparse.Namespace, data: BodyModelData, config: Config, judge: ContactJudge
) -> list[ContactCase]:
    """Touching people; their poses take minutes to find and are kept in the output folder."""
    file = arguments.output / f"poses_{arguments.seed}_{arguments.poses}.npy"
    if not file.exists():
        chosen = POSES[: arguments.poses]
        np.save(file, contact_poses(with_flat_hands(data), judge.pairs, judge.meter, chosen, arguments.seed))
    cases = []
    for pose, person in zip(POSES, touching_people(data, np.load(file)), strict=False):
        (observation,) = resolve_cameras([observation_of(person)], config.camera)
        cases.append(ContactCase(pose.name, observation, person))
    return cases


def photo_cases(folder: Path, config: Config) -> list[ContactCase]:
    """The largest person of each photo."""
    loaded = load_pairs(pair_folder(folder / "images", folder / "keypoints").pairs)
    return [
        ContactCase(observation.stem, observation)
        for observation in resolve_cameras(loaded.observations, config.camera)
        if observation.person_index == 0
    ]


def strip(
    case: ContactCase, fits: tuple[ContactFit, ContactFit], faces: np.ndarray, renderer: BodyRenderer
) -> np.ndarray:
    """Photo and keypoints, then front and side without the term, then with it."""
    width, height = case.observation.image_size
    if case.truth is None:
        background = read_image(case.observation.image_path)
    else:
        background = np.full((height, width, 3), 235, np.uint8)
    camera = case.observation.camera
    assert camera is not None
    first = background
    if case.truth is not None:
        first = overlay(
            background, [BodyMesh(case.truth.vertices, faces)], true_camera(case.truth), renderer, max(width, height)
        )
    panels = [draw_keypoints(first, case.observation.keypoints)]
    for contact in fits:
        mesh = BodyMesh(contact.fit.vertices, faces)
        panels.append(overlay(background, [mesh], camera, renderer, longest_side=1024))
        panels.append(side_view(mesh, contact.fit.joints[0], camera, renderer, longest_side=1024))
    return np.concatenate([_scaled(panel) for panel in panels], axis=1)


def _scaled(picture: np.ndarray) -> np.ndarray:
    width = round(picture.shape[1] * _HEIGHT / picture.shape[0])
    return np.asarray(cv2.resize(picture, (width, _HEIGHT), interpolation=cv2.INTER_AREA))


if __name__ == "__main__":
    main()
