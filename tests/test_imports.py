"""Imports point one way: the installed package needs nothing of the maintainers' tools or of the tests."""

from __future__ import annotations

import ast
import configparser
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "smplifyx"
#: Rooms from the bottom to the top, as CONTRIBUTING.md lists them: one may import those of lower layers only.
LAYERS = (
    ("body", "config", "keypoints", "optim", "packs"),
    ("collision", "detect", "lifting", "priors", "tracking"),
    ("calibration", "fitting", "gender", "synthetic"),
    ("output", "sequence", "training"),
    ("pipeline", "report"),
    ("evaluation", "export"),
    ("clips", "viewer"),
    ("cli",),
)


def imported_modules(path: Path) -> Iterator[str]:
    """Names of all modules that a file imports, late imports included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


def test_package_imports_nothing_of_tools_and_tests() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) > 50
    for path in files:
        outside = [name for name in imported_modules(path) if name.partition(".")[0] in ("tools", "tests", "scripts")]
        assert not outside, f"{path.relative_to(PACKAGE)} imports {outside}"


def test_every_room_has_a_layer() -> None:
    rooms = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
    assert rooms == sorted(room for layer in LAYERS for room in layer)


@pytest.mark.parametrize("number", range(len(LAYERS)))
def test_rooms_import_lower_layers_only(number: int) -> None:
    closed = {room for layer in LAYERS[number:] for room in layer}
    for room in LAYERS[number]:
        for path in sorted((PACKAGE / room).rglob("*.py")):
            imported = {name.split(".")[1] for name in imported_modules(path) if name.startswith("smplifyx.")}
            upwards = (imported & closed) - {room}
            assert not upwards, f"{path.relative_to(PACKAGE)} imports {upwards}"


def test_contributing_lists_the_rooms() -> None:
    text = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d) \| `(\w+)` \| .+ \| (.+) \|$", text, re.MULTILINE)
    listed = [(int(number), room) for number, room, _ in rows]
    assert listed == [(number, room) for number, layer in enumerate(reversed(LAYERS), 1) for room in layer]
    for _, room, files in rows:
        for name in re.findall(r"`(.+?)`", files):
            assert (PACKAGE / room / name).is_file(), f"{room}/{name}"


#: What Windows lacks of the standard library.
_POSIX_MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
_POSIX_NAMES = {
    *("os.fork", "os.geteuid", "os.getloadavg", "os.getpgid", "os.getuid", "os.killpg", "os.mkfifo", "os.nice"),
    *("os.sched_getaffinity", "os.setsid", "os.statvfs", "os.uname", "signal.SIGHUP", "signal.SIGKILL"),
    *("signal.SIGUSR1", "signal.SIGUSR2", "signal.alarm", "signal.pthread_sigmask", "signal.setitimer"),
}


def is_guarded(tree: ast.Module, name: str) -> bool:
    """Whether a file asks for an attribute, ``os.getuid``, before it uses it."""
    module, attribute = name.split(".")
    return any(
        isinstance(node, ast.Call) and ast.unparse(node) == f"hasattr({module}, {attribute!r})"
        for node in ast.walk(tree)
    )


@pytest.mark.parametrize("folder", ["smplifyx", "tools"])
def test_nothing_needs_posix(folder: str) -> None:
    """Windows has no such modules and names; where it matters, other ways are taken."""
    for path in sorted((PACKAGE.parent / folder).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        modules = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
        assert not modules & _POSIX_MODULES, f"{path} needs {modules & _POSIX_MODULES}"
        names = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & _POSIX_NAMES
        unguarded = {name for name in names if not is_guarded(tree, name)}
        assert not unguarded, f"{path} needs {unguarded}"


@pytest.mark.parametrize("package", ["smplifyx", "smplifyx.body", "smplifyx.gender", "smplifyx.pipeline"])
def test_names_that_are_imported_late_exist(package: str) -> None:
    module = import_module(package)
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="unheard_of"):
        _ = module.unheard_of


def test_the_wheel_has_the_package_alone() -> None:
    setuptools = pytest.importorskip("setuptools", reason="builds the wheel")
    settings = configparser.ConfigParser()
    settings.read(PACKAGE.parent / "setup.cfg", encoding="utf-8")
    include = settings["options.packages.find"]["include"].split()
    found = setuptools.find_packages(str(PACKAGE.parent), include=include)
    assert "smplifyx.body" in found and {name.partition(".")[0] for name in found} == {"smplifyx"}
