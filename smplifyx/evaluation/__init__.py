"""Metrics against known truth: EHF, the open benchmark, synthetic people and calibrated views."""

from smplifyx.evaluation.ehf_layout import Frame, read_benchmark
from smplifyx.evaluation.metrics import (
    Alignment,
    SurfaceErrors,
    VertexSets,
    fit_similarity,
    mpjpe,
    pa_mpjpe,
    pa_v2v,
    surface_errors,
    v2v,
    vertex_sets,
)
from smplifyx.evaluation.scores import score
from smplifyx.evaluation.statistics import MeanInterval, difference_interval, mean_interval
from smplifyx.evaluation.triangulation import (
    CalibratedCamera,
    Triangulation,
    TriangulationOptions,
    read_camera_parameters,
    read_qualisys_cameras,
    triangulate,
)
from smplifyx.evaluation.views import ViewErrors, views_report
from smplifyx.synthetic.documents import write_openpose_json
from smplifyx.synthetic.noise import DetectorNoise
from smplifyx.synthetic.people import SyntheticOptions, SyntheticPerson, synthetic_people
from smplifyx.synthetic.poses import PosePool, held_out_poses, mild_poses

__all__ = [
    "Alignment",
    "CalibratedCamera",
    "DetectorNoise",
    "Frame",
    "MeanInterval",
    "PosePool",
    "SurfaceErrors",
    "SyntheticOptions",
    "SyntheticPerson",
    "Triangulation",
    "TriangulationOptions",
    "VertexSets",
    "ViewErrors",
    "difference_interval",
    "fit_similarity",
    "held_out_poses",
    "mean_interval",
    "mild_poses",
    "mpjpe",
    "pa_mpjpe",
    "pa_v2v",
    "read_benchmark",
    "read_camera_parameters",
    "read_qualisys_cameras",
    "score",
    "surface_errors",
    "synthetic_people",
    "triangulate",
    "v2v",
    "vertex_sets",
    "views_report",
    "write_openpose_json",
]
