"""Settings on the command line."""

import argparse
from pathlib import Path

import pytest

from smplifyx.cli.options import (
    INPUT_OPTIONS,
    RUN_OPTIONS,
    SEQUENCE_OPTIONS,
    add_options,
    effective_config,
    split_dotted,
)
from smplifyx.config import Override, RunOptions, all_settings
from smplifyx.config.fields import leaves
from smplifyx.errors import UsageError


def config_of(*argv):
    others, overrides = split_dotted(argv)
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_options(parser, (*INPUT_OPTIONS, *RUN_OPTIONS))
    arguments = parser.parse_args(others)
    arguments.overrides = overrides
    return effective_config(arguments)


def test_dotted_options_are_taken_out():
    argv = [
        "--images",
        "a.b",
        "--camera.focal_length",
        "1500",
        "--objective.rho=2",
        "--no-mesh",
        "--run.threads",
        "-1",
    ]
    others, overrides = split_dotted(argv)
    assert others == ["--images", "a.b", "--no-mesh"]
    expected = [("camera.focal_length", "1500"), ("objective.rho", "2"), ("run.threads", "-1")]
    assert overrides == [Override(*pair) for pair in expected]


@pytest.mark.parametrize("argv", [["--run.threads"], ["--run.threads", "--no-mesh"]])
def test_dotted_option_needs_a_value(argv):
    with pytest.raises(UsageError, match=r"--run\.threads: expected a value"):
        split_dotted(argv)


def test_short_options_set_their_settings():
    config, run = config_of(
        *("--images", "i", "--keypoints", "k", "--output", "o", "--gender", "female", "--models", "m"),
        *("--focal-length", "1200", "--max-persons", "2", "--min-keypoints", "5", "--batch-size", "7"),
        *("--device", "cpu", "--num-shards", "4", "--shard-index", "3"),
        *("--no-render", "--no-mesh", "--overwrite", "--save-pkl", "--verbose"),
    )
    assert (run.images, run.keypoints, run.output) == (Path("i"), Path("k"), Path("o"))
    assert (config.body.gender, config.body.models_dir, config.camera.focal_length) == ("female", Path("m"), 1200.0)
    assert (config.people.max_persons, config.people.min_keypoints, run.batch_size) == (2, 5, 7)
    assert (run.device, run.num_shards, run.shard_index) == ("cpu", 4, 3)
    assert (config.output.render, config.output.mesh_format) == (False, "none")
    assert (run.overwrite, config.output.save_pickle, run.verbose) == (True, True, True)


def test_options_go_before_the_file_and_dotted_settings_before_options(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("run: {batch_size: 3, threads: 3}\nbody: {gender: male}\n")
    config, run = config_of("--config", str(path), "--run.threads", "9", "--batch-size", "8", "--threads", "8")
    assert (config.body.gender, run.batch_size, run.threads) == ("male", 8, 9)


def test_every_option_stands_for_a_setting_or_an_argument():
    names = {leaf.key for leaf in (*all_settings(), *leaves(RunOptions(), "run."))}
    assert {option.key for option in (*INPUT_OPTIONS, *RUN_OPTIONS)} <= names


def test_every_option_has_a_heading_in_the_help():
    options = (*INPUT_OPTIONS, *SEQUENCE_OPTIONS, *RUN_OPTIONS)
    parser = argparse.ArgumentParser()
    add_options(parser, options)
    titles = {
        action.option_strings[0]: group.title for group in parser._action_groups for action in group._group_actions
    }
    assert {option.flag for option in options} <= set(titles)
    assert (titles["--images"], titles["--fps"], titles["--device"]) == (
        "inputs", "sequences and several cameras", "processors and clusters"
    )  # fmt: skip
