"""A few of the gender classifier's training pictures, made for real."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from smplifyx.gender import BodyVoter, NetworkClassifier, classify_people, load_checkpoint, shipped_checkpoint
from smplifyx.keypoints import load_pairs, pair_folder, read_image, read_keypoint_file
from smplifyx.synthetic.poses import mild_poses
from tools.gender_scene import appearance, geometry
from tools.gender_scene.people import Crowd
from tools.gender_scene.photos import Studio
from tools.make_gender_data import Set, make

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def crowd():
    """Two men and a woman."""
    return Crowd(3, 4, mild_poses(50), group_size=2)


@pytest.fixture(scope="module")
def folder(crowd, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gender") / "pictures"
    make(crowd, folder)
    return folder


def _manifest(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_manifest_names_every_picture_with_label_and_source(folder):
    rows = _manifest(folder)
    assert list(rows[0]) == ["image", "keypoint_file", "person", "label", "source"]
    assert [row["label"] for row in rows] == ["male"] * 4 + ["female"] * 2
    assert [row["source"] for row in rows] == [f"person{k:05d}" for k in (0, 0, 1, 1, 2, 2)]
    assert {row["image"] for row in rows} == {f"images/{path.name}" for path in (folder / "images").iterdir()}
    assert all(row["person"] == "0" and (folder / row["keypoint_file"]).is_file() for row in rows)


def test_pictures_load_as_observations_of_one_person_each(folder):
    pairing = pair_folder(folder / "images", folder / "keypoints")
    loaded = load_pairs(pairing.pairs)
    assert not loaded.failures and len(loaded.observations) == 6
    for row in _manifest(folder):
        people = read_keypoint_file(folder / row["keypoint_file"]).people
        assert len(people) == 1
        keypoints, (height, width) = np.asarray(people[0].keypoints), read_image(folder / row["image"]).shape[:2]
        seen = keypoints[keypoints[:, 2] > 0]
        assert len(seen) >= 15
        assert (seen[:, :2] >= 0).all() and (seen[:, :2] < (width, height)).all()


def test_two_pictures_of_a_person_share_the_outline_and_not_the_colors(crowd):
    _, subject = next(iter(crowd.group(1)))
    assert subject.gender == "female"
    (one, _), (two, _) = Studio.open().photograph(subject, np.random.default_rng(0))
    assert one.shape == two.shape == (*subject.person.image_size[::-1], 3)
    assert np.abs(one.astype(float) - two).mean() > 10.0


def test_same_seed_gives_the_same_pictures(crowd, folder, tmp_path):
    for name in ("images", "keypoints"):
        (tmp_path / name).mkdir()
    rows = Set(crowd, tmp_path).write_group(1, Studio.open())
    assert [row[3] for row in rows] == ["female"] * 2
    for image, keypoints, *_ in rows:
        one, other = (read_image(path / image).astype(float) for path in (tmp_path, folder))
        assert one.shape == other.shape and np.abs(one - other).mean() < 0.5
        (one,), (other,) = (read_keypoint_file(path / keypoints).people for path in (tmp_path, folder))
        np.testing.assert_allclose(one.keypoints, other.keypoints, atol=1e-2)


def test_person_is_drawn_where_the_keypoints_are(crowd):
    """The nearest drawn pixel of every keypoint of the body is at it; only shoes and clothes lie beyond."""
    _, subject = next(iter(crowd.group(0)))
    person = subject.person
    cutout = Studio.open().cut_out(subject, np.random.default_rng(0))
    inside = person.exact_keypoints_2d[:25]
    assert ((inside >= 0) & (inside < person.image_size)).all(), "choose a seed whose first person is seen whole"
    box, drawn = np.ptp(inside, axis=0), np.array(cutout.shape[1::-1])
    assert (drawn > box - 2).all() and (drawn < box + 0.25 * box.max()).all()


def test_a_skirt_of_no_length_stays_whole(crowd):
    """Its bands lie at one height and share their vertices, as those of real skirts seldom do."""

    _, subject = next(iter(crowd.group(1)))
    studio = Studio.open()
    marks = geometry.BodyMarks.of(subject.data)
    figure = geometry.Figure(subject.person.vertices, subject.data, marks, studio.neighbours)
    look = appearance.draw_appearance("female", np.random.default_rng(0))
    hip = marks.joint["pelvis"][1]
    assert np.isfinite(geometry._skirt(figure, hip, hip, look, 1).vertices).all()


def test_the_shipped_classifier_knows_such_pictures(tmp_path):
    """It rejects most photos as out of distribution, but not all pictures."""
    make(Crowd(12, 5, mild_poses(50)), tmp_path)
    pairing = pair_folder(tmp_path / "images", tmp_path / "keypoints")
    classifier = NetworkClassifier(load_checkpoint(shipped_checkpoint()))
    (answers,) = classify_people(load_pairs(pairing.pairs).observations, [BodyVoter(classifier)])
    asked = [one for one in answers if not isinstance(one, str)]
    limit = classifier.rule.out_of_distribution_limit
    assert len(asked) >= 8
    assert any(one.out_of_distribution <= limit for one in asked)
