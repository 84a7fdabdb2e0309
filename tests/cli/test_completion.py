"""``smplifyx completion``: what the shell offers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from smplifyx.cli.main import SUCCESS, main

BASH = shutil.which("bash")


def offered(script: Path, *words: str) -> set[str]:
    """What bash offers for the last word."""
    code = (
        f"source {script}; COMP_WORDS=({' '.join(repr(word) for word in words)}); COMP_CWORD={len(words) - 1}; "
        "$(complete -p smplifyx | sed 's/.*-F \\([^ ]*\\).*/\\1/'); printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    run = subprocess.run([str(BASH), "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


@pytest.mark.skipif(BASH is None, reason="needs bash")
def test_bash_completes_commands_options_and_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash"]) == SUCCESS
    script = tmp_path / "smplifyx"
    script.write_text(capsys.readouterr().out)
    assert {"export", "evaluate"} <= offered(script, "smplifyx", "e")
    assert {"--keypoints", "--keypoint-scale"} <= offered(script, "smplifyx", "fit", "--keyp")
    assert "--objective.rho" in offered(script, "smplifyx", "fit", "--objective.r")
    assert offered(script, "smplifyx", "export", "output", "--format", "gl") == {"glb"}


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == SUCCESS
    assert "export" in capsys.readouterr().out
