"""The options and configuration keys of SMPLify-X, and the equivalent call of this program."""

from __future__ import annotations

_NO_EFFECT = "no option; it had no effect"
_MODEL = "--model smplx (body, hands, face), smplh (body, hands) or smpl (body)"

#: The equivalent of each option of SMPLify-X, by its name with underscores.
ORIGINAL_NAMES: dict[str, str] = {
    # files
    "data_folder": "--images DIR/images --keypoints DIR/keypoints",
    "img_folder": "--images DIR",
    "keyp_folder": "--keypoints DIR",
    "output_folder": "--output DIR",
    "result_folder": "--output DIR; parameters are in DIR/results",
    "mesh_folder": "--output DIR; meshes are in DIR/meshes",
    "summary_folder": "--output DIR; the table is DIR/summary.csv",
    "model_folder": "--models DIR",
    "prior_folder": "--priors.gmm FILE",
    "vposer_ckpt": "--priors.vposer PATH",
    "part_segm_fn": "--collision.part_segmentation FILE",
    "dataset": "no option; --keypoints DIR takes OpenPose files",
    "save_meshes": "--mesh-format obj, or --no-mesh",
    "visualize": "pictures are written to OUTPUT/images; --no-render turns them off",
    "interactive": "no option; nothing asks for input",
    # people and run
    "gender": "--gender neutral, male, female or auto; in YAML body.gender",
    "gender_lbl_type": "--gender auto reads gender_gt and gender_pd of the keypoint files",
    "max_persons": "--max-persons N; in YAML people.max_persons",
    "use_cuda": "--device cuda or cpu",
    "float_dtype": "--dtype float32 or float64",
    "batch_size": "--batch-size N, any number",
    # body model
    "model_type": "--model NAME; in YAML body.model",
    "use_hands": _MODEL,
    "use_face": _MODEL,
    "use_face_contour": "no option; the contour is used with the face",
    "use_pca": "no option; hand poses are always principal components",
    "num_pca_comps": "--body.n_hand_components N",
    "flat_hand_mean": "no option; hand poses in the results include the mean",
    # camera
    "focal_length": "--focal-length PIXELS; in YAML camera.focal_length",
    "depth_loss_weight": "no option; always 100, its default",
    "side_view_thsh": "--starts.side_view_threshold PIXELS",
    "init_joints_idxs": "no option; the camera stage uses shoulders and hips",
    "body_tri_idxs": "no option; the first depth comes from shoulders and hips",
    # priors
    "use_vposer": "--priors.body_pose vposer, or another prior",
    "body_prior_type": "--priors.body_pose gmm, l2, gaussian or none",
    "num_gaussians": "--priors.gmm FILE",
    "left_hand_prior_type": "no option; always l2, weight --stages.N.hand_pose W",
    "right_hand_prior_type": "no option; always l2, weight --stages.N.hand_pose W",
    "jaw_prior_type": "no option; always l2, weight --stages.N.jaw_pose X,Y,Z",
    # objective
    "rho": "--objective.rho R",
    "joints_to_ign": "--objective.ignored_keypoints NAMES; 1,9,12 are neck,right_hip,left_hip",
    "use_joints_conf": "no option; the confidence always weights a keypoint",
    "degrees": "--starts.headings N",
    "data_weights": "no option; body keypoints have weight 1, set the other weights relative to it",
    "body_pose_prior_weights": "--stages.N.body_pose W for stage N from 1",
    "shape_weights": "--stages.N.shape W for stage N from 1",
    "expr_weights": "--stages.N.expression W for stage N from 1",
    "hand_pose_prior_weights": "--stages.N.hand_pose W for stage N from 1",
    "jaw_pose_prior_weights": "--stages.N.jaw_pose X,Y,Z for stage N from 1",
    "hand_joints_weights": "--stages.N.hand_keypoints W for stage N from 1",
    "face_joints_weights": "--stages.N.face_keypoints W for stage N from 1",
    "coll_loss_weights": "--stages.N.collision W for stage N from 1; W is the square root of the original weight",
    # self-collision
    "interpenetration": "--collision.enabled true or false",
    "df_cone_height": "--collision.cone_height METRES",
    "ign_part_pairs": "--collision.ignored_parts PART-PART,...",
    "max_collisions": "no option; up to 32768 pairs of triangles per person",
    "penalize_outside": "no option; always true",
    "point2plane": "no option; always false",
    # optimiser
    "maxiters": "--optimizer.max_iterations N; the original runs 30 iterations in each of its own",
    "ftol": "--optimizer.tolerance T",
    "gtol": "no option; always 1e-9",
    "optim_type": "no option; always L-BFGS",
    "lr": "no option; a line search sets the step",
    "optim_jaw": _NO_EFFECT,
    "optim_hands": _NO_EFFECT,
    "optim_expression": _NO_EFFECT,
    "optim_shape": _NO_EFFECT,
}


def original_equivalent(name: str) -> str | None:
    """The equivalent of an option or key of SMPLify-X, with hyphens or underscores; None for any other name."""
    return ORIGINAL_NAMES.get(name.lstrip("-").replace("-", "_"))


def original_keys(values: dict[str, object], own_names: frozenset[str]) -> list[str]:
    """One line ``key: equivalent`` for each top-level key that is SMPLify-X's and not ours.

    Args:
        values: content of a YAML file.
        own_names: our top-level names; SMPLify-X's ``gender`` is one too, but holds no mapping there.
    """
    found = {
        name: ORIGINAL_NAMES[name]
        for name, value in values.items()
        if name in ORIGINAL_NAMES and (name not in own_names or not isinstance(value, (dict, type(None))))
    }
    return [f"{name}: {answer}" for name, answer in found.items()]
