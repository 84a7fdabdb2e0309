import json

import numpy as np
import pytest

from smplifyx.body.files import load_body_model_data
from smplifyx.body.plain_writing import write_plain
from smplifyx.body.search import OPEN_BODY_DIR, find_body_model
from smplifyx.cli.main import main
from smplifyx.evaluation import open_benchmark
from smplifyx.evaluation.ehf_layout import read_benchmark
from smplifyx.output import save_mesh
from smplifyx.synthetic.people import RestBody
from tests.evaluation.ehf_folder import write_ehf
from tests.evaluation.view_folders import seated_folder
from tests.photo_folders import Folders, person

QUICK = ["--only", "full", "--optimizer.max_iterations", "10", "--starts.headings", "1", "--starts.depth_flips", "0"]


@pytest.fixture(scope="module")
def ehf(tmp_path_factory, open_body):
    """EHF's layout, and a folder of body models as licensed ones lie there."""
    folder = tmp_path_factory.mktemp("ehf")
    write_ehf(folder / "EHF", open_body)
    (folder / "models" / "smplx").mkdir(parents=True)
    for gender in ("neutral", "male"):
        body = load_body_model_data(find_body_model("smplx", gender, OPEN_BODY_DIR), gender)
        write_plain(body, folder / "models" / "smplx" / f"SMPLX_{gender.upper()}.npz")
    return folder


@pytest.mark.slow
def test_ehf(ehf, tmp_path, capsys):
    call = ["evaluate", "ehf", "--data", str(ehf / "EHF"), "--models", str(ehf / "models"), "--output", str(tmp_path)]
    assert main([*call, *QUICK]) == 0
    report = (tmp_path / "report.md").read_text()
    assert report.strip() in capsys.readouterr().out
    assert "EHF, 2 people" in report
    assert "not available" in report or "left out" in report
    for name in ("table_1.csv", "table_2.csv", "metrics.csv", "people.csv", "config_fit_smplx.yaml"):
        assert (tmp_path / name).stat().st_size > 0
    versions = json.loads((tmp_path / "versions.json").read_text())
    assert versions["packages"]["numpy"] == np.__version__
    cameras = {line.split(",")[1] for line in (tmp_path / "table_1.csv").read_text().splitlines()[1:]}
    assert cameras == {"the paper's focal length", "true"}


