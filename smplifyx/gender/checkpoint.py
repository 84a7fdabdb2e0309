"""The classifier on disk: a safetensors file with the weights in half precision and the configuration as metadata."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from smplifyx.errors import InputError, reason
from smplifyx.files import write_bytes
from smplifyx.gender.network import FULL_WIDTH, GenderNetwork, KnownFeatures

_KEY = "smplifyx_gender"
_NETWORK, _KNOWN = "network.", "known."
_MAX_WIDTH, _MAX_SIDE = 512, 1024


@dataclass(frozen=True)
class GenderSettings:
    """What belongs to the weights.

    Attributes:
        width: of the network.
        side: of the square picture that it sees, pixels.
        temperature: logits are divided by it, so that probabilities tell the share of right answers.
        threshold: a probability must reach it for a verdict other than neutral.
        foreign_limit: pictures of more foreignness get no verdict; None without such a check.
        source: a line about the weights' origin.
        foreign_probability_limit: nor do pictures get one that are foreign with more than this probability, as far
            as the network's own output tells; None without that output.
    """

    width: int = FULL_WIDTH
    side: int = 224
    temperature: float = 1.0
    threshold: float = 0.9
    foreign_limit: float | None = None
    source: str = ""
    foreign_probability_limit: float | None = None


@dataclass(frozen=True)
class GenderCheckpoint:
    """A trained classifier; ``known`` is None where foreign pictures are not recognised."""

    network: GenderNetwork
    settings: GenderSettings
    known: KnownFeatures | None = None


def shipped_checkpoint() -> Path:
    """The classifier that ships with the package."""
    return Path(str(resources.files("smplifyx") / "data" / "gender" / "resnet18_slim.safetensors"))


def save_checkpoint(path: Path, checkpoint: GenderCheckpoint) -> None:
    """Write a classifier, all or nothing."""
    tensors = {f"{_NETWORK}{name}": value for name, value in checkpoint.network.state_dict().items()}
    tensors = {name: _stored(value) for name, value in tensors.items() if not name.endswith("num_batches_tracked")}
    if checkpoint.known is not None:
        tensors[f"{_KNOWN}means"] = checkpoint.known.means.contiguous()
        tensors[f"{_KNOWN}whitening"] = checkpoint.known.whitening.contiguous()
    # Written by ourselves, as safetensors leaves files that nobody else may read.
    write_bytes(path, save(tensors, {_KEY: json.dumps(asdict(checkpoint.settings))}))


def _stored(value: Tensor) -> Tensor:
    half = value.detach().cpu().half().contiguous()
    # A batch normalisation's variance may be beyond what half precision can hold.
    return half if half.isfinite().all() else value.detach().cpu().contiguous()


def load_checkpoint(path: Path) -> GenderCheckpoint:
    """Read a classifier that :func:`save_checkpoint` wrote.

    Raises:
        InputError: there is no such file, or it is damaged or something else.
    """
    if not path.is_file():
        raise InputError(path, "no such file; expected a gender classifier (.safetensors)")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(path, f"is damaged or no safetensors file: {reason(error)}") from error
    if _KEY not in metadata:
        raise InputError(path, "is missing; expected a file from `smplifyx train gender`", f"metadata {_KEY}")
    settings = _settings(path, metadata[_KEY])
    network = GenderNetwork(settings.width, settings.foreign_probability_limit is not None)
    _load_network(path, network, tensors)
    return GenderCheckpoint(network.eval(), settings, _known(path, tensors, network.n_features))


def _settings(path: Path, text: str) -> GenderSettings:
    expected = {field.name for field in fields(GenderSettings)}
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    # Files from before there was this limit have all the others.
    if not isinstance(values, dict) or {*values, "foreign_probability_limit"} != expected:
        raise InputError(path, f"expected exactly {', '.join(sorted(expected))}", f"metadata {_KEY}")
    values = {"foreign_probability_limit": None} | values

    def wrong(name: str, wanted: str) -> InputError:
        return InputError(path, f"is {values[name]!r}; expected {wanted}", f"metadata {_KEY}.{name}")

    for name, limit in (("width", _MAX_WIDTH), ("side", _MAX_SIDE)):
        if type(values[name]) is not int or not 1 <= values[name] <= limit:
            raise wrong(name, f"a whole number from 1 to {limit}")
    for name in ("temperature", "threshold", "foreign_limit", "foreign_probability_limit"):
        if not (_is_positive(values[name]) or (name.startswith("foreign") and values[name] is None)):
            raise wrong(name, "a number above 0")
    if not isinstance(values["source"], str):
        raise wrong("source", "text")
    return GenderSettings(**values)


def _is_positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value > 0


def _load_network(path: Path, network: GenderNetwork, tensors: dict[str, Tensor]) -> None:
    state = {name.removeprefix(_NETWORK): value for name, value in tensors.items() if name.startswith(_NETWORK)}
    wanted = {
        name: value.shape for name, value in network.state_dict().items() if not name.endswith("num_batches_tracked")
    }
    wrong = [name for name, shape in wanted.items() if name not in state or state[name].shape != shape]
    if wrong:
        problem = f"is missing or does not belong to a width of {network.width}"
        raise InputError(path, problem, f"{_NETWORK}{wrong[0]}")
    network.load_state_dict({name: state[name] for name in wanted}, strict=False)


def _known(path: Path, tensors: dict[str, Tensor], n_features: int) -> KnownFeatures | None:
    means, whitening = tensors.get(f"{_KNOWN}means"), tensors.get(f"{_KNOWN}whitening")
    if means is None and whitening is None:
        return None
    if means is None or whitening is None:
        raise InputError(path, "expected both or neither", f"{_KNOWN}means, {_KNOWN}whitening")
    if means.shape != (2, n_features) or whitening.shape != (n_features, n_features):
        raise InputError(path, f"do not fit {n_features} features", f"{_KNOWN}means, {_KNOWN}whitening")
    return KnownFeatures(means, whitening)


def load_backbone(path: Path, network: GenderNetwork) -> None:
    """Copy the weights of a ResNet-18 with torchvision's names into ``network``; outputs that it lacks stay.

    Args:
        path: ``.safetensors``, or a PyTorch file (.pth, .pt) of plain tensors; one of ours serves too.
        network: of the same width.

    Raises:
        InputError: the file is unusable or holds another network.
    """
    state = _read_state(path)
    own = network.state_dict()
    outputs = [name for name in own if name.startswith(("fc.", "foreign."))]
    for name, value in own.items():
        if name.endswith("num_batches_tracked") or name in outputs:
            continue
        if name not in state or state[name].shape != value.shape:
            raise InputError(path, f"expected a ResNet-18 of width {network.width} with torchvision's names", name)
        own[name] = state[name].float()
    fitting = [name for name in outputs if name in state and state[name].shape == own[name].shape]
    own |= {name: state[name].float() for name in fitting}
    network.load_state_dict(own)


def _read_state(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise InputError(path, "no such file; expected weights of a ResNet-18 (.safetensors, .pth)")
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
            state = state.get("state_dict", state)
        tensors = {str(name): value for name, value in state.items() if isinstance(value, Tensor)}
    except Exception as error:  # a damaged file can fail in any way
        raise InputError(path, f"cannot be read as weights: {reason(error)}") from error
    return {name.removeprefix("module.").removeprefix(_NETWORK): value for name, value in tensors.items()}
