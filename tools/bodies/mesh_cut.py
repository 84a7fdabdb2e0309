"""Cuts a part off a mesh along a closed loop of edges and records the original vertex numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from smplifyx.body.data import IntArray

#: Neighbours of a vertex inside a regular grid of quads.
_REGULAR = 4


@dataclass(frozen=True)
class MeshCut:
    """A part of a mesh.

    Attributes:
        vertices: [N] vertices of the whole mesh, in the part's order.
        faces: [F, 3] triangles in the part's own vertex numbers.
        whole_faces: [F] number of each of them in the whole mesh.
    """

    vertices: IntArray
    faces: IntArray
    whole_faces: IntArray

    @classmethod
    def of_faces(cls, faces: IntArray, chosen: NDArray[np.bool_]) -> MeshCut:
        """The part that consists of the chosen ones [F] of the triangles [F, 3], vertices in ascending order."""
        vertices, numbers = np.unique(faces[chosen], return_inverse=True)
        return cls(vertices, numbers.reshape(-1, 3), np.flatnonzero(chosen))

    def numbers_of(self, vertices: IntArray) -> IntArray:
        """The part's own numbers of vertices of the whole mesh.

        Raises:
            ValueError: one of them is not in the part.
        """
        order = np.argsort(self.vertices)
        return order[_positions(self.vertices[order], vertices)]

    def face_numbers_of(self, faces: IntArray) -> IntArray:
        """The part's own numbers of triangles of the whole mesh.

        Raises:
            ValueError: one of them is not in the part.
        """
        return _positions(self.whole_faces, faces)


def _positions(ascending: IntArray, wanted: IntArray) -> IntArray:
    found = np.minimum(np.searchsorted(ascending, wanted), len(ascending) - 1)
    if not np.array_equal(ascending[found], wanted):
        raise ValueError(f"{int((ascending[found] != wanted).sum())} numbers are not in the part")
    return found


def quads_of(faces: IntArray) -> IntArray:
    """[Q, 4] the quads that the triangles [2 Q, 3] were made from: [a, b, c] and [a, c, d] in turn."""
    first, second = faces[0::2], faces[1::2]
    return np.concatenate([first, second[:, 2:]], axis=1)


def edge_loop(quads: IntArray, start: tuple[int, int]) -> IntArray:
    """The closed loop of edges that runs straight through a grid of quads.

    Args:
        quads: [Q, 4] vertex numbers.
        start: the first two vertices of the loop.

    Returns:
        [N] vertices in order.

    Raises:
        ValueError: the loop meets an irregular vertex or never closes.
    """
    quads_at: dict[int, list[int]] = {}
    for number, corners in enumerate(quads.tolist()):
        for corner in corners:
            quads_at.setdefault(corner, []).append(number)
    path = list(start)
    while path[-1] != path[0] or len(path) == 1:
        before, here = path[-2:]
        around = quads_at[here]
        if len(around) != _REGULAR or len(path) > len(quads):
            raise ValueError(f"the edge loop from {start} ends at vertex {here}")
        ahead = [q for q in around if before not in quads[q]]
        # The next vertex is the other end of the edge that the two quads ahead share.
        path.append(int(np.setdiff1d(np.intersect1d(quads[ahead[0]], quads[ahead[1]]), [here])[0]))
    return np.array(path[:-1])


def faces_inside_loop(faces: IntArray, loop: IntArray, inside: int) -> NDArray[np.bool_]:
    """[F] the triangles on one side of a loop.

    Args:
        faces: [F, 3] vertex numbers.
        loop: [N] vertices of the loop, which remain in the part.
        inside: any vertex on the wanted side.
    """
    n_vertices = int(faces.max()) + 1
    ends = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    ends = ends[~np.isin(ends, loop).any(axis=1)]
    graph = coo_array((np.ones(len(ends)), ends.T), shape=(n_vertices, n_vertices))
    _, component = connected_components(graph, directed=False)
    reached = component == component[inside]
    # A triangle belongs to the side of any of its corners: none has corners on both sides of the loop.
    return reached[faces].any(axis=1)