@pytest.mark.slow
def test_open_then_results(tmp_path, capsys, open_body):
    """The benchmark's own truth, handed in as somebody's meshes, has no error."""
    call = ["evaluate", "open", "--people", "2", "--shapes", "components", "--output", str(tmp_path)]
    assert main([*call, "--no-noise", "--cameras", "true", "--models", str(OPEN_BODY_DIR), *QUICK]) == 0
    assert "Remaining surface error" in capsys.readouterr().out
    benchmark = tmp_path / "benchmark"
    for frame in read_benchmark(benchmark):
        truth = frame.true_vertices(open_body.n_vertices)
        save_mesh(
            truth + np.array([0.3, 0.0, 1.0]),
            np.asarray(open_body.faces),
            tmp_path / "theirs" / f"{frame.name}_img.obj",
        )
    theirs = [str(tmp_path / "theirs"), "--truth", str(benchmark), "--output", str(tmp_path / "compared")]
    assert main(["evaluate", "results", *theirs, "--models", str(OPEN_BODY_DIR)]) == 0
    figures = (tmp_path / "compared" / "metrics.csv").read_text().splitlines()[1:]
    assert len(figures) == 9
    assert max(float(line.split(",")[1]) for line in figures) < 0.01


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["open", "--only", "fuller"], "--only"),
        (["open", "--config", "nowhere"], "nowhere"),
        (["ehf", "--data", "nowhere"], "01_align.ply"),
        (["open", "--output", __file__], "is a file; expected a folder"),
        (["open", "--people", "1", "--shapes", "components", "--models", "nowhere"], "no neutral smplx body model"),
        (["views"], "--balancing"),
        (["views", "--balancing", "nowhere"], "--balancing: nowhere does not exist"),
        (["views", "--seated", __file__], "is a file; expected a folder"),
        (["sequences", "--sequences", "0"], "--sequences"),
        (["sequences", "--frames", "2"], "--frames"),
        (["multiview", "--sequences", "0"], "--balancing"),
        (["restarts", "--people", "0"], "--people"),
        (["restarts", "--photos", "nowhere"], "--photos: nowhere does not exist"),
        (["multiview", "--scan", "nowhere"], "--scan: nowhere does not exist"),
        (["results", "nowhere", "--truth", "nowhere"], "01_align.ply"),
        (["synthetic", "--mocap", "nowhere.npz"], "--mocap: nowhere.npz does not exist; expected a file"),
    ],
)
def test_wrong_calls_say_what_is_wrong(tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    if "--only" in arguments:
        arguments = [*arguments, "--people", "1", "--shapes", "components"]
    assert main(["evaluate", *arguments]) == 2
    assert words in capsys.readouterr().err


FAST = ["--optimizer.max_iterations", "4", "--starts.headings", "1", "--starts.depth_flips", "0"]


def test_synthetic(tmp_path, capsys):
    call = ["evaluate", "synthetic", "--people", "2", "--output", str(tmp_path), *FAST]
    assert main([*call, "--collision.enabled", "false"]) == 0
    out = capsys.readouterr().out
    assert "all (2)" in out and "person_0001" in out
    assert len((tmp_path / "people.csv").read_text().splitlines()) == 3
    assert (tmp_path / "report.txt").read_text().strip() in out


@pytest.mark.slow
def test_sequences(tmp_path, capsys):
    call = ["evaluate", "sequences", "--sequences", "1", "--frames", "6", "--output", str(tmp_path), *FAST]
    assert main([*call, "--collision.enabled", "false"]) == 0
    out = capsys.readouterr().out
    assert "| surface, aligned, mm |" in out and "| frame by frame |" in out
    assert len((tmp_path / "sequences.csv").read_text().splitlines()) == 3
    assert json.loads((tmp_path / "versions.json").read_text())["benchmark"]["n_frames"] == 6


@pytest.mark.slow
def test_multiview(tmp_path, capsys):
    call = ["evaluate", "multiview", "--sequences", "1", "--frames", "3", "--output", str(tmp_path), *FAST]
    call += ["--seated", str(seated_folder(tmp_path / "seated", 0.143)), "--collision.enabled", "false"]
    assert main(call) == 0
    out = capsys.readouterr().out
    assert "| left and right exchanged |" in out and "| seated |" in out
    views = [line.split(",")[0] for line in (tmp_path / "views.csv").read_text().splitlines()[1:]]
    assert views == ["1", "1", "2", "4", "8"]


def test_priors(tmp_path, capsys):
    call = ["evaluate", "priors", "--people", "2", "--priors", "gaussian", "l2", "--output", str(tmp_path), *FAST]
    assert main([*call, "--collision.enabled", "false"]) == 0
    out = capsys.readouterr().out
    assert "| gaussian |" in out and "| l2 |" in out
    assert len((tmp_path / "people.csv").read_text().splitlines()) == 5
    assert main(["evaluate", "priors", "--output", str(tmp_path)]) == 2
    assert "--people N" in capsys.readouterr().err


@pytest.mark.slow
def test_gender(tmp_path, capsys, monkeypatch, open_body):
    """With bodies of the model itself, as the package anny may be missing."""
    rest = np.float64(open_body.joint_regressor) @ open_body.v_template
    bodies = [
        RestBody(gender, np.float64(open_body.v_template), rest, *np.zeros((2, 45))) for gender in ("male", "female")
    ]
    monkeypatch.setattr(open_benchmark, "open_people", lambda count, seed: bodies[:count])
    call = ["evaluate", "gender", "--people", "2", "--output", str(tmp_path), *FAST, "--collision.enabled", "false"]
    assert main(call) == 0
    out = capsys.readouterr().out
    assert "2 people" in out and "wrong" in out
    rows = (tmp_path / "people.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in rows[1:]] == ["right"] * 2 + ["neutral"] * 2 + ["wrong"] * 2


def test_collisions(tmp_path, capsys, open_body):
    np.save(tmp_path / "poses_0_1.npy", np.zeros((1, 63)))
    call = ["evaluate", "collisions", "--poses", "1", "--output", str(tmp_path), *FAST]
    assert main(call) == 0
    out = capsys.readouterr().out
    assert "synthetic (1)" in out and "truth: depth" in out
    assert len(list(tmp_path.glob("00_*.jpg"))) == 1


def test_restarts_of_photos(tmp_path, capsys):
    folders = Folders(tmp_path)
    folders.add("a", [person()])
    folders.add("a_broken", [])
    folders.add_keypoints("a_broken", "{")
    call = ["evaluate", "restarts", "--photos", str(tmp_path), "--restarts", "1", "--output", str(tmp_path / "out")]
    assert main([*call, *FAST, "--collision.enabled", "false"]) == 0
    said = capsys.readouterr()
    assert "100% of the people are the same" in said.out and "left out: " in said.err and "a_broken" in said.err
    rows = (tmp_path / "out" / "people.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in rows] == ["person", "a 0"]


@pytest.mark.slow
def test_benchmark(tmp_path, capsys):
    call = ["benchmark", "--only", "batches", "mesh", "--batch-sizes", "2", "--min-people", "2", *FAST]
    assert main([*call, "--collision.enabled", "false", "--json", str(tmp_path / "figures.json")]) == 0
    assert "peak MiB" in capsys.readouterr().out
    (batch,) = json.loads((tmp_path / "figures.json").read_text())["batches"]
    assert batch["n_people"] == 2 and batch["evaluations_per_person"] > 10 and batch["peak_memory_mib"] > 100
    assert 0 < batch["share_of_rows"] <= 1 and 0 < batch["share_of_lanes"] <= 1
    with pytest.raises(SystemExit) as ended:
        main(["benchmark", "--repeats", "0"])
    assert ended.value.code == 2


@pytest.mark.slow
def test_benchmark_of_collisions(tmp_path, capsys):
    call = ["benchmark", "--only", "collisions", "--batch-sizes", "2", "--collision-people", "2", "--repeats", "1"]
    assert main([*call, "--min-people", "2", "--json", str(tmp_path / "figures.json"), *FAST]) == 0
    out = capsys.readouterr().out
    assert "0 were missed; 0 were found that do not collide" in out
    rows = json.loads((tmp_path / "figures.json").read_text())["collisions"]["rows"]
    assert [row["batch"] for row in rows] == [1, 2]
