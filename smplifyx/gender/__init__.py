"""Decides whether a person is fitted with a male, a female or a neutral body: labels, classifier, decision rule."""

from smplifyx.gender.checkpoint import (
    GenderCheckpoint,
    GenderSettings,
    load_backbone,
    load_checkpoint,
    save_checkpoint,
    shipped_checkpoint,
)
from smplifyx.gender.classifier import Answers, GenderClassifier, NetworkClassifier, OnnxClassifier
from smplifyx.gender.crop import CropRules, Region, cut, person_region
from smplifyx.gender.decision import DecisionRule, GenderDecision, fallback, given
from smplifyx.gender.foreignness import KnownFeatures
from smplifyx.gender.labels import GenderLabels, read_labels
from smplifyx.gender.network import CLASSES, GenderNetwork
from smplifyx.gender.people import classify_people

__all__ = [
    "CLASSES",
    "Answers",
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
    "classify_people",
    "cut",
    "fallback",
    "given",
    "load_backbone",
    "load_checkpoint",
    "person_region",
    "read_labels",
    "save_checkpoint",
    "shipped_checkpoint",
]
