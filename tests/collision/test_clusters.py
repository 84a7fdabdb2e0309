"""Clusters of triangles: they divide the parts and their vertices."""

from __future__ import annotations

import numpy as np
import pytest

from smplifyx.body.files import load_body_model_data
from smplifyx.body.search import find_body_model
from smplifyx.collision.clusters import LANES, cluster_triangles
from smplifyx.collision.parts import body_parts


@pytest.mark.parametrize("n_extra", [0, 2])
def test_each_triangle_is_in_one_cluster_of_its_part(n_extra: int) -> None:
    """With ``n_extra`` parts without a triangle."""
    data = load_body_model_data(find_body_model("smplx", "neutral"))
    labels = body_parts(data).labels
    n_parts = int(labels.max()) + 1 + n_extra
    vertex_parts = np.zeros(len(data.v_template), np.int64)
    vertex_parts[data.faces] = labels[:, None]
    found = cluster_triangles(data.v_template, data.faces, labels, vertex_parts, n_parts)
    assert np.array_equal(np.sort(found.triangles), np.arange(len(labels)))
    assert np.array_equal(np.sort(found.owned), np.unique(data.faces))
    assert (
        found.part_starts[-1] == len(found.parts) == len(found.starts) - 1 and len(found.part_starts) == n_parts + 1
    )
    sides = []
    for cluster, part in enumerate(found.parts):
        triangles = found.triangles[found.starts[cluster] : found.starts[cluster + 1]]
        assert 0 < len(triangles) <= LANES and (labels[triangles] == part).all()
        assert found.part_starts[part] <= cluster < found.part_starts[part + 1]
        vertices = found.vertices[found.vertex_starts[cluster] : found.vertex_starts[cluster + 1]]
        assert np.array_equal(vertices, np.unique(data.faces[triangles]))
        owned = found.owned[found.owned_starts[cluster] : found.owned_starts[cluster + 1]]
        assert np.isin(owned, vertices).all() and (vertex_parts[owned] == part).all()
        sides.append(np.ptp(data.v_template[vertices], axis=0).max())
    # Neighbours: with 8 triangles and more in each, half of the clusters are smaller than a fingertip.
    assert len(sides) < len(labels) / 8 and np.median(sides) < 0.06


def test_triangles_in_one_place_and_none() -> None:
    """Triangles that are points are divided, too."""
    faces = np.zeros((3 * LANES, 3), np.int64)
    found = cluster_triangles(np.zeros((1, 3)), faces, np.zeros(len(faces), np.int64), np.zeros(1, np.int64), 1)
    assert np.diff(found.starts).max() <= LANES and found.owned.tolist() == [0]
