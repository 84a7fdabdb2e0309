"""Configuration: defaults <- YAML <- dotted settings, strict about names, types and bounds."""

import dataclasses
from pathlib import Path

import pytest
import yaml

from smplifyx.config import (
    SHIPPED_CONFIGS,
    Config,
    ConfigError,
    Override,
    RunOptions,
    Stage,
    all_settings,
    load_config,
    load_run,
    to_yaml,
)
from smplifyx.config.loading import read_yaml

REPOSITORY = Path(__file__).parents[1]


def load_text(tmp_path, text, *overrides):
    path = tmp_path / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, [Override(*override) for override in overrides])


def test_file_replaces_defaults_and_settings_replace_the_file(tmp_path):
    text = "camera: {focal_length: 1200, fallback_focal_factor: 7}\nobjective: {rho: 50}\n"
    config = load_text(tmp_path, text, ("objective.rho", "25"), ("output.render", "false"))
    assert config.camera.focal_length == 1200.0
    assert config.camera.fallback_focal_factor == 7.0
    assert config.objective.rho == 25.0
    assert config.output.render is False
    untouched = dataclasses.replace(Config().camera, focal_length=1200.0, fallback_focal_factor=7.0)
    assert config.camera == untouched
    assert config.body == Config().body


def test_later_settings_win():
    assert load_config(None, [Override("objective.rho", "1"), Override("objective.rho", "2")]).objective.rho == 2.0


def test_list_of_stages_in_a_file_replaces_all_stages(tmp_path):
    config = load_text(
        tmp_path, "starts: {select_after_stage: 1}\nstages:\n  - shape: 50\n  - {jaw_pose: [1, 2, 3]}\n"
    )
    assert config.stages == (Stage(shape=50.0), Stage(jaw_pose=(1.0, 2.0, 3.0)))


def test_one_number_of_one_stage():
    config = load_config(None, [Override("stages.2.shape", "55")])
    changed = dataclasses.replace(Config().stages[1], shape=55.0)
    assert config.stages == (Config().stages[0], changed, *Config().stages[2:])


def shapes(config):
    return [stage.shape for stage in config.stages]


def test_one_weight_of_all_stages():
    assert shapes(load_config(None, {"stages.all.shape": 7, "stages.3.shape": 9})) == [7, 7, 9, 7, 7]
    assert shapes(load_config(None, {"stages.3.shape": 9, "stages.all.shape": 7})) == [7, 7, 7, 7, 7]


@pytest.mark.parametrize(
    "text",
    [
        "stages: {4: {shape: 5}}",
        "stages: {'4': {shape: 5}}",
        "stages.4.shape: 5",
        "stages.4: {shape: 5}",
        "stages: {4.shape: 5}",
        "stages: {4: {shape: 5}}\nstages.4.collision: 1",
    ],
)
def test_one_weight_of_one_stage_in_a_file(tmp_path, text):
    expected = shapes(Config())
    expected[3] = 5.0
    assert shapes(load_text(tmp_path, text)) == expected


def test_all_stages_in_a_file_come_before_single_ones(tmp_path):
    text = "stages:\n  4: {shape: 5}\n  all: {shape: 1, collision: 2}\n"
    config = load_text(tmp_path, text)
    assert shapes(config) == [1, 1, 1, 5, 1]
    assert {stage.collision for stage in config.stages} == {2.0}


def test_dotted_and_nested_names_in_a_file(tmp_path):
    config = load_text(tmp_path, "objective.rho: 50\nobjective: {scale: image}\ncamera.fallback_focal_factor: 7\n")
    assert (config.objective.rho, config.objective.scale, config.camera.fallback_focal_factor) == (50.0, "image", 7.0)


def test_overrides_as_a_mapping_of_typed_values():
    config = load_config("paper", {"objective.rho": 50, "body.gender": "male", "camera.calibration": Path("a.yaml")})
    assert (config.objective.rho, config.body.gender, config.camera.calibration) == (50.0, "male", Path("a.yaml"))


