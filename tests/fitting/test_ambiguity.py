"""What the starts of a fit say about each other."""

from __future__ import annotations

import torch

from smplifyx.fitting.hypotheses import Ambiguity, ambiguity


def _joints(*offsets: float) -> torch.Tensor:
    """Joints [R, 55, 3] in which the arms of each row are moved by so many metres in depth."""
    joints = torch.randn(1, 55, 3, generator=torch.manual_seed(0)).repeat(len(offsets), 1, 1)
    joints[:, 16:22, 2] += torch.tensor(offsets)[:, None]
    return joints


def test_equal_starts_and_single_starts_leave_no_doubt():
    found = ambiguity(_joints(0, 0, 0), torch.tensor([5.0, 5.0, 5.0]), torch.tensor([0, 0, 1]), torch.tensor([0, 2]))
    torch.testing.assert_close(found.spread, torch.zeros(2))
    torch.testing.assert_close(found.gap, torch.ones(2))


def test_a_different_pose_of_the_same_loss_is_doubt_and_one_of_a_high_loss_is_none():
    loss = torch.tensor([10.0, 10.0, 10.0, 100.0])
    found = ambiguity(_joints(0, 0.5, 0, 0.5), loss, torch.tensor([0, 0, 1, 1]), torch.tensor([0, 2]))
    assert found.gap.tolist() == [0.0, 1.0]
    assert found.spread[0] > 0.05
    assert found.spread[1] < 1e-6


def test_a_start_that_failed_does_not_count_and_moving_as_a_whole_is_no_difference():
    joints = _joints(0, 0.5, 0)
    joints[2] += 3.0
    loss = torch.tensor([10.0, torch.nan, 10.0])
    found = ambiguity(joints, loss, torch.tensor([0, 0, 0]), torch.tensor([0]))
    torch.testing.assert_close(found.spread, torch.zeros(1), atol=1e-6, rtol=0)
    assert found.gap.tolist() == [1.0]


def test_the_worse_of_two_counts():
    one = Ambiguity(torch.tensor([0.1, 0.0]), torch.tensor([0.2, 1.0]))
    other = Ambiguity.none(2, one.spread)
    assert one.worse(other).spread.tolist() == one.spread.tolist()
    assert one.worse(other).gap.tolist() == one.gap.tolist()
