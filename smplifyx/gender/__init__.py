"""Decides whether a person is fitted with a male, a female or a neutral body: labels, classifier, decision rule."""

from smplifyx.gender.checkpoint import (
    GenderCheckpoint,
    GenderSettings,
    load_backbone,
    load_checkpoint,
    save_checkpoint,
    shipped_checkpoint,
)
from smplifyx.gender.classifier import ClassifierOutput, GenderClassifier, NetworkClassifier, OnnxClassifier
from smplifyx.gender.crop import CropRules, Region, cut, person_region, read_crops
from smplifyx.gender.decision import DecisionRule, GenderDecision, GenderLabels, fallback, given, read_labels
from smplifyx.gender.network import CLASSES, GenderNetwork, KnownFeatures
from smplifyx.gender.people import Classification, ask_about, decide

__all__ = [
    "CLASSES",
    "Classification",
    "ClassifierOutput",
    "CropRules",
    "DecisionRule",
    "GenderCheckpoint",
    "GenderClassifier",
    "GenderDecision",
    "GenderLabels",
    "GenderNetwork",
    "GenderSettings",
    "KnownFeatures",
    "NetworkClassifier",
    "OnnxClassifier",
    "Region",
    "ask_about",
    "cut",
    "decide",
    "fallback",
    "given",
    "load_backbone",
    "load_checkpoint",
    "person_region",
    "read_crops",
    "read_labels",
    "save_checkpoint",
    "shipped_checkpoint",
]
