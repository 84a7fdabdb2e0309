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
from smplifyx.gender.crop import CropRules, Region, cut, person_region, read_crops
from smplifyx.gender.decision import DecisionRule, GenderDecision, fallback, given
from smplifyx.gender.foreignness import KnownFeatures
from smplifyx.gender.labels import GenderLabels, read_labels
from smplifyx.gender.network import CLASSES, GenderNetwork
from smplifyx.gender.people import Answer, ask_about, decide

__all__ = [
    "CLASSES",
    "Answer",
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
