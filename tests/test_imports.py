"""Imports point one way: the installed package needs nothing of the maintainers' tools or of the tests."""

from __future__ import annotations

import ast
import configparser
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "smplifyx"
#: Rooms that a room may not import, directly.
FORBIDDEN = {"body": ("synthetic", "fitting", "training", "evaluation", "output", "cli", "config", "keypoints")}


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


@pytest.mark.parametrize(("room", "above"), FORBIDDEN.items())
def test_room_imports_no_room_above_it(room: str, above: tuple[str, ...]) -> None:
    for path in sorted((PACKAGE / room).rglob("*.py")):
        upwards = [
            name for name in imported_modules(path) if name.startswith(tuple(f"smplifyx.{one}" for one in above))
        ]
        assert not upwards, f"{path.relative_to(PACKAGE)} imports {upwards}"


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
