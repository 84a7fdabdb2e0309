"""A second core, at work while a fit imports its modules."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from smplifyx.body import compact_layout
from smplifyx.cli.head_start import head_start
from smplifyx.config import Config

_LINKED = """
from smplifyx.cli.head_start import head_start
from smplifyx.config import Config

with head_start(Config()):
    pass
assert "torch" not in sys.modules
assert "libtorch_cpu.so" in open("/proc/self/maps").read()
import torch

assert torch.ones(3).sum() == 3
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks at the libraries of a process as Linux lists them")
def test_torch_is_linked_before_it_is_imported():
    subprocess.run([sys.executable, "-c", "import sys" + _LINKED], check=True)


def test_the_shipped_body_is_read():
    compact_layout._read_shared_file.cache_clear()
    with head_start(Config()):
        pass
    assert compact_layout._read_shared_file.cache_info().currsize == 1


def test_a_missing_body_is_not_its_business(tmp_path, recwarn):
    config = Config()
    with head_start(replace(config, body=replace(config.body, models_dir=tmp_path))):
        pass
    assert not recwarn
