"""Make pictures to train the gender classifier with: rendered men and women with keypoints and a manifest.

python -m tools.make_gender_data OUTPUT --people 3000 --seed 1 --mocap poses.npz --workers 2
"""

from __future__ import annotations

import argparse
import csv
import io
import multiprocessing
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from smplifyx.files import write_text
from smplifyx.synthetic.documents import write_openpose_json
from tools.gender_scene.people import Crowd, training_poses
from tools.gender_scene.photos import Studio

_COLUMNS = ("image", "keypoint_file", "person", "label", "source")
_JPEG_QUALITIES = (35, 96)
Row = tuple[str, ...]


@dataclass(frozen=True)
class Set:
    """A crowd and the folder of its pictures."""

    crowd: Crowd
    output: Path

    def write_group(self, group: int, studio: Studio) -> list[Row]:
        """Write photos and keypoints of one group; return the rows of the manifest."""
        rows: list[Row] = []
        rng = np.random.default_rng([self.crowd.seed, group, 1])
        bystanders = [studio.cut_out(one, rng) for one in self.crowd.bystanders(group)]
        for number, subject in self.crowd.group(group):
            rng = np.random.default_rng([self.crowd.seed, number])
            source = f"person{number:05d}"
            for letter, (photo, seen) in zip("ab", studio.photograph(subject, rng, bystanders), strict=True):
                image, keypoints = f"images/{source}_{letter}.jpg", f"keypoints/{source}_{letter}_keypoints.json"
                quality = int(rng.integers(*_JPEG_QUALITIES))
                cv2.imwrite(str(self.output / image), photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
                write_openpose_json([seen], self.output / keypoints)
                rows.append((image, keypoints, "0", subject.gender, source))
        return rows

    def write_manifest(self, rows: Iterable[Row]) -> None:
        """Write the manifest of the pictures made so far."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([_COLUMNS, *sorted(rows)])
        write_text(self.output / "manifest.csv", text.getvalue())


class _Worker:
    """State of a worker process."""

    pictures: Set
    studio: Studio

    @classmethod
    def start(cls, pictures: Set) -> None:
        """Prepare this process."""
        torch.set_num_threads(1)
        cv2.setNumThreads(1)
        cls.pictures, cls.studio = pictures, Studio.open()

    @classmethod
    def write_group(cls, group: int) -> list[Row]:
        """Photos, keypoints and the manifest's rows of one group."""
        return cls.pictures.write_group(group, cls.studio)


def make(crowd: Crowd, output: Path, n_workers: int = 1) -> None:
    """Write pictures, keypoints and manifest of a crowd; they do not depend on the number of workers.

    The manifest grows with every group, so that an unfinished set is usable.
    """
    for folder in ("images", "keypoints"):
        (output / folder).mkdir(parents=True, exist_ok=True)
    pictures, groups = Set(crowd, output), range(crowd.n_groups)
    if n_workers == 1:
        studio = Studio.open()
        _collect(pictures, (pictures.write_group(group, studio) for group in groups))
        return
    with multiprocessing.get_context("spawn").Pool(n_workers, _Worker.start, (pictures,)) as pool:
        _collect(pictures, pool.imap(_Worker.write_group, groups))


def _collect(pictures: Set, made: Iterable[list[Row]]) -> None:
    rows: list[Row] = []
    for of_group in made:
        rows += of_group
        pictures.write_manifest(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write pictures, keypoints and manifest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--people", type=int, default=3000, help="each is in two pictures")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mocap", type=Path, help="motion capture; without it the learned prior makes the poses")
    parser.add_argument(
        "--full-shapes", action="store_true", help="half the bodies from the source's full shape space"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="of the pictures; 1: sides of 240 to 320 pixels")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args(arguments)
    poses = training_poses(options.mocap)
    crowd = Crowd(options.people, options.seed, poses, options.full_shapes, scale=options.scale)
    make(crowd, options.output, options.workers)
    print(f"{options.output}: {options.people} people in {2 * options.people} pictures")


if __name__ == "__main__":
    main()
