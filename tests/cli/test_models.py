"""``smplifyx models``: what the actions print, write and return."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smplifyx.body import load_body_model_data
from smplifyx.body.search import MODELS_VARIABLE, OPEN_BODY_DIR
from smplifyx.cli.main import main
from tests.licensed_files import licensed_like, write_npz, write_python2


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with a licensed-like hand and head."""
    write_python2(licensed_like("mano", "left"), tmp_path / "models" / "mano" / "MANO_LEFT.pkl")
    write_python2(licensed_like("flame", n_columns=20), tmp_path / "models" / "FLAME_MALE.pkl")
    return tmp_path / "models"


def lines(capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    return [line.split(maxsplit=3) for line in capsys.readouterr().out.splitlines()]


def facts(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    return {line[:28].strip(): line[29:] for line in capsys.readouterr().out.splitlines()}


def test_list_names_kind_licence_and_place(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(MODELS_VARIABLE, str(models))
    monkeypatch.chdir(tmp_path)
    (models / "SMPL_MALE.npz").write_bytes(b"damaged")
    assert main(["models", "list"]) == 0
    found = lines(capsys)
    assert ["mano", "left", "licensed", str(models / "mano" / "MANO_LEFT.pkl")] in found
    assert ["mano", "left", "open", f"{OPEN_BODY_DIR / 'MANO_LEFT.npz'}  (not used)"] in found
    assert ["mano", "right", "open", str(OPEN_BODY_DIR / "MANO_RIGHT.npz")] in found
    assert ["flame", "male", "licensed", str(models / "FLAME_MALE.pkl")] in found
    assert ["smpl", "male", "unreadable", str(models / "SMPL_MALE.npz")] in found
    assert main(["models", "list", "--models", str(tmp_path / "nowhere")]) == 1


def test_info_of_a_whole_file(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "info", str(models / "FLAME_MALE.pkl")]) == 0
    told = facts(capsys)
    assert told["model"] == "flame"
    assert told["gender"] == "male"
    assert told["version"] == "unknown, with 10 + 10 components"
    assert (told["vertices"], told["joints"]) == ("5023", "5")
    assert (told["shape components"], told["expression components"]) == ("10", "10")
    assert told["licence"] == "licensed"
    assert main(["models", "info", str(models / "mano" / "MANO_LEFT.pkl")]) == 0
    assert facts(capsys)["side"] == "left"


def test_info_names_all_that_is_missing_or_damaged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = licensed_like("mano", "left")
    del model.arrays["shapedirs"]
    model.arrays["weights"] = np.zeros((778, 15))
    model.arrays["hands_mean"] = np.full(45, np.nan)
    path = write_npz(model, tmp_path / "MANO_LEFT.npz")
    assert main(["models", "info", str(path)]) == 1
    output = capsys.readouterr().out
    assert "shapedirs: the key is missing; expected shape (778, 3, 'any')" in output
    assert "weights: found shape (778, 15), expected shape (778, 16)" in output
    assert "hands_mean: holds values that are not finite" in output
    assert output.count("missing or damaged") == 3
    assert "mano" in output


def test_info_of_an_open_body_and_of_another_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "info", str(OPEN_BODY_DIR / "SMPL_FEMALE.npz")]) == 0
    assert facts(capsys)["licence"] == "open"
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    assert main(["models", "info", str(tmp_path / "other.npz")]) == 1
    assert "kintree_table: the key is missing" in capsys.readouterr().out
    assert main(["models", "info", str(tmp_path / "none.npz")]) == 1
    assert "does not exist" in capsys.readouterr().err


def test_convert_writes_whole_models_without_pickles(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = [models / "mano" / "MANO_LEFT.pkl", models / "FLAME_MALE.pkl"]
    (models / "broken.pkl").write_bytes(b"")
    arguments = ["models", "convert", str(models / "broken.pkl"), *map(str, sources), "--output"]
    assert main([*arguments, str(tmp_path / "clean")]) == 1
    printed = capsys.readouterr()
    assert "broken.pkl" in printed.err
    written = [Path(line) for line in printed.out.splitlines()]
    assert [path.name for path in written] == ["MANO_LEFT.npz", "FLAME_MALE.npz"]
    for source, path in zip(sources, written, strict=True):
        data, expected = load_body_model_data(path), load_body_model_data(source)
        np.testing.assert_array_equal(data.posedirs, expected.posedirs)
        np.testing.assert_array_equal(data.contour_faces, expected.contour_faces)
        assert all(array.dtype.kind in "fiuU" for array in np.load(path).values())
    assert main(["models", "convert", str(written[0]), "--output", str(tmp_path / "clean")]) == 1
    assert "would replace itself" in capsys.readouterr().err
    assert main(["models", "convert", str(sources[0]), "--output", str(sources[0])]) == 2


@pytest.mark.parametrize("suffix", ["npz", "pkl"])
@pytest.mark.parametrize("model_type", ["mano", "flame"])
def test_export_in_the_smplx_package(tmp_path: Path, model_type: str, suffix: str) -> None:
    smplx = pytest.importorskip("smplx", reason="the smplx package is the second witness")
    assert main(["models", "export", str(tmp_path), "--model", model_type, "--format", suffix]) == 0
    if suffix == "npz" and model_type == "flame":
        return  # that package wants the landmarks in pickles
    theirs = smplx.create(str(tmp_path), model_type, is_rhand=False, ext=suffix, gender="neutral", use_pca=False)
    name = "MANO_LEFT" if model_type == "mano" else "FLAME_NEUTRAL"
    data = load_body_model_data(OPEN_BODY_DIR / f"{name}.npz")
    np.testing.assert_allclose(theirs.v_template.numpy(), data.v_template, atol=1e-6)


def test_export_takes_what_is_there_and_goes_on_past_damage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (models / "MANO_LEFT.npz").write_bytes(b"damaged")
    write_npz(licensed_like("mano", "right"), models / "MANO_RIGHT.npz")
    assert main(["models", "export", str(tmp_path / "out"), "--models", str(models), "--model", "mano"]) == 1
    printed = capsys.readouterr()
    assert printed.out == f"{tmp_path / 'out' / 'mano' / 'MANO_RIGHT.npz'}\n"
    assert "MANO_LEFT.npz: not a readable .npz file" in printed.err
    call = ["models", "export", str(tmp_path / "out"), "--models", str(models), "--model", "flame"]
    assert main([*call, "--gender", "male"]) == 2
    assert f"no male flame body model in {models}" in capsys.readouterr().err
