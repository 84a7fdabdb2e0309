"""The program as a user calls it: exit status, help, errors in one line."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import smplifyx
from smplifyx.config import all_settings


def smplifyx_command(*argv, **environment):
    program = Path(sys.executable).with_name("smplifyx")
    return subprocess.run(
        [str(program), *map(str, argv)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )


def test_help_and_version_end_well():
    assert smplifyx_command("--version").stdout == f"smplifyx {smplifyx.__version__}\n"
    done = smplifyx_command("--help")
    assert done.returncode == 0
    for name in ("fit", "demo", "models", "exit status"):
        assert name in done.stdout


@pytest.mark.parametrize("command", ["fit", "demo"])
def test_help_names_every_setting_with_its_help(command):
    done = smplifyx_command(command, "--help")
    assert done.returncode == 0
    for leaf in all_settings():
        assert f"--{leaf.key} " in done.stdout
    flat = " ".join(done.stdout.split())
    for leaf in all_settings():
        assert " ".join(leaf.rule.help.split()) in flat


@pytest.mark.parametrize("action", ["build", "list", "info", "convert", "export"])
def test_every_action_on_models_has_help(action):
    done = smplifyx_command("models", action, "--help")
    assert done.returncode == 0
    assert f"smplifyx models {action}" in done.stdout


def test_start_is_fast_and_loads_no_heavy_library():
    heavy = "{'torch', 'numpy', 'cv2'}"
    code = f"import sys, smplifyx.cli.main as m; m.build_parser(); print(sorted({heavy} & set(sys.modules)))"
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
    assert time.perf_counter() - started < 2.0  # 0.15 s alone; other work may share the machine


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["fit"], "--images: expected a folder of photos"),
        (["fit", "--images", "."], "--keypoints: expected a folder of keypoint files"),
        (["fit", "--images", "/nowhere", "--keypoints", "."], "/nowhere"),
        (
            ["fit", "--gender", "robot"],
            "--gender: body.gender: expected one of auto, neutral, male",
        ),
        (["fit", "--camera.focal_length", "wide"], "camera.focal_length: expected a number"),
        (["fit", "--camera.focal_lenght", "3"], "did you mean focal_length?"),
        (["fit", "--rho", "3"], "did you mean --objective.rho?"),
        (["fit", "--config", "nowhere.yaml"], "nowhere.yaml: no such file"),
        (["fit", "--config", "nowhere"], "no shipped configuration of that name (fit_flame, fit_mano"),
        (["train", "vposer", "--config", "nowhere"], "no shipped configuration of that name (train_vposer)"),
        (["demo", "--run.images", "photos"], "--images photos: the demo fits its own photos"),
        (["demo", "--run.keypoints", "k"], "--keypoints k: the demo fits its own photos"),
        (["fit", "--run.threads"], "--run.threads: expected a value"),
        (["models", "list", "--run.threads", "3"], "no option --run.threads"),
    ],
)
def test_wrong_calls_end_with_status_2_and_one_line(argv, expected):
    done = smplifyx_command(*argv)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("smplifyx: error: ")
    assert expected in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("argv", [[], ["fti"], ["models"]])
def test_wrong_commands_end_with_status_2(argv):
    done = smplifyx_command(*argv)
    assert done.returncode == 2
    assert "usage: smplifyx" in done.stderr


def test_traceback_on_request():
    assert "Traceback" not in smplifyx_command("fit").stderr
    assert "Traceback" in smplifyx_command("fit", "--verbose").stderr
    assert "Traceback" in smplifyx_command("fit", SMPLIFYX_TRACEBACK="1").stderr


def test_printed_configuration_is_a_configuration(tmp_path):
    done = smplifyx_command("fit", "--print-config", "--objective.rho", "12.5")
    assert done.returncode == 0
    path = tmp_path / "printed.yaml"
    path.write_text(done.stdout)
    assert smplifyx_command("fit", "--config", path, "--print-config").stdout == done.stdout
    assert "rho: 12.5" in done.stdout


def test_output_may_be_cut_short():
    program = Path(sys.executable).with_name("smplifyx")
    done = subprocess.run(f"{program} fit --print-config | head -1", shell=True, capture_output=True, text=True)
    assert done.stderr == ""
