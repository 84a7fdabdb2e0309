"""Names of settings of the original program, of earlier versions and of others."""

import dataclasses
import re

import pytest
import yaml

from smplifyx.cli.options import INPUT_OPTIONS, RUN_OPTIONS
from smplifyx.config import ConfigError, RunOptions, all_settings, load_recorded, load_run, to_yaml
from smplifyx.config.earlier_names import EARLIER_NAMES
from smplifyx.config.fields import leaves
from smplifyx.config.original_names import ORIGINAL_NAMES, original_equivalent
from smplifyx.training.settings import GenderTraining, LiftingConfig, VPoserConfig
from tests.test_config import load_text


def test_keys_of_the_original_get_their_equivalent(tmp_path):
    text = (
        "dataset: openpose\ngender: neutral\njoints_to_ign: [1, 9, 12]\nbody: {model: smplx}\nfocal_length: 5000.\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_text(tmp_path, text)
    message = str(caught.value)
    for name in ("dataset", "gender", "joints_to_ign", "focal_length"):
        assert f"\n  {name}: {ORIGINAL_NAMES[name]}" in message
    assert "body" not in message.split("\n")[0]


def test_equivalents_of_the_original_exist():
    """Each dotted setting and option that an answer names is one of ours."""
    keys = {leaf.key for leaf in all_settings()}
    flags = {option.flag for option in (*INPUT_OPTIONS, *RUN_OPTIONS)}
    for answer in ORIGINAL_NAMES.values():
        for name in re.findall(r"--([a-z][\w.-]*)|in YAML ([a-z_.]+)", answer):
            name = "".join(name)
            assert name in keys if "." in name else f"--{name}" in flags, answer
    assert original_equivalent("--data-folder") == original_equivalent("data_folder")
    assert original_equivalent("camera") is None


def test_settings_of_another_version_are_read_as_far_as_this_one_has_them(tmp_path):
    path = tmp_path / "config.yaml"
    config, run = load_run(None, {"objective.rho": 50, "stages.2.shape": 7, "run.batch_size": 5})
    values = yaml.safe_load(to_yaml(config, run))
    values["objective"]["removed"] = 3
    values["stages"][1]["removed"] = 1.0
    values["run"]["dtype"] = "float8"
    values["gone"] = {"a": 1}
    path.write_text(yaml.safe_dump(values))
    recorded, arguments, left_out = load_recorded(path)
    assert recorded == config and arguments.batch_size == 5
    assert set(left_out) == {"objective.removed", "stages.2.removed", "run.dtype", "gone"}
    path.write_text("a: [")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_recorded(path)


def test_renamed_settings_exist_under_their_names_now():
    fit = {leaf.key for leaf in all_settings()} | {f"run.{one.name}" for one in dataclasses.fields(RunOptions)}
    trainings = (VPoserConfig(), LiftingConfig(), GenderTraining())
    known = fit | {leaf.key for one in trainings for leaf in leaves(one)} | {"out_of_distribution"}
    for earlier, now in EARLIER_NAMES.items():
        assert earlier not in known
        names = re.findall(r"\b[a-z_]+(?:\.[A-Za-z_]+)+|^out_of_distribution$", now)
        assert names and set(names) <= known, earlier
