"""Loads body-model files: licensed layouts (``.npz``, ``.pkl``) and the compact format of the open bodies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from smplifyx.body.arrays import open_arrays
from smplifyx.body.compact_reader import FORMAT_KEY, read_compact
from smplifyx.body.data import BodyModelData
from smplifyx.body.plain_reader import Components, read_plain
from smplifyx.body.plain_writer import write_plain
from smplifyx.errors import InputError, reason

__all__ = ["load_body_model_data", "write_plain"]


def load_body_model_data(
    path: str | Path,
    gender: str | None = None,
    *,
    n_betas: int | None = 10,
    n_expressions: int | None = 10,
    kid_template: str | Path | None = None,
) -> BodyModelData:
    """Load a body model of any of the five types from a licensed, exported or compact file.

    The number of joints decides the type. SMPL-H without hand poses takes them from ``MANO_LEFT.pkl`` and
    ``MANO_RIGHT.pkl`` in the same folder or in a sibling folder ``mano``; FLAME takes its landmarks from
    ``flame_static_embedding.pkl`` and ``flame_dynamic_embedding.npy`` in the same folder. No code from a pickle is
    run.

    Args:
        path: the file.
        gender: of the body; by default read from the file, its name or its folder.
        n_betas: number of leading shape components to keep; None for all.
        n_expressions: number of leading expression components to keep; None for all.
        kid_template: ``.npy`` [V, 3] of an infant. Its difference to the mean body is appended as the last shape
            component: 0 is an adult, 1 the infant (AGORA, Patel et al. 2021).

    Raises:
        InputError: a file is missing, damaged, or an array has an unexpected shape.
    """
    with open_arrays(path) as file:
        if FORMAT_KEY in file:
            data = read_compact(file, n_betas, n_expressions)
        else:
            data = read_plain(file, gender, Components(n_betas, n_expressions))
    return data if kid_template is None else _with_kid_component(data, Path(kid_template))


def _with_kid_component(data: BodyModelData, path: Path) -> BodyModelData:
    try:
        template = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(path, "the file does not exist") from None
    except (OSError, ValueError, EOFError) as error:
        raise InputError(path, f"not a readable .npy file ({reason(error)})") from None
    if not isinstance(template, np.ndarray) or template.shape != data.v_template.shape:
        found = getattr(template, "shape", "an archive")
        raise InputError(path, f"found shape {found}, expected {data.v_template.shape}")
    # The template is not centred like the mean body; AGORA moves it to the origin.
    difference = (template - template.mean(axis=0) - data.v_template)[..., None]
    return replace(data, shapedirs=np.concatenate([data.shapedirs, difference.astype(data.shapedirs.dtype)], axis=2))
