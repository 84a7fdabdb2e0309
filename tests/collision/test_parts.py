"""Pairs that may collide: parts, seams, named pairs, and a part segmentation from a file."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from smplifyx.body.files import load_body_model_data
from smplifyx.body.search import find_body_model
from smplifyx.collision.parts import (
    BodyParts,
    PairFilter,
    body_parts,
    load_part_segmentation,
    pair_filter,
    with_free_end,
)
from smplifyx.errors import InputError

#: A chain of four parts and a fifth on its own; triangles 0 and 1 share vertex 2, across parts 0 and 2.
_PARTS = BodyParts(np.array([0, 2, 0, 1, 2, 3, 4]), np.array([-1, 0, 1, 2, -1]))
_FACES = np.array([[0, 1, 2], [2, 3, 4], [5, 6, 7], [8, 9, 10], [11, 12, 13], [14, 15, 16], [17, 18, 19]])


def _kept(chosen, *pairs: tuple[int, int]) -> list[bool]:
    return chosen.keeps(_FACES, np.array(pairs)).tolist()


def test_same_and_adjacent_parts_are_left_out():
    chosen = pair_filter(_PARTS, _FACES)
    assert _kept(chosen, (0, 2), (2, 3), (3, 4), (4, 5)) == [False] * 4
    assert _kept(chosen, (2, 5), (3, 5), (2, 6), (6, 5)) == [True] * 4


def test_parts_that_share_a_vertex_are_adjacent():
    """Triangles 2 and 4 share nothing, but their parts do."""
    assert _kept(pair_filter(_PARTS, _FACES), (0, 1), (2, 4)) == [False, False]
    apart = _FACES + np.arange(len(_FACES))[:, None] * 3
    assert pair_filter(_PARTS, apart).keeps(apart, np.array([[0, 1], [2, 4]])).all()


def test_named_parts_and_pairs_are_left_out():
    chosen = pair_filter(_PARTS, _FACES, [(0, 4), (3, 77)], np.array([[5, 3]]))
    assert _kept(chosen, (2, 6), (0, 6), (3, 5), (5, 3), (3, 6)) == [False, False, False, False, True]


def test_parts_are_computed_where_the_file_has_none():
    data = load_body_model_data(find_body_model("smplx", "neutral"))
    computed = body_parts(replace(data, part_labels=None))
    np.testing.assert_array_equal(computed.labels, body_parts(data).labels)


def test_a_part_segmentation_is_read(tmp_path):
    path = tmp_path / "parts.pkl"
    above = np.array([-1, 0, 1, 2, -1])
    stored = {"segm": _PARTS.labels, "parents": above[_PARTS.labels]}
    path.write_bytes(pickle.dumps(stored, protocol=2))
    loaded = load_part_segmentation(path, 7)
    np.testing.assert_array_equal(loaded.labels, _PARTS.labels)
    np.testing.assert_array_equal(loaded.parents, _PARTS.parents)


@pytest.mark.parametrize(
    "stored, key",
    [
        ({"segm": np.zeros(7, int)}, "parents"),
        ({"segm": np.zeros(5, int), "parents": np.zeros(7, int)}, "segm"),
        ({"segm": np.full(7, -2), "parents": np.zeros(7, int)}, "segm"),
        ([1, 2], "segm"),
    ],
)
def test_a_wrong_part_segmentation_is_refused(tmp_path, stored, key):
    path = tmp_path / "parts.pkl"
    path.write_bytes(pickle.dumps(stored))
    with pytest.raises(InputError, match=key) as error:
        load_part_segmentation(path, 7)
    assert str(path) in str(error.value)


def test_the_end_of_a_limb_collides_with_what_the_rest_may_overlap() -> None:
    labels = np.array([0, 1, 1, 2])
    colliding = np.array([[0, 0, 1], [0, 0, 1], [1, 1, 0]], bool)  # the limb 1 may overlap part 0
    chosen = with_free_end(
        PairFilter(labels, colliding, np.zeros((0, 2), np.int64)), 1, np.array([1, 0, 1, 1], bool), [0]
    )
    assert chosen.labels.tolist() == [0, 1, 3, 2]  # marks of other parts' triangles do not count
    expected = [[0, 0, 1, 1], [0, 0, 1, 0], [1, 1, 0, 1], [1, 0, 1, 0]]
    assert chosen.colliding_parts.astype(int).tolist() == expected
