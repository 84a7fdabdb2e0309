import cv2
import numpy as np
import pytest

from smplifyx.cli.main import main
from smplifyx.evaluation.detections import (
    DetectionComparison,
    compare_detections,
    detection_rows,
    distance_rows,
    match_people,
    missed_rows,
)
from smplifyx.keypoints.writing import person_entry, write_openpose
from smplifyx.skeleton import LEFT_HAND_KEYPOINTS, N_KEYPOINTS


def person(x=0.0, y=0.0, size=100.0, seed=0):
    """A person whose body's box has that longer side."""
    points = np.random.default_rng(seed).random((N_KEYPOINTS, 2))
    points[:25] -= points[:25].min(0)
    points[:25] *= size / np.ptp(points[:25], axis=0).max()
    return np.column_stack([points + np.array([x, y]), np.full(N_KEYPOINTS, 0.9)])


def shifted(keypoints, x, y=0.0):
    return keypoints + np.array([x, y, 0.0])


def test_distances_are_shares_of_the_box_of_the_reference():
    reference = person(size=200.0)
    ((match,), n_extra) = match_people("photo", [reference], [shifted(reference, 3.0, 4.0)])
    assert n_extra == 0 and match.is_found
    np.testing.assert_allclose(match.size, 200.0)
    np.testing.assert_allclose(match.errors, 5.0 / 200.0)


def test_everyone_is_matched_once_and_the_nearest_first():
    """Two people side by side, found in the other order, one of them twice; a third is missed, a fourth nobody."""
    first, second, third = person(50, 50), person(90, 50), person(500, 50)
    detected = [shifted(second, 1), shifted(first, 2), shifted(first, 4), person(900, 900, seed=4)]
    matches, n_extra = match_people("photo", [first, second, third], detected)
    assert [one.is_found for one in matches] == [True, True, False]
    np.testing.assert_allclose([np.nanmax(one.errors) for one in matches[:2]], [0.02, 0.01])
    assert n_extra == 2
    assert np.isnan(matches[2].errors).all()


def test_unsure_points_are_not_compared_and_people_of_few_points_do_not_count():
    reference, found = person(), person()
    found[3, 2], reference[4, 2] = 0.1, 0.25
    ((match,), _) = match_people("photo", [reference], [found])
    assert np.flatnonzero(np.isnan(match.errors)).tolist() == [3, 4]
    few = person()
    few[5:25, 2] = 0.1
    assert match_people("photo", [few], [found]) == ([], 0)
    far = person(900, 900, seed=4)
    (matches, n_extra) = match_people("photo", [few, shifted(found, 400)], [far, found, shifted(found, 401)])
    assert [one.is_found for one in matches] == [True] and n_extra == 1


def test_rows_count_what_is_found():
    reference = [person(0, 0), person(500, 0)]
    found = shifted(reference[0], 1.0)
    found[LEFT_HAND_KEYPOINTS] = 0.0
    matches, n_extra = match_people("photo", reference, [found])
    comparison = DetectionComparison(tuple(matches), n_extra)
    values = {str(row[""]): row["value"] for row in detection_rows(comparison)}
    assert values["people found"] == "1" and values["median distance"] == "1.00 %"
    assert (values["left hands found"], values["right hands found"]) == ("0", "1")
    by_joint = {str(row["keypoint"]): row for row in distance_rows(comparison)}
    assert by_joint["nose"]["median"] == "1.00 %" and "left hand" not in by_joint
    assert missed_rows(comparison) == [{"missed in": "photo", "size": "100 px"}]


@pytest.fixture
def folders(tmp_path):
    for name in ("images", "reference", "found"):
        (tmp_path / name).mkdir()
    for stem in ("a", "b"):
        cv2.imwrite(str(tmp_path / "images" / f"{stem}.png"), np.zeros((400, 400, 3), np.uint8))
        write_openpose(tmp_path / "reference" / f"{stem}_keypoints.json", [person_entry(person(100, 100))])
    write_openpose(tmp_path / "found" / "a_keypoints.json", [person_entry(person(102, 100))])
    return tmp_path


def test_photos_without_a_file_of_detections_count_as_missed(folders):
    comparison = compare_detections(folders / "images", folders / "found", folders / "reference")
    assert [(one.photo, one.is_found) for one in comparison.matches] == [("a", True), ("b", False)]


def test_the_command_prints_the_tables_and_names_a_missing_folder(folders, capsys):
    arguments = ["evaluate", "detections", str(folders / "found"), "--images", str(folders / "images")]
    assert main([*arguments, "--reference", str(folders / "reference")]) == 0
    printed = capsys.readouterr().out
    assert "2.00 %" in printed and "of 2" in printed
    assert main([*arguments, "--reference", str(folders / "nothing")]) == 2
    assert "--reference" in capsys.readouterr().err
