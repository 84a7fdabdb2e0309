"""Build the other open models from the SMPL-X bodies: SMPL, SMPL+H, MANO's hands, FLAME's head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smplifyx.body.compact_layout import DERIVED_TYPES
from smplifyx.body.data import BodyModelData, FloatArray, IntArray
from smplifyx.body.files import load_body_model_data
from smplifyx.skeleton import GENDERS
from smplifyx.synthetic.makehuman.adults import People, people_in_tpose, sample_adults
from smplifyx.synthetic.makehuman.skinning import mirror_vertices
from smplifyx.synthetic.makehuman.source import (
    LEFT_EYE_VERTICES,
    RIGHT_EYE_VERTICES,
    TONGUE_VERTICES,
    SourceMesh,
    SourceModel,
    load_source_model,
)
from tools.bodies import part_models
from tools.bodies.compact_writer import write_compact, write_derived, write_vertex_maps
from tools.bodies.mesh_cut import MeshCut, edge_loop, faces_inside_loop, quads_of

_CHANGE_DEVIATION = 0.22
#: Beginnings of the names of the source's changes to one part, made to both sides alike.
HAND_CHANGES = ("hand-fingers-diameter", "hand-fingers-distance")
HEAD_CHANGES = ("chin-", "cheek-", "ear-", "eye-", "eyebrows-", "forehead-", "head-back-", "mouth-", "neck-", "nose-")
#: These make a face lopsided, or move the head on the body.
_LEFT_OUT = ("mouth-trans-out", "nose-trans-out", "nose-septumangle-incr", "neck-trans-")
_N_PEOPLE = 500
_SEEDS = {"neutral": 11, "male": 12, "female": 13}
#: MakeHuman's numbers of an edge of the loop to cut along: about the left wrist, and about the base of the neck.
_WRIST_EDGE = (10205, 10215)
_NECK_EDGE = (1518, 1519)


@dataclass(frozen=True)
class Cuts:
    """The parts of the open body's mesh, and the mirror image [V] of each of its vertices."""

    left_hand: MeshCut
    head: MeshCut
    partners: IntArray

    def vertex_maps(self) -> dict[str, IntArray]:
        """The body's vertex for each vertex of the parts, by the keys of the vertex-map file."""
        left = self.left_hand.vertices
        return {"mano_left": left, "mano_right": self.partners[left], "flame": self.head.vertices}


def cuts_of(mesh: SourceMesh, body: BodyModelData) -> Cuts:
    """Cut the hands off at the wrists, and the head with eyes and tongue at the base of the neck."""
    partners = mirror_vertices(mesh)

    def inside(edge: tuple[int, int], point: str) -> NDArray[np.bool_]:
        first, second = mesh.positions_of(np.array(edge)).tolist()
        vertex = body.extra_point_vertices[body.extra_point_names.index(point)]
        return faces_inside_loop(mesh.faces, edge_loop(quads_of(mesh.faces), (first, second)), int(vertex))

    left = MeshCut.of_faces(mesh.faces, inside(_WRIST_EDGE, "left_middle"))
    chosen = inside(_NECK_EDGE, "nose")
    for part in (TONGUE_VERTICES, LEFT_EYE_VERTICES, RIGHT_EYE_VERTICES):
        chosen |= mesh.in_part(part)[mesh.faces].any(axis=1)
    return Cuts(left, MeshCut.of_faces(mesh.faces, chosen), partners)


def build_hands(body: BodyModelData, cuts: Cuts) -> tuple[BodyModelData, BodyModelData]:
    """MANO's left and right hand from the neutral body."""
    people = people_with_changes(load_source_model(), body.gender, _N_PEOPLE, _SEEDS[body.gender], HAND_CHANGES)
    left = part_models.left_hand(body, cuts.left_hand, people)
    return left, part_models.right_hand(left, body)


def build_head(body: BodyModelData, cuts: Cuts) -> BodyModelData:
    """FLAME's head from the body of one gender."""
    people = people_with_changes(load_source_model(), body.gender, _N_PEOPLE, _SEEDS[body.gender], HEAD_CHANGES)
    return part_models.head(body, cuts.head, people, cuts.partners)


def build_family(directory: str | Path, progress: Callable[[str, str], None] | None = None) -> list[Path]:
    """Build the other models from the three SMPL-X bodies in a folder, and write them to the same folder.

    Args:
        directory: holds ``SMPLX_NEUTRAL.npz`` and so on.
        progress: called with the gender and the name of each step.

    Returns:
        The files written.

    Raises:
        InputError: a body is missing.
        UsageError: the package ``anny`` is not installed.
    """
    directory = Path(directory)
    report = progress or (lambda gender, step: None)
    bodies = {gender: load_body_model_data(directory / f"SMPLX_{gender.upper()}.npz") for gender in GENDERS}
    cuts = cuts_of(load_source_model().mesh, bodies["neutral"])
    written = [write_derived(body, layout, directory) for layout in DERIVED_TYPES for body in bodies.values()]
    report("neutral", "hands")
    for hand in build_hands(bodies["neutral"], cuts):
        written += write_compact([hand], directory)
    heads = []
    for gender, body in bodies.items():
        report(gender, "head")
        heads.append(build_head(body, cuts))
    written += write_compact(heads, directory)
    written.append(write_vertex_maps(cuts.vertex_maps(), directory))
    return written


def people_with_changes(model: SourceModel, gender: str, count: int, seed: int, changes: tuple[str, ...]) -> People:
    """Random adults in T-pose, as for the body's shape space, with further random changes.

    Args:
        model: the source.
        gender: ``neutral``, ``male`` or ``female``.
        count: how many people.
        seed: of the random numbers.
        changes: beginnings of the changes' names, without the side.
    """
    random = np.random.default_rng(seed)
    values: dict[str, FloatArray] = {}
    for label in sorted(model.anny_model.local_change_labels):
        name = label.removeprefix("l-").removeprefix("r-")
        if not name.startswith(changes) or name.startswith(_LEFT_OUT):
            continue
        twin = values.get(f"l-{name}")
        drawn = np.clip(random.normal(0, _CHANGE_DEVIATION, count), -1, 1) if twin is None else twin
        values[label] = drawn
    middle = {"gender": np.full(count, 0.5)}
    added = model.coefficients(middle, values) - model.coefficients(middle, {})
    return people_in_tpose(model, sample_adults(model, gender, count, seed) + added)
