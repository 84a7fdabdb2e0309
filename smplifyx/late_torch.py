"""Parts of torch that the commands do not need, imported when something asks for them."""

from __future__ import annotations

import inspect
import re
import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

#: Parts that ``import torch`` imports without using them, in its order. Those of the last line belong together: they
#: teach operations to work on tensors without data, as compilers have them, and take a third of the whole import.
_PARTS = (
    *("torchgen.model", "torch.distributions", "torch.quantization"),
    *(f"torch.nn.{name}" for name in ("intrinsic", "qat", "quantizable", "quantized")),
    *("torch.export", "torch._meta_registrations", "torch._decomp", "torch._prims", "torch._refs"),
)
#: Modules that have the place of a call looked up while they are imported. :mod:`inspect` would resolve the files of
#: all modules for that, unless it knows the one.
_LOOKED_UP = ("torch.utils._debug_mode._mode", "torch._native.registry")
#: Beginnings of versions of torch with which this was tried; others are imported as they are.
_TRIED = ("2.13.",)


def put_off_parts_of_torch() -> None:
    """Import some parts of torch at the first access to them, or before any module of torch that is imported later.

    It changes ``import torch`` for the whole process and is therefore for the program of the command line alone.
    It has no effect once torch is imported, nor with another version of torch than those that were tried.
    """
    if "torch" not in sys.modules:
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Finds empty modules in place of the parts; asked for an attribute, they import all parts and pass it on."""

    def __init__(self) -> None:
        self._to_find = {"torch", *_PARTS}
        self._put_off: set[str] = set()
        self._lock = threading.Lock()
        self._has_torch = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find torch, the parts, and modules to import after torch; None for all else, left to the usual finders."""
        is_further = self._has_torch and bool(self._put_off) and fullname.startswith("torch.")
        if not is_further and fullname not in self._to_find:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            if fullname == "torch":  # another finder has it
                self._to_find.clear()
            return None
        if fullname == "torch":
            if not _was_tried(spec):
                self._to_find.clear()
                return None
            _tell_inspect(spec)
            spec.loader = _TorchLoader(spec.loader, self)
        else:
            spec.loader = _FurtherLoader(spec.loader, self) if is_further else _LateLoader(self)
        return spec

    def put_off(self, module: ModuleType) -> None:
        """Import a part later, and pass on its attributes."""

        def get(name: str) -> Any:
            self.import_parts()
            return getattr(import_module(module.__name__), name)

        vars(module)["__getattr__"] = get
        self._put_off.add(module.__name__)
        self._to_find.discard(module.__name__)

    def end_of_torch(self) -> None:
        """Take note that torch itself is imported; parts that only other parts import have a place there too."""
        for name in _PARTS:
            import_module(name)
        self._to_find.clear()
        self._has_torch = True

    def import_parts(self) -> None:
        """Import the parts, as if nothing had been put off."""
        with self._lock:
            names = [name for name in _PARTS if name in self._put_off]
            self._put_off.clear()
            for name in names:
                del sys.modules[name]
        for name in names:
            import_module(name)


class _LateLoader(Loader):
    """Makes an empty module in place of a part."""

    def __init__(self, finder: _Finder) -> None:
        self._finder = finder

    def exec_module(self, module: ModuleType) -> None:
        """Put the part off."""
        self._finder.put_off(module)


class _TorchLoader(Loader):
    """Imports torch and tells when it is done."""

    def __init__(self, loader: Loader, finder: _Finder) -> None:
        self._loader, self._finder = loader, finder

    def exec_module(self, module: ModuleType) -> None:
        """Import it as its own loader does."""
        _import_with(self._loader, module)
        self._finder.end_of_torch()


class _FurtherLoader(Loader):
    """Imports the parts, then another module of torch."""

    def __init__(self, loader: Loader, finder: _Finder) -> None:
        self._loader, self._finder = loader, finder
        self._own_spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """The module as its own loader makes it, or as one of the parts has imported it."""
        self._finder.import_parts()
        imported = sys.modules.get(spec.name)
        if imported is None:
            return self._loader.create_module(spec)
        self._own_spec = imported.__spec__
        return imported

    def exec_module(self, module: ModuleType) -> None:
        """Import it as its own loader does, unless one of the parts has done so."""
        if self._own_spec is None:
            _import_with(self._loader, module)
        else:
            module.__spec__ = self._own_spec


def _import_with(loader: Loader, module: ModuleType) -> None:
    """Run a module with its own loader, which it keeps."""
    assert module.__spec__ is not None
    module.__loader__ = module.__spec__.loader = loader
    loader.exec_module(module)


def _tell_inspect(spec: ModuleSpec) -> None:
    """Tell :mod:`inspect` the files of the modules that are looked up."""
    folder = Path(spec.origin or "").parent
    for name in _LOOKED_UP:
        inspect.modulesbyfile[f"{folder.joinpath(*name.split('.')[1:])}.py"] = name


def _was_tried(spec: ModuleSpec) -> bool:
    """Whether this was tried with the version of torch that was found."""
    try:
        text = (Path(spec.origin or "").parent / "version.py").read_text(encoding="utf-8")
    except OSError:
        return False
    version = re.search(r"^__version__ = '([^']*)'", text, re.MULTILINE)
    return version is not None and version[1].startswith(_TRIED)