def test_arguments_of_a_run_are_no_settings(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("run: {images: photos, batch_size: 3}\nobjective: {rho: 50}\n")
    assert load_config(path) == load_config(None, {"objective.rho": 50})
    config, run = load_run(path, [Override("run.device", "cpu")])
    assert config == load_config(path)
    assert run == RunOptions(images=tmp_path / "photos", batch_size=3, device="cpu"), "paths start at the file"
    with pytest.raises(ConfigError, match=r"run.device: unknown setting"):
        load_config(None, {"run.device": "cpu"})
    with pytest.raises(ConfigError, match=r"expected less than the number of shards \(2\), found 2"):
        load_run(None, {"run.num_shards": 2, "run.shard_index": 2})


def test_paths_in_a_file_start_at_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    config = load_text(
        tmp_path, "gender: {labels: labels.csv, classifier: none}\ncamera.calibration: ../cameras.yaml\n"
    )
    assert config.gender.labels == tmp_path / "labels.csv" and config.gender.classifier == "none"
    assert config.camera.calibration == tmp_path / ".." / "cameras.yaml"
    absolute = load_text(tmp_path, "priors: {gmm: /data/gmm.npz}\n", ("gender.labels", "labels.csv"))
    assert absolute.priors.gmm == Path("/data/gmm.npz")
    assert absolute.gender.labels == Path("labels.csv"), "on the command line at the working folder"


def test_home_folder_in_paths(tmp_path):
    config = load_text(tmp_path, "body: {models_dir: ~/models}\n")
    assert config.body.models_dir == Path.home() / "models"


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("people.min_keypoints", "8", 8),
        ("optimizer.tolerance", "1e-9", 1e-9),
        ("camera.focal_length", "1500", 1500.0),
        ("camera.focal_length", "null", None),
        ("camera.focal_length", "None", None),
        ("people.max_persons", "none", None),
        ("priors.body_pose", "none", "none"),
        ("body.models_dir", "123", Path("123")),
        ("body.models_dir", "a: b", Path("a: b")),
        *(
            ("body.models_dir", text, Path(text))
            for text in ("none", "Null", "yes", "1e3", "0123", "2024-01-01", "# b")
        ),
        ("body.models_dir", "~", Path.home()),
        ("body.models_dir", "null", None),
        ("body.models_dir", "./null", Path("null")),
        ("run.output", "null", Path("null")),
        ("run.ray_address", "none", "none"),
        ("run.layout", "null", "null"),
        ("gender.classifier", "none", "none"),
        ("gender.classifier", "a.onnx", Path("a.onnx")),
        ("camera.optimize_translation", "false", False),
        ("objective.ignored_keypoints", "neck, right_hip", ("neck", "right_hip")),
        ("objective.ignored_keypoints", "[neck]", ("neck",)),
        ("objective.ignored_keypoints", "neck", ("neck",)),
        ("objective.ignored_keypoints", "[]", ()),
        ("stages.1.jaw_pose", "1,2.5,3e2", (1.0, 2.5, 300.0)),
        ("starts.headings", "auto", "auto"),
        ("starts.headings", "4", 4),
        ("camera.fallback-focal-factor", "1", 1.0),
    ],
)
def test_values_of_the_command_line(key, text, value):
    config, run = load_run(None, [Override(key, text)])
    node = run if key.startswith("run.") else config
    for name in key.removeprefix("run.").replace("-", "_").split("."):
        node = node[int(name) - 1] if name.isdecimal() else getattr(node, name)
    assert node == value
    assert isinstance(node, type(value))


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        ("people.min_keypoints", "1.5", "expected a whole number of at least 1, found 1.5"),
        ("people.min_keypoints", "0", "expected a whole number of at least 1, found 0"),
        ("people.min_keypoints", "true", "found true"),
        ("camera.focal_length", "-3", "expected a number above 0 or null, found -3"),
        ("camera.focal_length", ".inf", "found .inf"),
        ("camera.focal_length", ".nan", "found .nan"),
        ("output.render", "maybe", "expected true or false, found maybe"),
        ("priors.body_pose", "laplace", "gaussian"),
        ("stages.1.jaw_pose", "1,2 # 3", "expected a list of 3"),
        ("stages.1.jaw_pose", "1,2", "expected a list of 3, each a number of at least 0"),
        ("objective.ignored_keypoints", "neck,rigth_hip", "did you mean right_hip?"),
        ("objective.ignored_keypoints", "[1, 9]", "each a name such as nose, found [1, 9]; number 1 is neck"),
        ("starts.headings", "some", "or auto"),
        ("camera", "3", "name one of them, as in camera.focal_length"),
        ("stages", "3", "expected stages.NUMBER.SETTING or stages.all.SETTING"),
        ("stages.9.shape", "3", "a number from 1 to 5, or all, found 9"),
        ("stages.0.shape", "3", "a number from 1 to 5, or all, found 0"),
        ("stages.x.shape", "3", "a number from 1 to 5, or all"),
        ("camera.focal_length.x", "3", "is a single setting"),
        ("camera.focal_lenght", "3", "did you mean camera.focal_length?"),
        ("rho", "3", "did you mean objective.rho?"),
        ("checkpiont", "3", "did you mean lifting.checkpoint?"),
        ("enable", "3", "did you mean lifting.enabled or collision.enabled?"),
        ("stages.1.shap", "3", "did you mean stages.1.shape?"),
        ("objectiv.rho", "3", "objectiv.rho: unknown setting; did you mean objective.rho?"),
        ("nonsense.of.all", "3", "expected one of people, camera"),
        ("priors.vposer_checkpoint", "3", "priors.vposer_checkpoint: unknown setting; now priors.vposer"),
        ("input.max_persons", "3", "input.max_persons: unknown setting; now people.max_persons"),
        ("input.other", "3", "input.other: unknown setting; now run.images, run.keypoints"),
    ],
)
def test_wrong_settings_are_named_with_what_was_expected(key, text, expected):
    with pytest.raises(ConfigError) as caught:
        load_config(None, [Override(key, text)])
    assert caught.value.source == "command line"
    assert expected in str(caught.value)
    assert caught.value.key.split(".")[0] == key.split(".")[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("camera: {focal_length: long}", "camera.focal_length: expected a number above 0 or null, found long"),
        (
            "body: {models_dir: 2024-01-01}",
            "expected a path or null, found 2024-01-01; a name that reads as another value needs quotes",
        ),
        ("camera: {focal: 3}", "camera.focal: unknown setting; did you mean camera.focal_length?"),
        ("images: photos", "images: unknown setting; did you mean run.images?"),
        ("run: {image: photos}", "run.image: unknown setting; did you mean run.images?"),
        ("kamera: {focal_length: 3}", "kamera: unknown setting; did you mean camera?"),
        ("input: {images: photos}", "input: unknown setting; now run.images, run.keypoints"),
        ("output: {folder: fits}", "output.folder: unknown setting; now run.output, or --output"),
        ("camera: 3", "camera: expected a mapping of settings, found 3"),
        ("stages: {shape: 3}", "stages.shape: expected a number from 1 to 5, or all, found shape"),
        ("stages: 3", "stages: expected a list, or a mapping from numbers, found 3"),
        ("stages: {6: {shape: 3}}", "stages.6: expected a number from 1 to 5"),
        ("stages: [3]", "stages.1: expected a mapping of settings, found 3"),
        ("stages: [{}, {shape: -1}]", "stages.2.shape: expected a number of at least 0, found -1"),
        ("stages: []", "stages: expected at least one stage"),
        (
            "starts: {select_after_stage: 9}",
            "starts.select_after_stage: expected at most the number of stages (5), found 9",
        ),
        ("starts: {select_after_stage: 5}", "expected less than the number of stages (5), found 5: depth flips"),
        ("objective: {rho: 3}\nobjective.rho: 4", "objective.rho: is given twice"),
        ("objective.rho: 3\nobjective: 4", "objective: is given twice"),
        ("- a\n- b", "expected a mapping of settings"),
        ("camera: {focal_length: 3\n", "line"),
        (
            "camera: {fallback_focal_factor: 1, fallback_focal_factor: 2}",
            "line 1: not valid YAML: 'fallback_focal_factor' is given",
        ),
        ("camera: !!python/object/apply:os.getcwd []", "not valid YAML"),
    ],
)
def test_wrong_files_are_named_with_what_was_expected(tmp_path, text, expected):
    with pytest.raises(ConfigError) as caught:
        load_text(tmp_path, text)
    assert expected in str(caught.value)
    if not expected.startswith(
        ("stages: expected at least", "starts.select", "expected less than the number of stages")
    ):  # found after all is merged
        assert str(caught.value).startswith(str(tmp_path / "run.yaml"))


