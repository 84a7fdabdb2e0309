"""Manifests, dealing out by source, and cut-outs."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from smplifyx.errors import InputError
from smplifyx.gender import CropRules, cut, person_region
from smplifyx.keypoints import read_image
from smplifyx.training.gender_people import load_cut_outs, read_manifest, split_by_source, write_manifest
from tests.training.gender_photos import make_photos


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return make_photos(tmp_path_factory.mktemp("people"), 12)


def test_a_manifest_is_read_and_written(manifest, tmp_path):
    people = read_manifest(manifest).people
    assert len(people) == 24
    assert {person.label for person in people} == {0, 1}
    assert people[3].observation.person_index == 1
    assert people[3].source == "images/1.jpg"
    write_manifest(tmp_path / "copy.csv", people)
    again = read_manifest(tmp_path / "copy.csv").people
    assert [(one.label, one.source) for one in again] == [(one.label, one.source) for one in people]
    np.testing.assert_array_equal(again[5].observation.keypoints, people[5].observation.keypoints)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("images/0.jpg,keypoints/0.json,0,neutral", "line 2, label: is 'neutral'"),
        ("images/0.jpg,keypoints/0.json,7,male", "has no person 7"),
        ("images/0.jpg,keypoints/0.json,x,male", "line 2, person"),
        ("images/99.jpg,keypoints/0.json,0,male", "99.jpg"),
        ("images/0.jpg,keypoints/99.json,0,male", "99.json"),
    ],
)
def test_wrong_lines_are_named(manifest, line, message):
    path = manifest.with_name("wrong.csv")
    path.write_text(f"image,keypoint_file,person,label\n{line}\n")
    with pytest.raises(InputError) as raised:
        read_manifest(path)
    assert message in str(raised.value)


def test_a_photo_under_two_sources_is_refused_with_both_lines(manifest):
    path = manifest.with_name("doubled.csv")
    lines = ["images/0.jpg,keypoints/0.json,0,male,a", "images/0.jpg,keypoints/0.json,1,male,a"]
    path.write_text("image,keypoint_file,person,label,source\n" + "\n".join(lines))
    assert len(read_manifest(path).people) == 2
    again = f"../{manifest.parent.name}/images/0.jpg,keypoints/0.json,0,male,b"
    path.write_text("image,keypoint_file,person,label,source\n" + "\n".join([*lines, again]))
    with pytest.raises(InputError, match=r"line 4.* 'b' here and of 'a' in line 2"):
        read_manifest(path)


def test_people_of_unusable_keypoints_are_left_out_and_named(tmp_path):
    manifest = make_photos(tmp_path, 2)
    path = tmp_path / "keypoints" / "1.json"
    content = json.loads(path.read_text())
    content["people"][0]["pose_keypoints_2d"].pop()
    path.write_text(json.dumps(content))
    read = read_manifest(manifest)
    assert [(one.observation.stem, one.observation.person_index) for one in read.people] == [
        ("0", 0), ("0", 1), ("1", 1),
    ]  # fmt: skip
    assert ["1.json: people[0]" in str(error) for error in read.failures] == [True]


def test_sources_stay_together_and_in_their_part_when_the_table_grows(manifest):
    people = [replace(one, source=f"{number // 2}") for number, one in enumerate(read_manifest(manifest).people * 50)]
    split = split_by_source(people, 0.2, 0.1, seed=3)
    parts = (split.training, split.validation, split.test)
    sources = [{person.source for person in part} for part in parts]
    assert [len(one) / 600 for one in sources] == pytest.approx([0.7, 0.2, 0.1], abs=0.05)
    assert not (sources[0] & sources[1] or sources[0] & sources[2] or sources[1] & sources[2])
    assert sum(map(len, parts)) == len(people)
    fewer = split_by_source(people[300:], 0.2, 0.1, seed=3)
    assert {person.source for person in fewer.test} <= sources[2]
    assert sources[2] != {person.source for person in split_by_source(people, 0.2, 0.1, seed=4).test}


def test_a_cut_out_gives_nearly_the_classifiers_own_crop(manifest):
    people = read_manifest(manifest).people[:4]
    loaded = load_cut_outs(people, 64, CropRules())
    assert loaded.labels.tolist() == [person.label for person in people]
    for person, picture in zip(people, loaded.pictures, strict=True):
        one = person.observation
        region = person_region(one.keypoints, one.image_size)
        crop = cut(read_image(one.image_path), region, one.image_size, 64)
        assert np.abs(picture.plain.astype(int) - crop).max() < 12  # the photo may be decoded reduced
        assert np.abs(picture.crop(picture.region).astype(int) - crop).mean() < 4
        assert crop.std() > 20
        assert picture.margin == pytest.approx(
            (0.08 * 600 * 80 / max(region.size), 0.08 * 400 * 80 / max(region.size)), rel=0.05
        )


def test_people_who_cannot_be_classified_are_counted(manifest):
    people = read_manifest(manifest).people[:4]
    people[1].observation.keypoints[:, 2] = 0
    loaded = load_cut_outs(people, 64, CropRules())
    assert len(loaded.pictures) == len(loaded.labels) == 3
    assert loaded.refused == {"too occluded": 1}
