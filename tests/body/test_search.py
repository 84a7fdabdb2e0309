"""The folders that are searched for body-model files, and their order."""

from __future__ import annotations

from pathlib import Path

import pytest

from smplifyx.body import search
from smplifyx.body.search import OPEN_BODY_DIR, find_body_model, list_body_models
from smplifyx.errors import InputError, UsageError

#: Three genders of four models, and two hands.
N_OPEN_BODIES = 14


@pytest.fixture
def empty_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without models of their own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(search.MODELS_VARIABLE, raising=False)
    monkeypatch.setattr(search, "user_cache_dir", lambda: tmp_path / "cache")
    return tmp_path


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


@pytest.mark.parametrize("gender", ["neutral", "male", "female"])
def test_the_open_body_is_there(empty_world: Path, gender: str) -> None:
    assert find_body_model("smplx", gender) == OPEN_BODY_DIR / f"SMPLX_{gender.upper()}.npz"


def test_order_of_places(empty_world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(search.MODELS_VARIABLE, str(empty_world / "named"))
    places = [
        put(empty_world / "cache" / "smplx" / "SMPLX_MALE.npz"),
        put(empty_world / "models" / "SMPLX_MALE.npz"),
        put(empty_world / "models" / "smplx" / "SMPLX_MALE.npz"),
        put(empty_world / "named" / "SMPLX_MALE.npz"),
    ]
    for path in reversed(places):
        assert find_body_model("smplx", "male").resolve() == path
        path.unlink()
    assert find_body_model("smplx", "male").parent == OPEN_BODY_DIR


def test_a_given_folder_is_the_only_one(empty_world: Path) -> None:
    mine = put(empty_world / "mine" / "smplx" / "SMPLX_NEUTRAL.npz")
    assert find_body_model("smplx", "neutral", empty_world / "mine") == mine
    with pytest.raises(InputError) as error:
        find_body_model("smplx", "male", empty_world / "mine")
    assert "no male smplx body model" in str(error.value)
    assert str(empty_world / "mine" / "smplx" / "SMPLX_MALE.npz") in str(error.value)
    assert str(empty_world / "mine" / "SMPLX_MALE.npz") in str(error.value)


def test_listing_puts_the_users_files_first(empty_world: Path) -> None:
    mine = put(empty_world / "models" / "smplx" / "SMPLX_MALE.npz")
    found = list_body_models()
    males = [model for model in found if (model.model_type, model.gender) == ("smplx", "male")]
    assert [model.path.resolve() for model in males] == [mine, OPEN_BODY_DIR / "SMPLX_MALE.npz"]
    assert [model.is_open_body for model in males] == [False, True]
    assert len(found) == N_OPEN_BODIES + 1
    assert [model.path for model in list_body_models(empty_world / "models")] == [mine]


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_a_user_without_a_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(search.sys, "platform", platform)
    monkeypatch.setattr(Path, "home", no_home)
    for variable in (search.MODELS_VARIABLE, "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(variable, raising=False)
    assert find_body_model("smplx", "male") == OPEN_BODY_DIR / "SMPLX_MALE.npz"
    assert len(list_body_models()) == N_OPEN_BODIES


def test_a_folder_that_may_not_be_entered_counts_as_empty(empty_world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = put(empty_world / "cache" / "smplx" / "SMPLX_MALE.npz")
    is_file = Path.is_file

    def refused(path: Path) -> bool:
        if path.is_relative_to(empty_world / "cache"):
            raise PermissionError(13, "Permission denied", str(path))
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", refused)
    assert find_body_model("smplx", "male") == OPEN_BODY_DIR / "SMPLX_MALE.npz"
    assert len(list_body_models()) == N_OPEN_BODIES
    with pytest.raises(InputError, match="no male smplx body model here"):
        find_body_model("smplx", "male", closed.parent)


@pytest.mark.parametrize(
    ("file", "model_type", "gender", "side"),
    [
        ("SMPLX_FEMALE.pkl", "smplx", "female", None),
        ("models_smplx_v1_1/models/smplx/SMPLX_MALE.npz", "smplx", "male", None),
        ("smpl/SMPL_NEUTRAL.pkl", "smpl", "neutral", None),
        ("smpl/basicModel_neutral_lbs_10_207_0_v1.0.0.pkl", "smpl", "neutral", None),
        ("basicmodel_m_lbs_10_207_0_v1.1.0.pkl", "smpl", "male", None),
        ("SMPL_python_v.1.1.0/smpl/models/basicmodel_f_lbs_10_207_0_v1.1.0.pkl", "smpl", "female", None),
        ("smplh/SMPLH_MALE.pkl", "smplh", "male", None),
        ("mano_v1_2/models/SMPLH_female.pkl", "smplh", "female", None),
        ("smplh/female/model.npz", "smplh", "female", None),
        ("neutral/model.npz", "smplh", "neutral", None),
        ("mano/MANO_LEFT.pkl", "mano", "neutral", "left"),
        ("mano_v1_2/models/MANO_RIGHT.pkl", "mano", "neutral", "right"),
        ("flame/FLAME_NEUTRAL.pkl", "flame", "neutral", None),
        ("FLAME2020/generic_model.pkl", "flame", "neutral", None),
        ("FLAME2023/flame2023.pkl", "flame", "neutral", None),
        ("flame/male_model.pkl", "flame", "male", None),
    ],
)
def test_licensed_names_come_before_the_open_bodies(
    empty_world: Path, file: str, model_type: str, gender: str, side: str | None
) -> None:
    mine = put(empty_world / "models" / file)
    assert find_body_model(model_type, gender, side=side).resolve() == mine
    of_this_kind = [
        model.path.resolve()
        for model in list_body_models()
        if (model.model_type, model.gender, model.side) == (model_type, gender, side)
    ]
    name = f"{model_type}_{side or gender}".upper()
    assert of_this_kind == [mine, OPEN_BODY_DIR / f"{name}.npz"]


def test_newer_files_come_first(empty_world: Path) -> None:
    names = ["SMPL_MALE.npz", "SMPL_MALE.pkl", "basicmodel_m_lbs_10_207_0_v1.1.0.pkl"]
    names.append("basicModel_m_lbs_10_207_0_v1.0.0.pkl")
    for name in names:
        put(empty_world / name)
    for name in names:
        path = find_body_model("smpl", "male", empty_world)
        assert path.name == name
        path.unlink()


@pytest.mark.parametrize(
    ("model_type", "gender", "side"),
    [("smplz", "male", None), ("smplx", "child", None), ("mano", "neutral", None), ("smplx", "male", "left")],
)
def test_unknown_names(model_type: str, gender: str, side: str | None) -> None:
    with pytest.raises(UsageError, match="expected"):
        find_body_model(model_type, gender, side=side)


def test_an_unpacked_archive_and_a_file_are_folders_too(empty_world: Path) -> None:
    archive = empty_world / "models_smplx_v1_1"
    mine = put(archive / "models" / "smplx" / "SMPLX_NEUTRAL.npz")
    for given in (archive, archive / "models", mine.parent, mine):
        assert find_body_model("smplx", "neutral", given) == mine


def test_another_gender_that_is_there_is_named(empty_world: Path) -> None:
    put(empty_world / "mine" / "SMPLX_MALE.npz")
    with pytest.raises(InputError, match=r"there is a male one"):
        find_body_model("smplx", "neutral", empty_world / "mine")
