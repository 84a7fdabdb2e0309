"""The program as a user calls it: exit status, help, errors in one line."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

import smplifyx
from smplifyx.cli.main import _INPUTS, build_parser, main
from smplifyx.cli.options import all_parsers
from smplifyx.config import all_settings
from smplifyx.config.original_names import ORIGINAL_NAMES
from tests.imported import heavy_modules_of


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


def test_help_fits_80_columns_at_every_level(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    parsers = all_parsers(build_parser())
    names = {parser.prog for parser in parsers}
    assert {"smplifyx", "smplifyx fit", "smplifyx train gender", "smplifyx evaluate open"} <= names
    for parser in parsers:
        wide = [line for line in parser.format_help().splitlines() if len(line) > 80]
        assert wide == [], parser.prog


def test_every_command_does_something_and_every_argument_has_help():
    for parser in all_parsers(build_parser()):
        has_actions = any(isinstance(action, argparse._SubParsersAction) for action in parser._actions)
        assert has_actions or callable(parser.get_default("run")), parser.prog
        for action in parser._actions:
            assert action.help or isinstance(action, argparse._SubParsersAction), (parser.prog, action.dest)


def test_the_parser_of_one_command_is_that_of_all_commands():
    help_of_all = {parser.prog: parser.format_help() for parser in all_parsers(build_parser())}
    commands = [prog.split()[1] for prog in help_of_all if len(prog.split()) == 2]
    help_of_each: dict[str, str] = {}
    for name in commands:
        own = {parser.prog: parser.format_help() for parser in all_parsers(build_parser(name))[1:]}
        assert f"smplifyx {name}" in own
        help_of_each |= own
    del help_of_all["smplifyx"]
    assert help_of_each == help_of_all


def test_python_m_is_the_same_command():
    done = subprocess.run([sys.executable, "-m", "smplifyx", "--version"], capture_output=True, text=True)
    assert done.stdout == f"smplifyx {smplifyx.__version__}\n"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("--help", set()),
        ("completion bash", set()),
        ("fit --print-config", set()),
        ("keypoints layouts", {"cv2", "numpy"}),
        ("models list", {"numpy"}),
    ],
)
def test_light_commands_import_few_heavy_modules(command, expected):
    assert heavy_modules_of(command.split()) <= expected


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["fit"], "--images: expected a folder of photos"),
        (["fit", "--images", "."], "no image in ."),
        (["fit", "--images", "/nowhere", "--keypoints", "."], "/nowhere"),
        (
            ["fit", "--gender", "robot"],
            "--gender: body.gender: expected one of auto, neutral, male",
        ),
        (["fit", "--camera.focal_length", "wide"], "camera.focal_length: expected a number"),
        (["fit", "--camera.focal_lenght", "3"], "did you mean camera.focal_length?"),
        (["fit", "--rho", "3"], "here: --objective.rho R"),
        (["fit", "--trunk_tlt", "3"], "did you mean --objective.trunk_tilt?"),
        (["fit", "--config", "nowhere.yaml"], "nowhere.yaml: no such file"),
        (
            ["fit", "--config", "nowhere"],
            "configuration of that name; expected one of fit_flame, fit_mano",
        ),
        (
            ["train", "vposer", "--config", "nowhere"],
            "configuration of that name; expected one of train_vposer",
        ),
        (["demo", "--run.images", "photos"], "--images photos: the demo fits its own photos"),
        (["demo", "--run.keypoints", "k"], "--keypoints k: the demo fits its own photos"),
        (["fit", "--seed", "3"], "unknown argument --seed"),
        (["fit", "--run.threads"], "--run.threads: expected a value"),
        (["fit", "--num-shards", "3"], "--num-shards 3: expected with --shard-index 0 to 2, or --shard auto"),
        (["fti"], "no command fti; did you mean fit?"),
        (["keypoints", "chek"], "no command keypoints chek; did you mean check?"),
        (["fit", "--config", "papr"], "of that name; did you mean fit_smplx_paper?"),
        (["--config", "x.yaml", "--data_folder", "d"], "expected a command before --config, as in smplifyx fit"),
        (["cfg_files/fit_smplx.yaml"], "as in smplifyx fit --config cfg_files/fit_smplx.yaml"),
        (["fit", "--data_folder", "d"], "--data_folder, an option of SMPLify-X; here: --images DIR/images"),
        (["fit", "--visualize=False"], f"an option of SMPLify-X; here: {ORIGINAL_NAMES['visualize']}"),
        (["status", "o", "--verbos"], "status: unknown argument --verbos; did you mean --verbose?"),
        (["fit", "--enabled", "no"], "did you mean --lifting.enabled or --collision.enabled?"),
        (["models", "list", "--run.threads", "3"], "no option --run.threads"),
    ],
)
def test_wrong_calls_end_with_status_2_and_one_line(argv, expected, capsys):
    assert main(argv) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("smplifyx: error: ")
    assert expected in printed.err
    assert len(printed.err.splitlines()) == 1


@pytest.mark.parametrize(
    "command",
    [
        *("status {}", "pack {}", "unpack {}", "report {}", "view {}", "measure {}", "export {} --format obj"),
        *("evaluate photos {}", "convert-results {} --to smplh --output {}/converted"),
    ],
)
def test_a_folder_without_results_is_refused_and_left_as_it_is(command, tmp_path, capsys):
    folder = tmp_path / "empty"
    folder.mkdir()
    assert main(command.format(folder, folder).split()) == 2
    message = capsys.readouterr().err
    assert f"{folder}" in message and "holds no" in message and "`smplifyx fit`" in message
    assert list(folder.iterdir()) == []


def test_all_options_of_the_original_are_answered_at_once(capsys):
    assert main(["fit", "--data_folder", "in", "--output_folder", "out", "--visualize=False"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    for line, name in zip(lines, ("data_folder", "output_folder", "visualize"), strict=True):
        assert f"--{name}" in line and ORIGINAL_NAMES[name] in line


def test_a_wrong_call_of_the_program_ends_with_status_2():
    done = smplifyx_command("fit", "--rho", "3")
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr == "smplifyx: error: fit: unknown argument --rho, an option of SMPLify-X; "
        f"here: {ORIGINAL_NAMES['rho']}\n"
    )


@pytest.mark.parametrize("argv", [[], ["models"]])
def test_wrong_commands_end_with_status_2(argv, capsys):
    with pytest.raises(SystemExit) as end:
        main(argv)
    assert end.value.code == 2
    assert "usage: smplifyx" in capsys.readouterr().err


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


@pytest.mark.parametrize(
    "argv",
    [
        ["detect", "--images", "a", "--keypoints", "b", "--workers"],
        ["benchmark", "--threads"],
        ["evaluate", "open", "--people"],
        ["train", "lifting", "a", "--output", "b", "--threads"],
    ],
)
@pytest.mark.parametrize("count", ["0", "1.5", "two"])
def test_counts_are_whole_numbers_from_1(argv, count, capsys):
    with pytest.raises(SystemExit) as end:
        main([*argv, count])
    assert end.value.code == 2
    assert "whole number from 1" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["evaluate", "synthetic", "--seed"], ["export", "out", "--person"]])
def test_seeds_and_numbers_of_people_are_whole_numbers_from_0(argv, capsys):
    with pytest.raises(SystemExit) as end:
        main([*argv, "-1"])
    assert end.value.code == 2
    assert "whole number from 0" in capsys.readouterr().err


@pytest.mark.parametrize(("command", "option"), _INPUTS.items())
def test_the_input_may_be_given_with_and_without_the_name_of_its_option(command, option):
    needed = {
        "detect": ["--keypoints", "k"],
        "keypoints convert": ["--output", "o"],
        "keypoints show": ["--images", "i", "--output", "o"],
        "keypoints check": ["--images", "i"],
    }
    others = needed.get(command, [])

    def values(*argv):
        arguments = vars(build_parser().parse_args([*command.split(), *argv]))
        return {name: str(value) for name, value in arguments.items() if name != "run"}

    named = values(option, "given", *others)
    assert "given" in named.values()
    assert values("given", *others) == values(*others, "given") == named


@pytest.mark.parametrize(
    "command", ["fit a --images b", "fit --images b a", "status a --output b", "status --output a b"]
)
def test_a_second_input_is_refused_in_either_spelling(command, capsys):
    assert main(command.split()) == 2
    assert "unknown argument" in capsys.readouterr().err


def test_a_second_input_is_refused(capsys):
    """As for ``--images *.jpg`` in a shell."""
    assert main(["fit", "--images", "a.jpg", "b.jpg"]) == 2
    assert "unknown argument b.jpg; --images takes one folder or one photo" in capsys.readouterr().err
