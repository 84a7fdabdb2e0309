"""A small network that distinguishes men and women by their faces: Xception blocks (Chollet 2017), 112 x 112 pixels.

The weights are face-api's (docs/gender.md); ``tools/face_gender_network.py`` converts them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Side of the square picture of a face, pixels.
FACE_SIDE = 112
#: Mean colour (red, green, blue) of the pictures that the network was trained on.
_MEAN = (122.782, 117.001, 104.298)


class _SeparableConvolution(nn.Module):
    """One filter for each channel, then a mix of the channels."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(n_in, n_in, 3, padding=1, groups=n_in, bias=False)
        self.pointwise = nn.Conv2d(n_in, n_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.pointwise(self.depthwise(x))
        return mixed


class _Block(nn.Module):
    """Separable convolutions and a shortcut around them; ``shrink`` halves the picture."""

    def __init__(self, n_in: int, n_out: int, depth: int, shrink: bool, first: bool = False) -> None:
        super().__init__()
        sizes = [n_in] + [n_out] * depth
        self.convolutions = nn.ModuleList(map(_SeparableConvolution, sizes[:-1], sizes[1:]))
        self.shortcut = nn.Conv2d(n_in, n_out, 1, stride=2) if shrink else None
        self._first = first

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for number, convolution in enumerate(self.convolutions):
            y = convolution(y if self._first and number == 0 else y.relu())
        if self.shortcut is None:
            return x + y
        shrunk: Tensor = functional.max_pool2d(_padded(y, -torch.inf), 3, 2) + self.shortcut(x)
        return shrunk


class FaceGenderNetwork(nn.Module):
    """Logits of male and female for pictures of faces."""

    def __init__(self) -> None:
        super().__init__()
        self.entry = nn.Conv2d(3, 32, 3, stride=2)
        self.blocks = nn.Sequential(
            _Block(32, 64, 2, shrink=True, first=True),
            _Block(64, 128, 2, shrink=True),
            _Block(128, 128, 3, shrink=False),
            _Block(128, 128, 3, shrink=False),
            _Block(128, 256, 2, shrink=True),
        )
        self.exit = _SeparableConvolution(256, 512)
        self.gender = nn.Linear(512, 2)

    def forward(self, faces: Tensor) -> Tensor:
        """Logits [B, 2] of male and female.

        Args:
            faces: [B, 3, 112, 112] RGB, 0..255.
        """
        x = (faces - faces.new_tensor(_MEAN)[:, None, None]) / 255.0
        x = self.exit(self.blocks(self.entry(_padded(x, 0.0)).relu())).relu()
        logits: Tensor = self.gender(x.mean((2, 3)))
        return logits


def _padded(x: Tensor, value: float) -> Tensor:
    """Pad a row below and a column to the right, as TensorFlow does for a stride of two and even sizes."""
    return functional.pad(x, (0, 1, 0, 1), value=value)
