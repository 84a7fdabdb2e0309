"""The report of an output folder: its files and their content."""

from __future__ import annotations

import base64
import json
import os
import re
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from smplifyx.cli.main import SUCCESS, WRONG_CALL, main
from smplifyx.output import OutputLayout, SummaryRow, append_summary
from smplifyx.output.flags import FLAGS, badness
from smplifyx.report import is_of_this_version, write_report, writer
from smplifyx.report.details import STEP, details, packed, packed_vertices, part_of, residuals
from smplifyx.report.people import relative_url
from smplifyx.report.pictures import person_box, thumbnail, thumbnail_of
from smplifyx.result import load_result
from smplifyx.skeleton import CANONICAL_KEYPOINT_NAMES
from tests.report.folders import HOSTILE, add_person, person, picture

DOCS = Path(__file__).parents[2]


def script(path: Path, kind: str) -> Any:
    """The values that a script hands to the page."""
    match = re.fullmatch(rf"smplifyx\.{kind}\((.*)\);\n", path.read_text(encoding="ascii"), re.DOTALL)
    assert match, path
    return json.loads(match[1])


def people(root: Path) -> list[dict[str, Any]]:
    return script(root / "report" / "index" / "0.js", "rows")["people"]


def unpacked(text: str, count: int) -> np.ndarray:
    """The inverse of :func:`packed`, as the page does it."""
    planes = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).astype(np.int64).reshape(2, -1)
    folded = planes[0] + 256 * planes[1]
    differences = np.where(folded % 2, -(folded + 1) // 2, folded // 2)
    return np.cumsum(differences.reshape(-1, count), axis=1)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    root = tmp_path / "run"
    add_person(root, "good", 0, person(0, expected_error_mm=40.0))
    add_person(root, "bad", 0, person(1, expected_error_mm=140.0, flags=("few_keypoints",)))
    add_person(root, HOSTILE, 1, person(2, expected_error_mm=90.0), with_pictures=False)
    append_summary(root / "summary.csv", [SummaryRow("lost", 0, status="failed", flags=("no_keypoints",))])
    return root


def test_people_are_listed_worst_first(run: Path) -> None:
    report = write_report(run)
    assert [(one["photo"], one["person"]) for one in people(run)] == [
        ("lost", "000"), ("bad", "000"), (HOSTILE, "001"), ("good", "000"),
    ]  # fmt: skip
    assert (report.n_people, report.n_detailed) == (4, 3)
    about = script(run / "report" / "about.js", "about")
    assert (about["people"], about["photos"], about["failed"], about["doubtful"], about["median"]) == (4, 4, 1, 1, 90)
    assert about["flags"]["few_keypoints"]["count"] == 1 and about["flags"]["few_keypoints"]["problem"]
    size = sum(path.stat().st_size for path in report.page.parent.rglob("*") if path.is_file())
    assert report.n_bytes == size


def test_all_addresses_lead_to_files(run: Path) -> None:
    write_report(run)
    folder = run / "report"
    rows = people(run)
    assert "overlay" in rows[1] and "overlay" not in rows[2] and "thumbnail" not in rows[0]
    scripts = re.findall(r'(?:src|href)="([^#:"]+)"', (folder / "index.html").read_text())
    assert "about.js" in scripts
    from urllib.parse import unquote

    addresses = [
        *scripts,
        *(one[kind] for one in rows for kind in ("thumbnail", "details", "overlay") if kind in one),
    ]
    for one in rows[1:]:
        values = script(folder / one["details"], "person")
        addresses += [values["photo"], f"meshes/{values['mesh']['faces']}.js"]
    for address in addresses:
        assert not set(address) & set("<>\"'`?#: "), address
        assert (folder / unquote(address)).is_file(), address


def test_files_are_written_again_only_after_a_new_fit(run: Path) -> None:
    write_report(run)
    written = {path: path.stat().st_mtime_ns for path in (run / "report").glob("[pt]*/*/*")}
    assert len(written) == 9
    later = max(written.values()) + 10**9
    os.utime(run / "results" / "good" / "000.npz", ns=(later, later))
    write_report(run)
    changed = {path.parent.parent.name for path, time in written.items() if path.stat().st_mtime_ns != time}
    assert changed == {"thumbnails", "people", "photos"}
    assert sum(path.stat().st_mtime_ns != time for path, time in written.items()) == 3
    write_report(run, anew=True)
    assert all(path.stat().st_mtime_ns != time for path, time in written.items())


def test_files_of_another_version_are_written_again(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(writer, "_format", lambda: "earlier")
        write_report(run, threads=1)
        assert is_of_this_version(run)
    assert not is_of_this_version(run)
    written = {path: path.stat().st_mtime_ns for path in (run / "report").glob("[pt]*/*/*")}
    write_report(run, threads=1)
    assert len(written) == 9 and all(path.stat().st_mtime_ns != time for path, time in written.items())


def test_people_who_are_gone_leave_the_report(run: Path) -> None:
    write_report(run)
    rows = people(run)
    old = [run / "report" / one["details"] for one in rows if one["photo"] == "good"]
    os.utime(old[0], ns=(0, 0))
    (run / "results" / "good" / "000.npz").unlink()
    append_summary(run / "summary.csv", [SummaryRow("good", 0, status="outdated")])
    write_report(run)
    assert [one["photo"] for one in people(run)] == ["lost", "bad", HOSTILE]
    assert not old[0].exists() and len(list((run / "report").glob("people/*/*"))) == 2


def test_only_the_worst_people_get_details(run: Path) -> None:
    report = write_report(run, n_detailed=1)
    assert ["details" in one for one in people(run)] == [False, True, False, False]
    assert all("thumbnail" in one for one in people(run)[1:])
    assert any("of the 1 worst of 3 people" in remark for remark in report.remarks)


def test_of_very_many_people_the_worst_are_listed(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_LISTED", 3)
    monkeypatch.setattr(writer, "_THUMBNAILS", 1)
    report = write_report(run, n_detailed=1)
    assert [one["photo"] for one in people(run)] == ["lost", "bad", HOSTILE] and report.n_people == 4
    assert ["thumbnail" in one for one in people(run)] == [False, True, False]
    assert report.remarks[0] == "The page lists the 3 worst of 4 people."


def test_what_is_missing_is_said(run: Path) -> None:
    for path in (run / "photos").iterdir():
        path.unlink()
    report = write_report(run, models=run)
    text = " ".join(report.remarks)
    assert "1 of 3 people have no pictures" in text and "Photos that are not there any more: 3" in text
    assert "Bodies without a mesh, since their body model was not found (--models): 3" in text
    values = script(run / "report" / people(run)[1]["details"], "person")
    assert values["photo"] is None and values["mesh"] is None and values["residuals"]


def test_a_damaged_result_does_not_stop_the_others(run: Path) -> None:
    (run / "results" / "bad" / "000.npz").write_bytes(b"PK")
    report = write_report(run)
    assert "Results that could not be read: 1." in report.remarks
    assert ["details" in one for one in people(run)] == [False, False, True, True]


def test_a_damaged_picture_does_not_stop_the_others(run: Path) -> None:
    overlay = OutputLayout(run).overlay_path("bad", 0)
    overlay.write_bytes(overlay.read_bytes()[:200])
    report = write_report(run)
    assert "Pictures that could not be read: 1." in report.remarks
    assert ["thumbnail" in one for one in people(run)] == [False, False, True, True]


@pytest.mark.parametrize("name", ["keypoints_2d", "focal_length"])
def test_a_result_with_nan_does_not_stop_the_others(run: Path, name: str) -> None:
    path = OutputLayout(run).result_path("bad", 0)
    result = load_result(path)
    getattr(result, name).flat[0] = np.nan
    result.save(path)
    report = write_report(run)
    assert "Results that could not be read: 1." in report.remarks
    assert ["details" in one for one in people(run)] == [False, False, True, True]


def test_the_command(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run)]) == SUCCESS
    printed = capsys.readouterr()
    assert printed.out.strip() == str(run / "report" / "index.html")
    assert "4 people, 3 with details; " in printed.err and "kB, " in printed.err
    (tmp_path / "empty").mkdir()
    assert main(["report", str(tmp_path / "empty")]) == WRONG_CALL
    assert "holds no people" in capsys.readouterr().err


def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    stem = os.fsdecode(b"caf\xe9")
    add_person(tmp_path, stem, 0, person())
    write_report(tmp_path)
    one = people(tmp_path)[0]
    assert one["photo"] == "caf�" and one["overlay"] == "../images/caf%E9/000/overlay.jpg"


def test_address_of_a_file() -> None:
    assert relative_url(Path("/a/b c/javascript:1"), Path("/a/d")) == "../b%20c/javascript%3A1"


def test_mesh_is_packed_within_half_a_step() -> None:
    vertices = np.random.default_rng(0).normal((0, 0, 4), 0.5, (500, 3))
    values = packed_vertices(vertices)
    steps = unpacked(values["data"], values["count"]).T
    assert np.abs(values["low"] + values["step"] * steps - vertices).max() <= 0.51 * STEP
    numbers = np.array([[0, 32767, 0, 7], [32767, 32766, 1, 0]])
    np.testing.assert_array_equal(unpacked(packed(numbers), 4), numbers)


def test_residuals_by_part() -> None:
    result = person()
    result.keypoints_2d[:, 2] = 0
    for name, error, confidence in (("left_wrist", 10, 1), ("left_elbow", 4, 0.5), ("nose", 5, 0.2)):
        k = CANONICAL_KEYPOINT_NAMES.index(name)
        result.keypoints_2d[k] = (*(result.projected_keypoints_2d[k] + (error, 0)), confidence)
    assert residuals(result) == [
        {"part": "head", "points": 1, "mean": 5.0, "worst": "nose", "most": 5.0},
        {"part": "left arm", "points": 2, "mean": 8.0, "worst": "left wrist", "most": 10.0},
    ]
    assert {part_of(name) for name in CANONICAL_KEYPOINT_NAMES} >= {"trunk", "right foot", "face", "right hand"}


def test_unknown_numbers_are_left_out() -> None:
    nan = float("nan")
    values = details(
        person(
            losses={"shape": 2.0, "lifting": nan},
            stage_term_losses={},
            expected_error_mm=nan,
            penetration_mm=nan,
            gender_probability=nan,
        )
    )
    assert "Expected error" not in dict(values["figures"])
    json.dumps(values, allow_nan=False)


def test_order_of_badness() -> None:
    rows = [
        SummaryRow("a", 0, expected_error_mm=50.0, reprojection_error_px=1.0),
        SummaryRow("b", 0, expected_error_mm=50.0, reprojection_error_px=9.0),
        SummaryRow("c", 0, expected_error_mm=50.0, flags=("few_keypoints",)),
        SummaryRow("d", 0, expected_error_mm=90.0),
        SummaryRow("e", 0, status="failed"),
        SummaryRow("f", 0),
    ]
    assert [row.stem for row in sorted(rows, key=badness, reverse=True)] == ["e", "d", "c", "b", "a", "f"]


def test_thumbnail_shows_the_person() -> None:
    keypoints = np.zeros((135, 3))
    keypoints[:3] = [(500, 300, 1), (520, 340, 0.5), (9000, 0, 1)]
    box = person_box(keypoints, (640, 480))
    assert box[0] < 500 and box[1] < 300 and box[2] > 520 and box[3] > 340 and (box[2:] - box[:2] < 100).all()
    assert (box[2] - box[0]) / (box[3] - box[1]) == pytest.approx(0.75)
    photo = np.zeros((480, 640, 3), np.uint8)
    photo[300:340, 500:520] = 255
    assert thumbnail(photo, box).max() == 255
    assert person_box(np.zeros((135, 3)), (640, 480)).tolist() == [0, 0, 640, 480]
    assert thumbnail(photo, np.array([-50.0, -50, 2000, 2000])).shape == (180, 240, 3)


def test_thumbnail_of_a_small_overlay_is_sharp() -> None:
    # the photo has 4000 x 3000 pixels, its overlay 1000 x 750; the person is 300 pixels wide there
    box = np.array([800.0, 400, 2000, 2000])
    data = cv2.imencode(".jpg", np.zeros((750, 1000, 3), np.uint8))[1].tobytes()
    assert thumbnail_of(data, box, 4000).shape == (320, 240, 3)


def test_photo_of_another_shape_is_not_shown(run: Path) -> None:
    (run / "photos" / "bad.jpg").write_bytes(picture(9, (200, 640)))
    assert "Photos that are not there any more: 1." in write_report(run).remarks


def test_transparent_photos_lie_on_white(run: Path) -> None:
    path = run / "photos" / "bad.jpg"
    image = Image.new("RGBA", (640, 480), (255, 0, 0, 0))
    image.save(path.with_suffix(".png"))
    path.with_suffix(".png").replace(path)
    write_report(run)
    values = script(run / "report" / people(run)[1]["details"], "person")
    with Image.open(run / "report" / values["photo"]) as photo:
        assert min(photo.convert("RGB").getpixel((320, 240))) > 245


def test_all_documented_flags_are_explained() -> None:
    tables = [(DOCS / "docs" / name).read_text(encoding="utf-8") for name in ("results.md", "keypoints.md")]
    rows = [
        row for text in tables for table in re.findall(r"\| flag \|.*?\n\n", text, re.S) for row in table.split("\n|")
    ]
    named = {name for row in rows for name in re.findall(r"`([a-z_]+)`", row.split("|")[0])}
    assert {"not_converged", "hand_dropped", "point_replaced"} <= named <= set(FLAGS)


def test_layout_of_a_folder_with_png(tmp_path: Path) -> None:
    add_person(tmp_path, "one", 0, person(), with_pictures=False)
    path = OutputLayout(tmp_path, picture_format="png").overlay_path("one", 0)
    path.parent.mkdir(parents=True)
    Image.new("RGB", (640, 480)).save(path)
    write_report(tmp_path)
    assert people(tmp_path)[0]["overlay"] == "../images/one/000/overlay.png"


def test_packed_results_and_pictures(run: Path) -> None:
    write_report(run)
    before = [one | {"overlay": None} for one in people(run)]
    assert main(["pack", str(run)]) == SUCCESS
    assert not (run / "results" / "good" / "000.npz").exists()
    for path in (run / "report").glob("[pt]*/*/*"):
        os.utime(path, ns=(0, 0))
    report = write_report(run)
    assert [one | {"overlay": None} for one in people(run) if "side" not in one] == [
        {name: value for name, value in one.items() if name != "side"} for one in before
    ]
    assert report.n_detailed == 3 and not any("could not" in remark for remark in report.remarks)
    overlay = run / "report" / people(run)[1]["overlay"]
    assert overlay.read_bytes() == picture(60)
    assert "overlay" not in people(run)[2]


def test_a_packed_picture_of_several_people_is_copied_once(tmp_path: Path) -> None:
    for number in range(3):
        add_person(tmp_path, "group", number, person(number), with_pictures=False)
    path = OutputLayout(tmp_path).group_overlay_path("group")
    path.parent.mkdir(parents=True)
    path.write_bytes(picture(60))
    assert main(["pack", str(tmp_path)]) == SUCCESS
    write_report(tmp_path)
    (overlay,) = (path for path in (tmp_path / "report" / "overlays").rglob("*") if path.is_file())
    assert overlay.read_bytes() == picture(60)
    assert {tmp_path / "report" / one["overlay"] for one in people(tmp_path)} == {overlay}
