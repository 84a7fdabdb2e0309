import numpy as np
import pytest

from smplifyx.evaluation.metrics import SURFACE_METRICS
from smplifyx.evaluation.report import plot_noise
from smplifyx.evaluation.report_tables import (
    Evaluation,
    details_table,
    groups_table,
    metrics_table,
    noise_table,
    quality_table,
    table_1,
    table_2,
)
from smplifyx.evaluation.tables import markdown

DETAILS = (
    "lean_deg",
    "heading_deg",
    "trunk_angle_deg",
    "left_knee_deg",
    "right_knee_deg",
    "depth_percent",
    "size_percent",
)


def row(variant, person, v2v, camera="true", **others):
    figures = dict.fromkeys(SURFACE_METRICS, 10.0) | dict.fromkeys(DETAILS, 1.0)
    who = {"config": "a", "variant": variant, "camera": camera, "noise": 1.0, "person": person, "gender": "male"}
    return {**who, "tags": "", **figures, "v2v": v2v, "expected_error_mm": np.nan, **others}


@pytest.fixture()
def evaluation():
    rows = [
        row("full", str(k), 50.0 + k, lean_deg=(-1.0) ** k * 4.0, tags="truncated" if k < 2 else "") for k in range(6)
    ]
    rows += [row("neutral", str(k), 53.0 + k) for k in range(6)]
    rows += [row("full", "0", 99.0, camera="paper")]
    return Evaluation(rows, ["a"], ["paper", "true"], {("a", "gmm"): "not available: no such prior"})


def line_of(table, **wanted):
    return next(line for line in table if all(line[name] == value for name, value in wanted.items()))


def test_differences_go_by_person(evaluation):
    line = line_of(table_2(evaluation), camera="true", method="gender-neutral model")
    assert (line["v2v"], line["difference"]) == (55.5, 3.0)
    assert (line["difference_low"], line["difference_high"]) == (3.0, 3.0)
    assert line["v2v published"] == 58.0


def test_rows_without_fits_say_why(evaluation):
    line = line_of(table_2(evaluation), camera="true", method="mixture instead of VPoser")
    assert np.isnan(line["v2v"])
    assert line["note"] == "not available: no such prior"
    assert "not available: no such prior" in markdown(table_2(evaluation))
    assert line_of(table_1(evaluation), camera="true", method="SMPL+H")["joints published"] == 63.9


def test_signs_and_sizes(evaluation):
    table = details_table(evaluation)
    column = "a, camera true"
    assert line_of(table, figure="lean, degrees (+ forward)")[column] == 0.0
    assert line_of(table, figure="size of lean, degrees")[column] == 4.0


def test_groups(evaluation):
    table = groups_table(evaluation)
    cut = line_of(table, camera="true", people="cut by the frame")
    assert (cut["number"], cut["v2v"]) == (2, 50.5)
    assert line_of(table, camera="true", people="female")["number"] == 0


def test_every_figure_is_there(evaluation):
    table = metrics_table(evaluation)
    assert len(table) == len(SURFACE_METRICS)
    assert line_of(table, figure="PVE, mm")["a, camera the paper's focal length"] == 10.0


def test_noise_levels_in_order(tmp_path):
    rows = [{**row("full", str(k), 10.0 * level + k), "noise": level} for level in (2.0, 0.0) for k in range(4)]
    table = noise_table(rows, ["v2v"])
    assert [(line["noise"], line["v2v"]) for line in table] == [(0.0, 1.5), (2.0, 21.5)]
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    plot_noise(table, {"v2v": "whole body"}, tmp_path / "noise.png")
    assert (tmp_path / "noise.png").read_bytes().startswith(b"\x89PNG")


def test_the_order_of_expected_errors_is_judged_by_the_true_ones():
    rows = [row("full", str(k), 50.0 + k, expected_error_mm=40.0 + k) for k in range(20)]
    (line,) = quality_table(Evaluation(rows, ["a"], ["true"], {}))
    assert line["area under the curve, worst tenth"] == 1.0
    assert line["rank correlation"] == pytest.approx(1.0)
    assert line["expected, mean of the worst tenth"] == 58.5
    backwards = [{**one, "expected_error_mm": -one["expected_error_mm"]} for one in rows]
    assert quality_table(Evaluation(backwards, ["a"], ["true"], {}))[0]["area under the curve, worst tenth"] == 0.0
    assert not quality_table(Evaluation(rows[:5], ["a"], ["true"], {}))
