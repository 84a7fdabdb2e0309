"""Choice of male, female or neutral body models: labels, classifiers of faces and of whole people, decision rules."""

from smplifyx.gender.chooser import GenderChooser
from smplifyx.gender.classifier import (
    ClassifierOutput,
    GenderClassifier,
    NetworkClassifier,
    OnnxClassifier,
    load_classifier,
)
from smplifyx.gender.decision import (
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
    CLASSES,
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
