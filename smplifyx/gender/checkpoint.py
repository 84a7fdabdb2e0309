"""The classifier's file: safetensors with the weights in half precision and the settings as metadata."""

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
from smplifyx.gender.network import FULL_WIDTH, FeatureDistribution, GenderNetwork

_KEY = "smplifyx_gender"
_NETWORK, _FEATURES = "network.", "features."
_MAX_WIDTH, _MAX_SIDE = 512, 1024


@dataclass(frozen=True)
class GenderSettings:
    """Settings stored with the weights.

    Attributes:
        width: of the network.
        side: of the network's square input, pixels.
        temperature: divisor of the logits, which calibrates the probabilities.
        threshold: lowest probability for a verdict other than neutral.
        distance_limit: largest feature distance for a verdict; None: not checked.
        source: a line about the weights' origin.
        out_of_distribution_limit: largest probability of being out of distribution for a verdict; None: the network
            has no such output.
    """

    width: int = FULL_WIDTH
    side: int = 224
    temperature: float = 1.0
    threshold: float = 0.9
    distance_limit: float | None = None
    source: str = ""
    out_of_distribution_limit: float | None = None


@dataclass(frozen=True)
class GenderCheckpoint:
    """A trained classifier; ``features`` is None if no feature distance is checked."""

    network: GenderNetwork
    settings: GenderSettings
    features: FeatureDistribution | None = None


def shipped_checkpoint() -> Path:
    """Return the path of the classifier that ships with the package."""
    return Path(str(resources.files("smplifyx") / "data" / "gender" / "resnet18_slim.safetensors"))


def save_checkpoint(path: Path, checkpoint: GenderCheckpoint) -> None:
    """Write a classifier, atomically."""
    tensors = {f"{_NETWORK}{name}": value for name, value in checkpoint.network.state_dict().items()}
    tensors = {name: _stored(value) for name, value in tensors.items() if not name.endswith("num_batches_tracked")}
    if checkpoint.features is not None:
        tensors[f"{_FEATURES}means"] = checkpoint.features.means.contiguous()
        tensors[f"{_FEATURES}whitening"] = checkpoint.features.whitening.contiguous()
    # safetensors' own writer makes files that other users cannot read.
    write_bytes(path, save(tensors, {_KEY: json.dumps(asdict(checkpoint.settings))}))


def _stored(value: Tensor) -> Tensor:
    half = value.detach().cpu().half().contiguous()
    # The variance of a batch normalisation may exceed half precision.
    return half if half.isfinite().all() else value.detach().cpu().contiguous()


def load_checkpoint(path: Path) -> GenderCheckpoint:
    """Read a classifier written by :func:`save_checkpoint`.

    Raises:
        InputError: there is no such file, or it is damaged or holds something else.
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
    network = GenderNetwork(settings.width, settings.out_of_distribution_limit is not None)
    _load_network(path, network, tensors)
    return GenderCheckpoint(network.eval(), settings, _features(path, tensors, network.n_features))


def _settings(path: Path, text: str) -> GenderSettings:
    expected = {field.name for field in fields(GenderSettings)}
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if not isinstance(values, dict) or {*values} != expected:
        raise InputError(path, f"expected exactly {', '.join(sorted(expected))}", f"metadata {_KEY}")

    def wrong(name: str, wanted: str) -> InputError:
        return InputError(path, f"is {values[name]!r}; expected {wanted}", f"metadata {_KEY}.{name}")

    for name, limit in (("width", _MAX_WIDTH), ("side", _MAX_SIDE)):
        if type(values[name]) is not int or not 1 <= values[name] <= limit:
            raise wrong(name, f"a whole number from 1 to {limit}")
    for name in ("temperature", "threshold", "distance_limit", "out_of_distribution_limit"):
        if not (_is_positive(values[name]) or (name.endswith("limit") and values[name] is None)):
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


def _features(path: Path, tensors: dict[str, Tensor], n_features: int) -> FeatureDistribution | None:
    means, whitening = tensors.get(f"{_FEATURES}means"), tensors.get(f"{_FEATURES}whitening")
    if means is None and whitening is None:
        return None
    if means is None or whitening is None:
        raise InputError(path, "expected both or neither", f"{_FEATURES}means, {_FEATURES}whitening")
    if means.shape != (2, n_features) or whitening.shape != (n_features, n_features):
        raise InputError(path, f"do not fit {n_features} features", f"{_FEATURES}means, {_FEATURES}whitening")
    return FeatureDistribution(means, whitening)


def load_backbone(path: Path, network: GenderNetwork) -> None:
    """Copy the weights of a ResNet-18 with torchvision's names into ``network``; missing outputs are not changed.

    Args:
        path: ``.safetensors``, or a PyTorch file (.pth, .pt) of plain tensors; our own checkpoints work as well.
        network: of the same width.

    Raises:
        InputError: the file is unusable or holds another network.
    """
    state = _read_state(path)
    own = network.state_dict()
    outputs = [name for name in own if name.startswith(("fc.", "out_of_distribution."))]
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
