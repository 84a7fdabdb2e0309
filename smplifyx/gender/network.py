"""The classifier's ResNet-18 (He et al. 2016) at any width, and its file.

torchvision has this network, but its plain installation replaces a CPU-only PyTorch by one with CUDA. Parameters have
torchvision's names, so that its weights, and weights fine-tuned from them, load. The file is safetensors with the
weights in half precision and the settings as metadata.
"""

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
from torch import Tensor, nn
from torch.nn import functional

from smplifyx.errors import InputError, reason
from smplifyx.files import write_bytes
from smplifyx.gender.decision import CLASSES

#: Channels of the published network's first layer.
FULL_WIDTH = 64
_BLOCKS_PER_LAYER = 2
#: Mean and spread of red, green and blue that torchvision's weights expect, for values from 0 to 1.
_MEAN, _SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
#: Weight of a spherical covariance in the estimate, because features are many and correlated.
_SHRINKAGE = 0.01
_KEY = "smplifyx_gender"
_NETWORK, _FEATURES = "network.", "features."
_MAX_WIDTH, _MAX_SIDE = 512, 1024


class _Block(nn.Module):
    """Two 3 x 3 convolutions and a shortcut around them."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)
        self.downsample = (
            nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))
            if stride != 1 or n_in != n_out
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Features [B, C, H, W] to [B, C', H/stride, W/stride]."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        return functional.relu(self.bn2(self.conv2(x)) + shortcut, inplace=True)


class GenderNetwork(nn.Module):
    """A ResNet-18 with two outputs, and optionally a third for out-of-distribution pictures.

    Args:
        width: channels of the first layer; 64 is the published network.
        detects_out_of_distribution: whether it has the third output.
    """

    def __init__(self, width: int = FULL_WIDTH, detects_out_of_distribution: bool = False) -> None:
        super().__init__()
        self.width = width
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        n_in = width
        for number in range(4):
            n_out = width * 2**number
            blocks = [_Block(n_in, n_out, 1 if number == 0 else 2)]
            blocks += [_Block(n_out, n_out, 1) for _ in range(_BLOCKS_PER_LAYER - 1)]
            setattr(self, f"layer{number + 1}", nn.Sequential(*blocks))
            n_in = n_out
        self.fc = nn.Linear(n_in, len(CLASSES))
        self.out_of_distribution = nn.Linear(self.n_features, 1) if detects_out_of_distribution else None
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @property
    def n_features(self) -> int:
        """Length of the features, 15 times the width."""
        return 15 * self.width

    def features(self, x: Tensor) -> Tensor:
        """Mean activations [B, F] of all four layers, first to last, for normalised pictures [B, 3, S, S]."""
        x = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        x = functional.max_pool2d(x, 3, 2, 1)
        means = []
        for number in range(4):
            x = getattr(self, f"layer{number + 1}")(x)
            means.append(x.mean((2, 3)))
        return torch.cat(means, 1)

    def logits(self, features: Tensor) -> Tensor:
        """Logits [B, 2], in the order of :data:`CLASSES`, from the last layer's part of features [B, F]."""
        return self.fc(features[:, -self.fc.in_features :])

    def out_of_distribution_logits(self, features: Tensor) -> Tensor:
        """Logits [B] of being out of distribution, from the features [B, F] of all layers.

        Raises:
            ValueError: the network has no such output.
        """
        if self.out_of_distribution is None:
            raise ValueError("this network has no out-of-distribution output")
        return self.out_of_distribution(features).squeeze(1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, 2] for normalised pictures [B, 3, S, S]."""
        return self.logits(self.features(x))


def normalized(crops: Tensor) -> Tensor:
    """Network input float32 [B, 3, S, S] from crops uint8 [B, S, S, 3] in OpenCV's order, blue first.

    It stays channels-last in memory, which is faster for convolutions on a CPU.
    """
    rgb = crops.flip(-1).permute(0, 3, 1, 2).float() / 255.0
    mean, sd = (torch.tensor(values, device=crops.device)[:, None, None] for values in (_MEAN, _SD))
    return ((rgb - mean) / sd).contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class FeatureDistribution:
    """Distribution of the features of the training pictures: a Gaussian per class, with one covariance.

    Attributes:
        means: [2, F] of the classes.
        whitening: [F, F]; maps features to unit covariance.
    """

    means: Tensor
    whitening: Tensor

    @classmethod
    def of(cls, features: Tensor, labels: Tensor) -> FeatureDistribution:
        """Estimate from features [N, F] of training pictures and their class numbers [N]."""
        features = features.double()
        means = torch.stack([features[labels == label].mean(0) for label in (0, 1)])
        centred = features - means[labels]
        covariance = centred.T @ centred / len(features)
        n = covariance.shape[0]
        spherical = covariance.diagonal().mean() * torch.eye(n, dtype=covariance.dtype)
        values, vectors = torch.linalg.eigh((1.0 - _SHRINKAGE) * covariance + _SHRINKAGE * spherical)
        return cls(means.float(), (vectors / values.sqrt()).float())

    def distance(self, features: Tensor) -> Tensor:
        """Mahalanobis distances [B] of features [B, F] to the nearer class; about 1 for training pictures."""
        offsets = (features[:, None] - self.means) @ self.whitening
        return offsets.norm(dim=-1).amin(1) / self.means.shape[1] ** 0.5


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
