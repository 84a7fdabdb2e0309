"""Choice of male, female or neutral body models: labels, classifiers of faces and of whole people, decision rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smplifyx.late_imports import late_names

if TYPE_CHECKING:
    from smplifyx.gender.chooser import GenderChooser
    from smplifyx.gender.classifier import (
        ClassifierOutput,
        GenderClassifier,
        NetworkClassifier,
        OnnxClassifier,
        load_classifier,
    )
    from smplifyx.gender.decision import (
        CLASSES,
        DecisionRule,
        GenderDecision,
        GenderLabels,
        fallback,
        given,
        joint,
        read_labels,
    )
    from smplifyx.gender.face import FaceClassifier, FaceLocator
    from smplifyx.gender.network import (
        FeatureDistribution,
        GenderCheckpoint,
        GenderNetwork,
        GenderSettings,
        load_backbone,
        load_checkpoint,
        save_checkpoint,
        shipped_checkpoint,
    )
    from smplifyx.gender.people import Classification, Votes, classify_people, decide
    from smplifyx.gender.voters import (
        BodyVoter,
        CropRules,
        FaceVoter,
        Region,
        Voter,
        cut,
        load_voters,
        person_region,
        read_crops,
    )

__all__ = [
    "CLASSES",
    "BodyVoter",
    "Classification",
    "ClassifierOutput",
    "CropRules",
    "DecisionRule",
    "FaceClassifier",
    "FaceLocator",
    "FaceVoter",
    "FeatureDistribution",
    "GenderCheckpoint",
    "GenderChooser",
    "GenderClassifier",
    "GenderDecision",
    "GenderLabels",
    "GenderNetwork",
    "GenderSettings",
    "NetworkClassifier",
    "OnnxClassifier",
    "Region",
    "Voter",
    "Votes",
    "classify_people",
    "cut",
    "decide",
    "fallback",
    "given",
    "joint",
    "load_backbone",
    "load_checkpoint",
    "load_classifier",
    "load_voters",
    "person_region",
    "read_crops",
    "read_labels",
    "save_checkpoint",
    "shipped_checkpoint",
]

_HOMES = {
    "BodyVoter": "voters",
    "CLASSES": "decision",
    "Classification": "people",
    "ClassifierOutput": "classifier",
    "CropRules": "voters",
    "DecisionRule": "decision",
    "FaceClassifier": "face",
    "FaceLocator": "face",
    "FaceVoter": "voters",
    "FeatureDistribution": "network",
    "GenderCheckpoint": "network",
    "GenderChooser": "chooser",
    "GenderClassifier": "classifier",
    "GenderDecision": "decision",
    "GenderLabels": "decision",
    "GenderNetwork": "network",
    "GenderSettings": "network",
    "NetworkClassifier": "classifier",
    "OnnxClassifier": "classifier",
    "Region": "voters",
    "Voter": "voters",
    "Votes": "people",
    "classify_people": "people",
    "cut": "voters",
    "decide": "people",
    "fallback": "decision",
    "given": "decision",
    "joint": "decision",
    "load_backbone": "network",
    "load_checkpoint": "network",
    "load_classifier": "classifier",
    "load_voters": "voters",
    "person_region": "voters",
    "read_crops": "voters",
    "read_labels": "decision",
    "save_checkpoint": "network",
    "shipped_checkpoint": "network",
}

__getattr__ = late_names(__name__, _HOMES)
