"""Metrics against known truth: EHF, the open benchmark, synthetic people and calibrated views."""

from smplifyx.evaluation.bootstrap import MeanInterval, difference_interval, mean_interval
from smplifyx.evaluation.calibrated_views import CalibratedCamera, read_camera_parameters, read_qualisys_cameras
from smplifyx.evaluation.ehf_layout import Frame, read_benchmark
from smplifyx.evaluation.metrics import Alignment, fit_similarity, mpjpe, pa_mpjpe, pa_v2v, v2v
from smplifyx.evaluation.scoring import score
from smplifyx.evaluation.surface_metrics import SurfaceErrors, surface_errors
from smplifyx.evaluation.synthetic import SyntheticOptions, SyntheticPerson, synthetic_people
from smplifyx.evaluation.synthetic_detector import DetectorNoise
from smplifyx.evaluation.synthetic_files import write_openpose_json
from smplifyx.evaluation.synthetic_poses import PosePool, held_out_poses, mild_poses
from smplifyx.evaluation.triangulation import Triangulation, TriangulationOptions, triangulate
from smplifyx.evaluation.vertex_sets import VertexSets, vertex_sets
from smplifyx.evaluation.views_report import ViewErrors, views_report

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