def test_empty_files_and_empty_sections_change_nothing(tmp_path):
    assert load_text(tmp_path, "") == Config()
    assert load_text(tmp_path, "camera:\n  # focal_length: 3\n") == Config()


def test_missing_file_lists_the_shipped_ones():
    with pytest.raises(ConfigError, match=r"nowhere.yaml: no such file.*fit_smplx, fit_smplx_paper"):
        load_config("nowhere.yaml")


def test_what_is_written_reads_back_the_same(tmp_path):
    overrides = [
        ("objective.ignored_keypoints", "neck, nose"),
        ("body.models_dir", f"{tmp_path}/photos: of #1, ünd more\n'"),
        ("optimizer.tolerance", "1.25e-11"),
        ("stages.2.jaw_pose", "1,2,3"),
        ("priors.gmm", f"{tmp_path}/123"),
        ("camera.calibration", f"{tmp_path}/no"),
    ]
    config = load_config("paper", [Override(*override) for override in overrides])
    assert load_text(tmp_path, to_yaml(config)) == config


def test_written_configuration_names_every_setting():
    written = yaml.safe_load(to_yaml(Config()))
    for leaf in all_settings():
        node = written
        for name in leaf.key.split("."):
            node = node[0] if name == "N" else node[name]


def test_every_setting_has_a_line_of_help():
    assert [leaf.key for leaf in all_settings() if not leaf.rule.help] == []


