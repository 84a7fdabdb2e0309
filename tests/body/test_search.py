"""Where body-model files are looked for, and in which order."""

from __future__ import annotations

from pathlib import Path

import pytest

from smplifyx.body import search
from smplifyx.body.search import OPEN_BODY_DIR, find_body_model, list_body_models
from smplifyx.errors import InputError, UsageError


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
    males = [model for model in found if model.gender == "male"]
    assert [model.path.resolve() for model in males] == [mine, OPEN_BODY_DIR / "SMPLX_MALE.npz"]
    assert [model.is_open_body for model in males] == [False, True]
    assert len(found) == 4
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
    assert len(list_body_models()) == 3


def test_a_folder_that_may_not_be_entered_counts_as_empty(empty_world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = put(empty_world / "cache" / "smplx" / "SMPLX_MALE.npz")
    is_file = Path.is_file

    def refused(path: Path) -> bool:
        if path.is_relative_to(empty_world / "cache"):
            raise PermissionError(13, "Permission denied", str(path))
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", refused)
    assert find_body_model("smplx", "male") == OPEN_BODY_DIR / "SMPLX_MALE.npz"
    assert len(list_body_models()) == 3
    with pytest.raises(InputError, match="no male smplx body model here"):
        find_body_model("smplx", "male", closed.parent)


def test_only_models_that_can_be_loaded_are_listed(empty_world: Path) -> None:
    put(empty_world / "models" / "smplh" / "SMPLH_MALE.npz")
    assert {model.model_type for model in list_body_models()} == {"smplx"}


@pytest.mark.parametrize(("model_type", "gender"), [("smplz", "male"), ("smplh", "male"), ("smplx", "child")])
def test_unknown_names(model_type: str, gender: str) -> None:
    with pytest.raises(UsageError, match="expected one of"):
        find_body_model(model_type, gender)
