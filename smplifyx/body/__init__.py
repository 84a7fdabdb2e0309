"""The SMPL family: model files, skinning and keypoint regressor."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that commands without tensors start without torch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
