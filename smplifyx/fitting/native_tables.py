"""Tables that Python hands to the native objective: the one place of their names, from which C++ declares them."""

from __future__ import annotations

from collections.abc import Sequence

#: Largest number of layers of a pose decoder.
MAX_LAYERS = 6
#: Addresses of arrays: type, name. "packed": in blocks of eight outputs, behind them the bias.
ADDRESSES: Sequence[tuple[str, str]] = (
    # Constants of the body.
    ("const float*", "template_map"),  # packed [3 J + 3 V, C] with bias
    ("const float*", "template_map_t"),
    ("const float*", "projection"),  # packed [n_pose, n_feature]
    ("const float*", "projection_t"),
    ("const float*", "pose_map"),  # packed [3 V, n_pose]
    ("const float*", "pose_map_t"),
    ("const float*", "turn_map"),  # packed [3 n_body, 3 n_body] with bias
    ("const float*", "turn_map_t"),
    ("const float*", "angle_map"),  # packed [3 n_angles, D] with bias
    ("const float*", "angle_map_t"),
    ("const int*", "parents"),
    ("const int*", "skin_start"),
    ("const int*", "skin_joint"),
    ("const float*", "skin_weight"),
    ("const int*", "static_start"),
    ("const int*", "static_point"),
    ("const float*", "static_weight"),
    ("const int*", "contour_vertex"),
    ("const float*", "contour_weight"),
    ("const float*", "rectifier"),  # [3] slope, rounding, its inverse
    ("const int*", "segments"),  # [n_segments, 2] joints
    ("const float*", "segment_shape"),  # [n_segments, 2] limit of the squared sine, share
    ("const int*", "hinges"),  # [n_hinges, 3] joint, axis, sign
    ("const float*", "first_columns"),  # [layer_size_1, code] of the decoder's first layer, code in blocks of lanes
    ("const float*", "second_start"),  # [layer_size_2, code] of the first two layers, with the rectifier's slope
    *(("const float*", f"layer_{k}") for k in range(MAX_LAYERS)),  # packed, with bias
    *(("const float*", f"layer_{k}_t") for k in range(MAX_LAYERS)),
    # Of the rows.
    ("const float*", "base"),
    ("const float*", "orientation"),
    ("const float*", "origin"),
    ("const int*", "contour_row"),
    ("const int*", "free_column"),
    ("const float*", "targets"),  # [B, K, 4] X / Z and Y / Z of the observed ray, distances of the start from it
    ("const float*", "keypoint_weights"),  # [B, K] factors of the squared errors
    ("const float*", "cameras"),  # [B, 3] focal lengths, scale of pixels
    ("const float*", "stance"),  # [B]
    ("const float*", "lifted"),  # [B, 21, 3]
    ("const float*", "precision"),  # [B, 21, 3, 3]
    ("const float*", "quadratic"),  # [D] weights of the squared parameters
    # Of the call.
    ("const long long*", "rows"),
    ("const float*", "x_in"),
    ("float*", "loss_out"),
    ("float*", "gradient_out"),
    ("vf*", "workspace"),
    ("float*", "world_out"),
    ("float*", "positions_out"),
    ("float*", "rest_out"),
    ("float*", "coefficients_out"),
    ("const float*", "to_world_in"),
    ("const float*", "to_positions_in"),
    ("const float*", "to_rest_in"),
    ("const float*", "to_coefficients_in"),
    ("float*", "matrices_out"),
    (
        "float*",
        "joint_jacobian_out",
    ),  # [rows, 6 J, F]; with it, matrices are not factorised
    (
        "const float*",
        "extra_in",
    ),  # [rows, n_extra, 9 J + C] more residuals' derivatives for turns, places, rest, shape
    ("vf*", "scratch"),
)
#: Whole numbers.
SIZES = (
    "n_rows", "D", "F", "J", "n_body", "mode", "n_code", "n_layers", "first_angle", "n_angles", "C", "first_shape",
    "n_feature", "n_pose", "V", "n_static", "n_contour", "pose_start", "turn_start", "first_orient",
    "first_translation", "ws_size", "run", "n_segments", "n_hinges", "n_lifted",
    "code_blocks", "n_extra",
    *(f"layer_size_{k}" for k in range(MAX_LAYERS + 1)),
)  # fmt: skip
#: Squared weights and shapes of the terms.
WEIGHTS = ("rho", "w_limits", "w_tilt", "w_stance", "w_lifting", "w_depth", "w_frames", "frame_limit", "damping")
#: Kinds of calls.
RUNS = ("FORWARD", "BACKWARD", "BOTH", "GAUSS_NEWTON")

ADDRESS_OF = {name: place for place, (_, name) in enumerate(ADDRESSES)}
SIZE_OF = {name: place for place, name in enumerate(SIZES)}
WEIGHT_OF = {name: place for place, name in enumerate(WEIGHTS)}


def declarations() -> str:
    """C++ that reads all entries of the tables P (addresses), I (sizes) and W (weights) into constants."""
    lines = [f"constexpr int {name} = {number};" for number, name in enumerate(RUNS)]
    for place, (kind, name) in enumerate(ADDRESSES):
        if not name.startswith("layer_"):
            lines.append(f"{kind} const {name} = ({kind})P.data[{place}];")
    lines += [f"const int {name} = I.data[{k}];" for k, name in enumerate(SIZES) if not name.startswith("layer_")]
    lines += [f"const float {name} = W.data[{k}];" for k, name in enumerate(WEIGHTS)]
    for name, first in (("layers", "layer_0"), ("layers_t", "layer_0_t")):
        lines.append(f"const float* const* const {name} = (const float* const*)&P.data[{ADDRESS_OF[first]}];")
    lines.append(f"const int* const layer_size = &I.data[{SIZE_OF['layer_size_0']}];")
    return "\n".join(lines)
