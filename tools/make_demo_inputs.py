"""Make the demo's photos and keypoints: rendered people with known truth and a noisy detector's keypoints.

Run it again whenever the open body changes: python -m tools.make_demo_inputs
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image

from smplifyx.cli.demo import DEMO_INPUTS
from smplifyx.keypoints.images import FILM_DIAGONAL_MM
from smplifyx.synthetic.documents import write_openpose_json
from smplifyx.synthetic.people import SyntheticPerson
from tools.demo_scene.characters import PICTURES, Picture
from tools.demo_scene.clothes import dress
from tools.demo_scene.room import render, stool
from tools.demo_scene.truth import open_body, people_of, to_world

_JPEG_QUALITY = 88


def main(arguments: Sequence[str] | None = None) -> None:
    """Write photos and keypoints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=DEMO_INPUTS)
    parser.add_argument("--only", help="name of the one picture to make")
    parser.add_argument("--no-images", action="store_true", help="write the keypoints alone")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    for picture in PICTURES:
        if options.only in (None, picture.name):
            make(picture, options.output, not options.no_images)


def make(picture: Picture, output: Path, with_image: bool) -> None:
    """Write the keypoints and, by default, the photo of one picture."""
    people = people_of(picture)
    for folder in ("images", "keypoints"):
        (output / folder).mkdir(parents=True, exist_ok=True)
    write_openpose_json(people, output / "keypoints" / f"{picture.name}_keypoints.json")
    if with_image:
        path = output / "images" / f"{picture.name}.jpg"
        Image.fromarray(photograph(picture, people)).save(path, quality=_JPEG_QUALITY, exif=_exif(picture))
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def photograph(picture: Picture, people: list[SyntheticPerson]) -> np.ndarray:
    """The picture, RGB [H, W, 3] uint8."""
    bodies = []
    for person, member in zip(people, picture.people, strict=True):
        vertices = to_world(person.vertices, picture)
        dressed = dress(vertices, open_body(member.gender), member.outfit)
        bodies += dressed
        if picture.stool:
            pelvis = to_world(person.joints[:1], picture)[0]
            bodies.append(stool(dressed[0].vertices, pelvis, member.heading))
    return np.ascontiguousarray(render(picture, bodies)[..., ::-1])


def _exif(picture: Picture) -> Image.Exif:
    """EXIF data with the focal length on 35 mm film, as phones write it, or empty."""
    exif = Image.Exif()
    if picture.exif:
        on_film = picture.focal_length / math.hypot(*picture.size) * FILM_DIAGONAL_MM
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLengthIn35mmFilm] = round(on_film)
    return exif


if __name__ == "__main__":
    main()
