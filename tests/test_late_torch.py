"""Parts of torch that are imported when something asks for them; each case is a process of its own."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

from smplifyx.late_torch import _TRIED

_PUT_OFF = """
import importlib.util, sys
from smplifyx.late_torch import put_off_parts_of_torch

put_off_parts_of_torch()
assert importlib.util.find_spec("torch") is not None  # as a fit does that links it ahead
import torch

def is_imported(part, name):
    return name in vars(sys.modules[part])
"""
#: Kernels of all operations, and the parts as modules.
_PRINT_ALL = """
for name in sorted(torch._C._dispatch_get_all_op_names()):
    print(name, torch._C._dispatch_has_kernel(name) and torch._C._dispatch_dump(name))
for part in (torch, torch._meta_registrations, torch._decomp, torch._prims, torch.export, torch.distributions):
    own_loader = part.__loader__ is part.__spec__.loader
    print(part.__spec__.name, part.__file__, own_loader, getattr(part, "__path__", None), len(dir(part)))
"""
_was_tried = pytest.mark.skipif(not version("torch").startswith(_TRIED), reason="another version of torch")


def _output(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@_was_tried
def test_a_fit_needs_none_of_them() -> None:
    code = """
import smplifyx.cli.fit_run, smplifyx.fitting.fitter, smplifyx.lifting, smplifyx.report

weight = torch.ones(3, 3, requires_grad=True)
torch.nn.functional.softplus(weight @ torch.ones(3)).sum().backward()
assert not is_imported("torch._meta_registrations", "activate_meta")
assert not is_imported("torch.export", "export")
assert not is_imported("torch.distributions", "Normal")
"""
    _output(_PUT_OFF + code)


@_was_tried
def test_each_works_when_it_is_asked_for() -> None:
    code = """
assert torch.distributions.Normal(0.0, 1.0).log_prob(torch.tensor(0.0)) < 0
import torch.distributions.gamma
from torch.distributions import *
from torch.distributions import kl
assert Gamma is torch.distributions.gamma.Gamma

class Twice(torch.nn.Module):
    def forward(self, x):
        return 2 * x

program = torch.export.export(Twice(), (torch.ones(3),))
assert program.module()(torch.ones(3)).tolist() == [2.0] * 3
"""
    _output(_PUT_OFF + code)


@_was_tried
def test_what_is_imported_later_finds_all_of_torch() -> None:
    code = """
import torch._decomp.decompositions

assert torch._decomp.decompositions is sys.modules["torch._decomp.decompositions"]
assert is_imported("torch._meta_registrations", "activate_meta") and is_imported("torch.export", "export")
assert torch.linalg.eigvals(torch.ones(3, 3, device="meta")).shape == (3,)
"""
    _output(_PUT_OFF + code)


@_was_tried
def test_afterwards_torch_is_as_it_is_without() -> None:
    plain = _output("import torch\n" + _PRINT_ALL)
    assert _output(_PUT_OFF + "torch.distributions.Normal\n" + _PRINT_ALL) == plain


def test_another_version_of_torch_is_imported_as_it_is() -> None:
    code = "import smplifyx.late_torch\nsmplifyx.late_torch._TRIED = ('0.',)" + _PUT_OFF
    _output(code + "assert is_imported('torch.distributions', 'Normal') and is_imported('torch.export', 'export')")


def test_other_programs_get_torch_as_it_is() -> None:
    code = "import sys, smplifyx.cli.main, smplifyx.cli.fit_run\nimport torch\n"
    _output(code + "assert 'Normal' in vars(torch.distributions) and 'export' in vars(torch.export)")
