"""``smplifyx fit`` from folder to folder, with few iterations: files, messages and exit status."""

import itertools
import os
import signal
import subprocess
import sys

import pytest
import yaml

from smplifyx.cli.main import main
from smplifyx.fitting.fitter import Fitter
from smplifyx.output import read_summary
from smplifyx.result import load_result
from tests.photo_folders import person


def test_all_people_are_fitted(folders, capsys):
    folders.add("one", [person()])
    folders.add("two", [person(-30), person(30)])
    assert folders.fit() == 0
    assert folders.results() == ["one/000.npz", "two/000.npz", "two/001.npz"]
    result = load_result(folders.output / "results" / "one" / "000.npz")
    assert result.body_pose.shape == (63,)
    assert result.image_size.tolist() == [200, 300]
    assert [(row.stem, row.person, row.status) for row in read_summary(folders.output / "summary.csv")] == [
        ("one", 0, "ok"), ("two", 0, "ok"), ("two", 1, "ok"),
    ]  # fmt: skip
    assert "3 people fitted, 0 inputs failed" in capsys.readouterr().out


def test_bad_inputs_are_named_and_the_rest_is_written(folders, capsys):
    folders.add("good", [person()])
    folders.add("broken", [])
    folders.add_keypoints("broken", '{"people": [')
    folders.add("alone", [])
    (folders.keypoints / "alone_keypoints.json").unlink()
    folders.add("empty", [])
    assert folders.fit("--verbose") == 1
    assert folders.results() == ["good/000.npz"]
    errors = capsys.readouterr().err
    assert "failed: " in errors
    assert "broken_keypoints.json" in errors
    assert "alone.png" in errors
    assert "skipped: " in errors
    assert "empty_keypoints.json" in errors
    assert "Traceback" not in errors


def test_verbose_tells_the_losses_of_all_stages(folders, capsys):
    folders.add("one", [person()])
    assert folders.fit() == 0
    assert "stages" not in capsys.readouterr().err
    assert folders.fit("--overwrite", "--verbose") == 0
    result = load_result(folders.output / "results" / "one" / "000.npz")
    losses = " ".join(f"{loss:.0f}" for loss in result.stage_losses)
    assert len(losses.split()) == 5
    errors = capsys.readouterr().err
    assert f"one, person 0: stages {losses}, {int(result.n_evaluations)} evaluations\n" in errors


def test_calibration_entries_without_a_photo_are_reported(folders, tmp_path, capsys):
    folders.add("one", [person()])
    path = tmp_path / "cameras.yaml"
    entry = "{focal_length: 400, principal_point: [100, 150]}"
    path.write_text(f"one: {entry}\ndefault: {entry}\n")
    assert folders.fit("--calibration", str(path)) == 0
    assert "match no photo" not in capsys.readouterr().err
    path.write_text(f"one: {entry}\nother: {entry}\n")
    assert folders.fit("--calibration", str(path)) == 0
    assert "cameras.yaml: 1 of 2 entries match no photo, such as 'other'\n" in capsys.readouterr().err


def test_all_inputs_failed_is_no_wrong_call(folders):
    folders.add("broken", [])
    folders.add_keypoints("broken", "no json")
    assert folders.fit() == 1


def test_shards_share_the_photos_out(folders):
    for stem in ("a", "b", "c"):
        folders.add(stem, [person()])
    assert folders.fit("--num-shards", "2", "--shard-index", "1") == 0
    assert folders.results() == ["b/000.npz"]
    written = (folders.output / "config.yaml").read_text()
    assert folders.fit("--num-shards", "2", "--shard-index", "0") == 0
    assert folders.results() == ["a/000.npz", "b/000.npz", "c/000.npz"]
    assert len(read_summary(folders.output / "summary.csv")) == 3
    assert (folders.output / "config.yaml").read_text() == written
    assert yaml.safe_load(written)["run"]["num_shards"] == 1


def test_mesh_pictures_and_pickle_on_request(folders):
    folders.add("one", [person()])
    options = ("--optimizer.max_iterations", "2", "--threads", "1", "--device", "cpu", "--save-pkl")
    assert main(folders.argv(*options, "--mesh-format", "ply")) == 0
    for name in (
        "meshes/one/000.ply",
        "images/one/000/overlay.jpg",
        "images/one/000/side_view.jpg",
        "results/one/000.pkl",
    ):
        assert (folders.output / name).stat().st_size > 0


@pytest.mark.parametrize(
    "options",
    [
        ("--models", "/nowhere"),
        ("--gender", "female", "--models", "."),
        ("--config", "/nowhere.yaml"),
        ("--calibration", "/nowhere"),
        ("--output", __file__),
        ("--output", f"{__file__}/below"),
        ("--output", "/proc/x"),
        ("--priors.vposer", "/nowhere"),
        ("--priors.vposer", __file__),
        ("--priors.body_pose", "gmm", "--priors.gmm", "/nowhere"),
        ("--priors.body_pose", "gmm", "--priors.gmm", __file__),
    ],
)
def test_unusable_files_are_wrong_calls(folders, options):
    folders.add("one", [person()])
    assert folders.fit(*options) == 2


@pytest.mark.parametrize("option", ["--models", "--priors.vposer", "--gender.labels"])
def test_a_wrong_call_leaves_the_configuration_of_the_earlier_run(folders, option):
    folders.output.mkdir()
    (folders.output / "config.yaml").write_text("run: {threads: 7}\n")
    folders.add("one", [person()])
    assert folders.fit(option, "/nowhere") == 2
    assert (folders.output / "config.yaml").read_text() == "run: {threads: 7}\n"


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGUSR1, 75)],
)
def test_a_run_stopped_while_it_fits_says_what_is_finished_and_continues(
    folders, monkeypatch, capsys, request, number, status
):
    """The signal comes while the third person is fitted; the first two are written still."""
    for photo in range(4):
        folders.add(f"photo{photo}", [person()])
    original, n_fits = Fitter._fit_batch, itertools.count()
    # A process started in the background may have them ignored, and a fit leaves ignored signals alone.
    handler = signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    request.addfinalizer(lambda: signal.signal(number, handler))

    def fit(self, *arguments):
        if next(n_fits) == 2:
            os.kill(os.getpid(), number)
        return original(self, *arguments)

    monkeypatch.setattr(Fitter, "_fit_batch", fit)
    assert folders.fit("--batch-size", "1") == status
    errors = capsys.readouterr().err
    finished = len(folders.results())
    assert finished == 2
    people = "person is" if finished == 1 else "people are"
    assert f"{finished} {people} finished in {folders.output}; the same command continues" in errors
    assert "Traceback" not in errors
    rows = read_summary(folders.output / "summary.csv")
    assert [f"{row.stem}/{row.person:03d}.npz" for row in rows] == folders.results()
    monkeypatch.undo()
    assert folders.fit() == 0
    assert len(folders.results()) == 4 and len(read_summary(folders.output / "summary.csv")) == 4


def test_exit_status_of_the_program_is_that_of_the_command():
    """The entry point hands the status on; here without the work, which other tests do in this process."""
    code = "import smplifyx.cli.fit as fit; from smplifyx.cli import messages\n"
    code += "def run(arguments): raise messages.Interrupted('1 of 2', 143)\n"
    code += "fit.run = run\nimport smplifyx.__main__ as program; program.run()"
    done = subprocess.run([sys.executable, "-c", code, "fit"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (143, "smplifyx: interrupted: 1 of 2\n")