def test_shipped_default_is_the_default_and_complete():
    """After a change of defaults: smplifyx fit --print-config > cfg_files/fit_smplx.yaml"""
    assert load_config("fit_smplx") == Config()
    assert (SHIPPED_CONFIGS / "fit_smplx.yaml").read_text(encoding="utf-8") == to_yaml(Config())


def test_repository_folder_shows_the_shipped_files():
    assert load_config(REPOSITORY / "cfg_files" / "fit_smplx_paper.yaml") == load_config("fit_smplx_paper")


def test_paper_configuration_has_the_published_numbers():
    paper = load_config("paper")
    assert paper.camera.focal_length == 5000.0
    assert paper.camera.optimize_translation is False
    assert paper.objective.ignored_keypoints == ("neck", "right_hip", "left_hip")
    assert (paper.objective.scale, paper.objective.rho) == ("image", 100.0)
    assert paper.body.n_hand_components == 12
    assert (paper.starts.headings, paper.starts.side_view_threshold) == (1, 25.0)

    def column(name):
        return [getattr(stage, name) for stage in paper.stages]

    assert column("body_pose") == column("hand_pose") == [404.0, 404.0, 57.4, 4.78, 4.78]
    assert column("shape") == column("expression") == [100.0, 50.0, 10.0, 5.0, 5.0]
    assert column("hand_keypoints") == [0.0, 0.0, 0.0, 0.1, 2.0]
    assert column("face_keypoints") == [0.0, 0.0, 0.0, 0.0, 2.0]
    assert column("collision") == [0.0, 0.0, 0.0, 0.1, 1.0]
    for stage in paper.stages:  # the jaw turns about x, and is held ten and a hundred times harder than the body
        assert stage.jaw_pose == pytest.approx([10 * stage.body_pose, 100 * stage.body_pose, 100 * stage.body_pose])
        assert stage.eye_pose == 0.0


@pytest.mark.parametrize("section", ["camera", "objective", "starts", "priors", "optimizer", "collision"])
def test_paper_configuration_says_everything_about_the_procedure(section):
    """New parts of our procedure must not change the paper's by their defaults."""
    said = yaml.safe_load((SHIPPED_CONFIGS / "fit_smplx_paper.yaml").read_text())
    without_effect = {"fallback_focal_factor", "calibration", "select_after_stage"}  # one start, a known focal length
    names = {field.name for field in dataclasses.fields(getattr(Config(), section))}
    assert names - without_effect == set(said[section])
    assert all({"max_iterations", "tolerance", "neck_pose", *stage} >= set(vars(Stage())) for stage in said["stages"])


def test_configurations_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().objective.rho = 1.0


@pytest.mark.parametrize(
    "text",
    ["rho: 0x_", "rho: 2001-99-99", f"rho: {'9' * 400}", "rho: !!int abc", "rho: !!bool maybe", "rho: " + "[" * 3000],
)
def test_values_that_python_cannot_hold_are_configuration_errors(tmp_path, text):
    with pytest.raises(ConfigError) as caught:
        load_text(tmp_path, f"objective:\n  {text}\n")
    assert len(str(caught.value)) < len(str(tmp_path)) + 300
    value = text.removeprefix("rho: ")
    if not value.startswith("!!"):
        with pytest.raises(ConfigError, match=r"objective\.rho: expected a number"):
            load_config(None, [Override("objective.rho", value)])


def test_many_keys_are_read_in_linear_time(tmp_path):
    path = tmp_path / "many.yaml"
    path.write_text("".join(f"key{number}: 1\n" for number in range(20_000)))
    assert len(read_yaml(path)) == 20_000
