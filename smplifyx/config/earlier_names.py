"""Settings of earlier versions of this program, and their names now."""

from __future__ import annotations

from collections.abc import Sequence

#: The name now of each renamed setting, or group of settings, by its dotted name.
EARLIER_NAMES: dict[str, str] = {
    # fit
    "input": "run.images, run.keypoints, people.max_persons, people.min_keypoints, people.min_confidence",
    "input.images": "run.images, or --images",
    "input.keypoints": "run.keypoints, or --keypoints",
    "input.max_persons": "people.max_persons",
    "input.min_keypoints": "people.min_keypoints",
    "input.min_confidence": "people.min_confidence",
    "output.folder": "run.output, or --output",
    "output.overwrite": "run.overwrite, or --overwrite",
    "output.save_mesh": "output.mesh_format, none for no meshes",
    "gender.classify": "gender.classifier, none for no classifier",
    "gender.checkpoint": "gender.classifier",
    "gender.onnx": "gender.classifier",
    "priors.vposer_checkpoint": "priors.vposer",
    "priors.vposer_deviation": "priors.vposer_residual",
    "priors.gmm_file": "priors.gmm",
    "priors.lifting_checkpoint": "lifting.checkpoint",
    "objective.lifting": "lifting.weight; lifting.enabled turns it off",
    "objective.joints_to_ignore": "objective.ignored_keypoints",
    "objective.upright": "objective.trunk_tilt",
    "objective.standing": "objective.upright_stance",
    "objective.bending": "stages.N.joint_limits",
    "starts.exchange_limbs": "lifting.undo_swaps",
    "starts.keep_after_stage": "starts.select_after_stage",
    "collision.max_rise": "collision.max_loss_increase",
    # train
    "foreign": "out_of_distribution",
    "verdict.foreign_limit": "verdict.distance_limit",
    "verdict.foreign_quantile": "verdict.distance_quantile",
    "verdict.foreign_passed": "verdict.out_of_distribution_accepted",
    "verdict.foreign_probability_limit": "verdict.out_of_distribution_limit",
    "detector.exchange_rate": "detector.swap_rate",
    "detector.doubt_rate": "detector.unsure_rate",
    "detector.hidden_rate": "detector.limb_hidden_rate",
    "detector.missed_share": "detector.body_miss_rate",
    "detector.no_hand_rate": "detector.hand_miss_rate",
    "detector.focal_spread": "people.focal_spread",
    "run.exchange_weight": "run.swap_weight",
    "run.max_epochs": "run.epochs",
}


def name_now(parts: Sequence[str]) -> str | None:
    """The present name of a setting, or of the group that it was in; None where no such setting is known.

    Args:
        parts: the parts of the dotted name.
    """
    for end in range(len(parts), 0, -1):
        found = EARLIER_NAMES.get(".".join(parts[:end]))
        if found is not None:
            return found
    return None
