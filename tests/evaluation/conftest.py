"""Fixtures of the tests of evaluations."""

from __future__ import annotations

import pytest

from smplifyx.config import Config, Override, load_config


@pytest.fixture(scope="session")
def config() -> Config:
    """Settings of fits that end at once."""
    pairs = [("optimizer.max_iterations", "2"), ("priors.body_pose", "l2"), ("collision.enabled", "false")]
    return load_config(None, [Override(*pair) for pair in pairs])
