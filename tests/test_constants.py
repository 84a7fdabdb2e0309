"""Constants that are kept as tensors."""

from __future__ import annotations

import torch

from smplifyx.constants import constant


def test_a_constant_first_asked_for_in_inference_mode_can_enter_a_gradient() -> None:
    x = torch.ones(3, requires_grad=True)
    with torch.inference_mode():
        constant((0.25, 0.5, 0.125), x)
    (x * constant((0.25, 0.5, 0.125), x)).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [0.25, 0.5, 0.125]
