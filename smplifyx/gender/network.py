"""ResNet-18 (He et al. 2016) for two classes, at any width.

torchvision has this network, but its plain installation replaces a CPU-only PyTorch by one with CUDA. Parameters have
torchvision's names, so that its weights, and weights fine-tuned from them, load.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

#: The two outputs, in order.
CLASSES: tuple[str, ...] = ("male", "female")
#: Channels of the published network's first layer.
FULL_WIDTH = 64
_BLOCKS_PER_LAYER = 2
#: Mean and spread of red, green and blue that torchvision's weights expect, for values from 0 to 1.
_MEAN, _SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


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


#: Weight of a spherical covariance in the estimate, because features are many and correlated.
_SHRINKAGE = 0.01


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
