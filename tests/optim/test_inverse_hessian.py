import pytest
import torch

from smplifyx.optim.inverse_hessian import InverseHessian


@pytest.mark.parametrize("initial", ["identity", "diagonal", "dense"])
def test_direction_equals_the_dense_bfgs_update(initial):
    dimension, size = 9, 4
    generator = torch.Generator().manual_seed(9)
    root = torch.randn(3, dimension, dimension, dtype=torch.float64, generator=generator)
    hessian = root @ root.mT + torch.eye(dimension, dtype=torch.float64)
    scale = torch.rand(3, dimension, dtype=torch.float64, generator=generator) + 0.5
    other = torch.randn(3, dimension, dimension, dtype=torch.float64, generator=generator)
    dense = other @ other.mT + torch.eye(dimension, dtype=torch.float64)
    identity = torch.eye(dimension, dtype=torch.float64)
    base = {"identity": identity.expand(3, -1, -1), "diagonal": torch.diag_embed(scale), "dense": dense}[initial]
    factors = torch.linalg.cholesky(torch.linalg.inv(dense), upper=True)
    given = {"identity": None, "diagonal": scale, "dense": factors}[initial]
    memory = InverseHessian(torch.zeros(3, dimension, dtype=torch.float64), size, given)
    pairs = [[], [], []]
    for turn in range(11):
        step = torch.randn(3, dimension, dtype=torch.float64, generator=generator)
        change = (hessian @ step[..., None])[..., 0]
        mask = torch.tensor([True, turn % 3 != 1, turn != 10])
        if turn == 5:  # negative curvature is to be left out
            change[0] = -change[0]
        memory.update(mask, step, change, memory.initial_product(change))
        for row in mask.nonzero()[:, 0].tolist():
            if not (turn == 5 and row == 0):
                pairs[row].append((step[row], change[row]))
        if turn == 7:
            memory.reset(torch.tensor([False, False, True]))
            pairs[2].clear()
    gradient = torch.randn(3, dimension, dtype=torch.float64, generator=generator)
    direction = memory.descent_direction(gradient, memory.initial_product(gradient))
    for row in range(3):
        step, change = pairs[row][-1]
        inverse = base[row] * (step @ change) / (change @ base[row] @ change)
        for s, y in pairs[row][-size:]:
            rho = 1 / (s @ y)
            left = identity - rho * torch.outer(s, y)
            inverse = left @ inverse @ left.T + rho * torch.outer(s, s)
        assert torch.allclose(direction[row], -inverse @ gradient[row], rtol=1e-9, atol=1e-9)
