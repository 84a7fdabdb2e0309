"""Filter of the triangle pairs that may collide: body parts and their neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smplifyx.body.data import BodyModelData, IntArray
from smplifyx.body.pickles import load_pickle
from smplifyx.errors import InputError, UsageError

BoolArray = NDArray[np.bool_]

#: Far beyond any body's number of joints; a larger one in a file is nonsense that would fill the memory.
_MAX_PART = 1000


@dataclass(frozen=True)
class BodyParts:
    """The parts of a body's surface and their order.

    Attributes:
        labels: [F] part of each triangle.
        parents: [P] part that each part hangs on; itself or -1 for none.
    """

    labels: IntArray
    parents: IntArray


@dataclass(frozen=True)
class PairFilter:
    """Filter of the pairs of triangles that may collide.

    Attributes:
        labels: [F] part of each triangle.
        colliding_parts: [P, P] symmetric; parts whose triangles may collide with each other.
        ignored_pairs: [N, 2] single pairs of triangles that may not, whatever their parts.
    """

    labels: IntArray
    colliding_parts: BoolArray
    ignored_pairs: IntArray

    @property
    def related_parts(self) -> BoolArray:
        """[P, P] parts that may overlap: the same, adjacent or ignored ones."""
        return ~self.colliding_parts

    def keeps(self, faces: IntArray, pairs: IntArray) -> BoolArray:
        """Mask [N] of the pairs [N, 2] of the triangles [F, 3] that may collide."""
        first, second = pairs[:, 0], pairs[:, 1]
        share_vertex = (faces[first][:, :, None] == faces[second][:, None, :]).any((1, 2))
        may = self.colliding_parts[self.labels[first], self.labels[second]]
        ignored = np.isin(pair_keys(pairs, len(faces)), pair_keys(self.ignored_pairs, len(faces)))
        return np.asarray(may & ~share_vertex & ~ignored)


def pair_keys(pairs: IntArray, n_triangles: int) -> IntArray:
    """One number [N] for each unordered pair [N, 2]."""
    pairs = np.asarray(pairs, np.int64).reshape(-1, 2)
    return pairs.min(1) * n_triangles + pairs.max(1)


def body_parts(data: BodyModelData) -> BodyParts:
    """Parts by joint: each triangle belongs to the joint that moves it most."""
    labels = data.part_labels
    if labels is None:
        labels = data.skinning_weights[data.faces].sum(1).argmax(1)
    return BodyParts(np.asarray(labels, np.int64), np.asarray(data.parents, np.int64))


def load_part_segmentation(path: str | Path, n_triangles: int) -> BodyParts:
    """Read a part segmentation in the layout of SMPL-X's ``smplx_parts_segm.pkl``; no code in it is run.

    Args:
        path: pickle of ``segm`` [F], the part of each triangle, and ``parents`` [F], the part that one hangs on.
        n_triangles: F of the body it is meant for.

    Raises:
        InputError: the file is damaged or made for another body.
    """
    stored = load_pickle(Path(path))
    labels, above = (_labels(path, stored, key, n_triangles) for key in ("segm", "parents"))
    parents = np.full(max(labels.max(), above.max()) + 1, -1)
    parents[labels] = above
    return BodyParts(labels, parents)


def _labels(path: str | Path, stored: Any, key: str, n_triangles: int) -> IntArray:
    if not isinstance(stored, dict) or key not in stored:
        raise InputError(path, f"expected an array of {n_triangles} parts, one a triangle", key)
    labels = np.asarray(stored[key])
    if labels.dtype.kind not in "iuf" or labels.shape != (n_triangles,):
        problem = f"has shape {labels.shape} and type {labels.dtype}; expected {n_triangles} parts, one a triangle"
        raise InputError(path, problem, key)
    labels = labels.astype(np.int64)
    least = 0 if key == "segm" else -1
    if labels.min() < least or labels.max() > _MAX_PART:
        raise InputError(path, f"expected parts from {least} to {_MAX_PART}", key)
    return labels


def ignored_parts(names: Sequence[str], joint_names: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of parts from texts such as ``spine3-left_shoulder`` or ``9-16``.

    Names that this body does not have are left out: one list serves the whole model family.

    Args:
        names: the texts.
        joint_names: of the body, in order.

    Raises:
        UsageError: a text is not a pair.
    """
    pairs = []
    for text in names:
        ends = [end.strip() for end in text.split("-")]
        if len(ends) != 2 or not all(ends):
            raise UsageError(
                f"collision.ignored_parts: {text!r} is no pair of parts; expected two joints such as 'neck-jaw'"
            )
        numbers = [
            int(end) if end.isdigit() else joint_names.index(end) if end in joint_names else None for end in ends
        ]
        if numbers[0] is not None and numbers[1] is not None:
            pairs.append((numbers[0], numbers[1]))
    return pairs


def pair_filter(
    parts: BodyParts,
    faces: IntArray,
    ignored_parts: Sequence[tuple[int, int]] = (),
    ignored_pairs: IntArray | None = None,
) -> PairFilter:
    """Leave out pairs in the same part, in adjacent parts, and those that are named.

    Adjacent are a part and its parent, and parts that share a vertex: they always touch at their seam, and what folds
    there does not pass through anything.

    Args:
        parts: the body's parts.
        faces: [F, 3] the body's triangles.
        ignored_parts: further parts that may overlap; numbers beyond the body's parts have no effect.
        ignored_pairs: [N, 2] single pairs of triangles to leave out.
    """
    n_parts = max(len(parts.parents), int(parts.labels.max()) + 1)
    colliding = ~np.eye(n_parts, dtype=bool)
    links = [(part, int(parent)) for part, parent in enumerate(parts.parents) if parent >= 0]
    for one, other in [*links, *_seams(parts.labels, faces), *ignored_parts]:
        if max(one, other) < n_parts:
            colliding[one, other] = colliding[other, one] = False
    pairs = np.zeros((0, 2), np.int64) if ignored_pairs is None else np.asarray(ignored_pairs, np.int64)
    return PairFilter(parts.labels, colliding, pairs)


def with_free_end(chosen: PairFilter, part: int, end: BoolArray, others: Sequence[int]) -> PairFilter:
    """The same filter, but the end of a part may collide with other parts that the rest of it may overlap.

    Args:
        chosen: the filter.
        part: a limb.
        end: [F] marks triangles; those of the part become a part of their own.
        others: parts that its end may collide with besides.
    """
    n_parts = len(chosen.colliding_parts)
    labels = np.where(end & (chosen.labels == part), n_parts, chosen.labels)
    colliding = np.zeros((n_parts + 1, n_parts + 1), bool)
    colliding[:-1, :-1] = chosen.colliding_parts
    colliding[-1, :-1] = colliding[:-1, -1] = chosen.colliding_parts[part]
    colliding[-1, list(others)] = colliding[list(others), -1] = True
    return PairFilter(labels, colliding, chosen.ignored_pairs)


def _seams(labels: IntArray, faces: IntArray) -> list[tuple[int, int]]:
    """Pairs of parts that share a vertex."""
    n_parts = int(labels.max()) + 1
    touches = np.zeros((int(np.max(faces, initial=0)) + 1, n_parts), bool)  # which parts each vertex belongs to
    touches[faces, labels[:, None]] = True
    seam = touches[touches.sum(1) > 1].astype(np.int64)
    return [(int(one), int(other)) for one, other in np.argwhere(seam.T @ seam) if one < other]
