"""The lifting network on disk: half-precision arrays under the names of its parameters, and a line about them."""

from __future__ import annotations

import io
import json
import zipfile
from importlib import resources
from pathlib import Path

import numpy as np
import torch

from smplifyx.atomic import atomic_path
from smplifyx.errors import InputError, reason
from smplifyx.priors.lifting import LiftingNetwork

_MAX_WIDTH, _MAX_BLOCKS = 8192, 64


def shipped_lifting() -> Path:
    """The network that ships with the package."""
    return Path(str(resources.files("smplifyx") / "data" / "priors" / "lifting.npz"))


def save_lifting(path: Path, network: LiftingNetwork, source: str) -> None:
    """Write a network and a line about its origin, all or nothing."""
    arrays = {name: np.float16(value.detach().cpu().numpy()) for name, value in network.state_dict().items()}
    with atomic_path(path) as temporary:
        np.savez(temporary, allow_pickle=False, source=json.dumps(source), **arrays)


def load_lifting(path: Path) -> LiftingNetwork:
    """Read a network that :func:`save_lifting` wrote.

    Raises:
        InputError: there is no such file, or it is damaged or something else.
    """
    if not path.is_file():
        raise InputError(path, "no such file; expected a lifting network (.npz)")
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files if name != "source"}
            tensors = {name: torch.as_tensor(np.float32(array)) for name, array in arrays.items()}
    except (OSError, ValueError, TypeError, zipfile.BadZipFile, EOFError) as error:
        raise InputError(path, f"not a lifting network: {reason(error)}") from error
    numbers = {name.split(".")[1] for name in tensors if name.startswith("blocks.")}
    first = tensors.get("first.bias")
    if first is None or first.ndim != 1 or not 0 < len(first) <= _MAX_WIDTH or len(numbers) > _MAX_BLOCKS:
        raise InputError(path, "not a lifting network", "first.bias")
    network = LiftingNetwork(len(first), len(numbers))
    wanted = network.state_dict()
    wrong = [name for name, value in wanted.items() if name not in tensors or tensors[name].shape != value.shape]
    if wrong:
        raise InputError(path, f"is missing or does not belong to a width of {len(first)}", wrong[0])
    network.load_state_dict({name: tensors[name] for name in wanted})
    return network.eval()
