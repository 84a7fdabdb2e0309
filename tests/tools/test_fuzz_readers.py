"""The fuzzer starts from files that are read, and ends at errors that are not the package's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.fuzz_readers import TARGETS, check, parse_arguments


@pytest.mark.parametrize("name", TARGETS)
def test_all_examples_are_read(tmp_path: Path, name: str) -> None:
    target = TARGETS[name]
    read = target.make()
    for example in target.examples:
        assert check(read, tmp_path / target.name, example)


def test_errors_of_the_package_are_expected_and_others_are_not(tmp_path: Path) -> None:
    path = tmp_path / "cameras.yaml"
    assert not check(TARGETS["cameras"].make(), path, b"[")
    with pytest.raises(ZeroDivisionError):
        check(lambda path: 1 / len(path.read_bytes()), path, b"")


def test_options_of_the_fuzzer_are_passed_on() -> None:
    arguments, rest = parse_arguments(["keypoints", "-runs=3"])
    assert arguments.reader == "keypoints" and rest == ["-runs=3"]
