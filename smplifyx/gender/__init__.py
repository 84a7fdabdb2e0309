"""Choice of male, female or neutral body models: labels, classifier, decision rule."""

from smplifyx.gender.checkpoint import (
    GenderCheckpoint,
    GenderSettings,
    load_backbone,
    load_checkpoint,
    save_checkpoint,
    shipped_checkpoint,
)
from smplifyx.gender.classifier import (
    ClassifierOutput,
    GenderClassifier,
    NetworkClassifier,
    OnnxClassifier,
    load_classifier,
)
from smplifyx.gender.crop import CropRules, Region, cut, person_region, read_crops
from smplifyx.gender.decision import DecisionRule, GenderDecision, GenderLabels, fallback, given, read_labels
from smplifyx.gender.network import CLASSES, FeatureDistribution, GenderNetwork
from smplifyx.gender.people import Classification, choose_genders, classify_people, decide

__all__ = [
    "CLASSES",
    "Classification",
    "ClassifierOutput",
    "CropRules",
    "DecisionRule",
    "FeatureDistribution",
    "GenderCheckpoint",
    "GenderClassifier",
    "GenderDecision",
    "GenderLabels",
    "GenderNetwork",
    "GenderSettings",
    "NetworkClassifier",
    "OnnxClassifier",
    "Region",
    "choose_genders",
    "classify_people",
    "cut",
    "decide",
    "fallback",
    "given",
    "load_backbone",
    "load_checkpoint",
    "load_classifier",
    "person_region",
    "read_crops",
    "read_labels",
    "save_checkpoint",
    "shipped_checkpoint",
]
