"""The SMPL family: model files, skinning and keypoint regressor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smplifyx.late_imports import late_names

if TYPE_CHECKING:
    from smplifyx.body.body import Body, HandOptions, PosedBody, load_body_model
    from smplifyx.body.data import BodyModelData
    from smplifyx.body.files import load_body_model_data
    from smplifyx.body.search import find_body_model, list_body_models

__all__ = [
    "Body",
    "BodyModelData",
    "HandOptions",
    "PosedBody",
    "find_body_model",
    "list_body_models",
    "load_body_model",
    "load_body_model_data",
]

_HOMES = {
    "Body": "body",
    "BodyModelData": "data",
    "HandOptions": "body",
    "PosedBody": "body",
    "find_body_model": "search",
    "list_body_models": "search",
    "load_body_model": "body",
    "load_body_model_data": "files",
}

__getattr__ = late_names(__name__, _HOMES)
