"""The banded inverse equals that of the whole matrix."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from smplifyx.sequence import band
from smplifyx.sequence.band import BorderedBand


@pytest.mark.parametrize(("n_frames", "n_shared"), [(6, 2), (2, 3), (1, 2), (5, 0)])
def test_product_with_the_inverse(n_frames: int, n_shared: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(band, "_DAMPINGS", (0.0,))
    monkeypatch.setattr(band, "_LEAST", 0.0)
    size, rng = 3, np.random.default_rng(0)
    total = n_shared + n_frames * size
    root = rng.normal(size=(total, total))
    matrix = root @ root.T + 50.0 * np.eye(total)
    frames = [slice(n_shared + k * size, n_shared + (k + 1) * size) for k in range(n_frames)]
    for i in range(n_frames):
        for j in range(n_frames):
            if abs(i - j) > 2:  # no more than three frames are coupled
                matrix[frames[i], frames[j]] = 0.0
    diagonals = [
        np.array([matrix[frames[k + apart], frames[k]] for k in range(n_frames - apart)]).reshape(-1, size, size)
        for apart in range(3)
    ]
    border = np.array([matrix[one, :n_shared] for one in frames])
    inverse = BorderedBand(matrix[:n_shared, :n_shared].copy(), border, diagonals)
    vector = rng.normal(size=total)
    product = inverse(torch.from_numpy(vector)).numpy()
    np.testing.assert_allclose(product, np.linalg.solve(matrix, vector), rtol=1e-9, atol=1e-12)


def test_a_slightly_indefinite_matrix_is_damped_more() -> None:
    diagonal = np.array([[[1.0, 1.001], [1.001, 1.0]]] * 3)
    blocks = [diagonal, np.zeros((2, 2, 2)), np.zeros((1, 2, 2))]
    inverse = BorderedBand(np.zeros((0, 0)), np.zeros((3, 2, 0)), blocks)
    vector = torch.ones(6, dtype=torch.float64)
    assert float(inverse(vector) @ vector) > 0.0 and torch.isfinite(inverse(vector)).all()
