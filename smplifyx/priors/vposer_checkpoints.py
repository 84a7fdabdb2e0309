"""Readers of trained pose networks: our ``.npz``, and the official VPoser checkpoints v1 and v2. No code is run."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch

from smplifyx.errors import InputError, reason
from smplifyx.files import atomic_path
from smplifyx.priors.pose_space import N_BODY_POSE, FloatArray, is_positive_definite
from smplifyx.priors.vposer import N_DECODED, Layer, VPoserWeights

_V1_PREFIX = "bodyprior_"
_V1_SLOPE = 0.2
_V1_LINEAR = ("enc_fc1", "enc_fc2", "enc_mu", "dec_fc1", "dec_fc2", "dec_out")
_V1_NORMS = ("enc_bn1", "enc_bn2")
_V2_PREFIX = "vp_model."
_V2_SLOPE = 0.01
_V2_LINEAR = ("encoder_net.2", "encoder_net.6", "encoder_net.7", "encoder_net.8.mu",
              "decoder_net.0", "decoder_net.3", "decoder_net.5")  # fmt: skip
_V2_NORMS = ("encoder_net.1", "encoder_net.4")
#: PyTorch's default, which both networks use.
_NORM_EPSILON = 1e-5
_SUFFIXES = (".npz", ".pt", ".ckpt")


def shipped_weights() -> Path:
    """Return the path of the network that ships with the package."""
    return Path(str(resources.files("smplifyx") / "data" / "priors" / "vposer.npz"))


def load_vposer(path: Path) -> VPoserWeights:
    """Read a trained network; ``source`` of the result names its kind.

    Args:
        path: our ``.npz``; an official checkpoint ``.pt`` (v1) or ``.ckpt`` (v2); or a folder such as
            ``vposer_v1_0`` or ``V02_05``, of which the newest file in ``snapshots`` is read.

    Raises:
        InputError: there is no such file, or it is damaged or something else; missing entries are named.
    """
    file = _newest_snapshot(path) if path.is_dir() else path
    if not file.is_file():
        raise InputError(file, "no such file; expected a trained VPoser (.npz, .pt, .ckpt) or its folder")
    if file.suffix == ".npz":
        return _load_npz(file)
    state = _load_state(file)
    is_v2 = any(key.startswith((_V2_PREFIX, "encoder_net.")) for key in state)
    try:
        weights = fold_v2(state) if is_v2 else fold_v1(state)
    except Exception as error:  # entries can have any shape and type
        raise InputError(file, f"not a VPoser checkpoint: {reason(error)}", "state_dict") from error
    return replace(weights, source=f"VPoser v{2 if is_v2 else 1}, {file.name}")


def save_vposer(path: Path, weights: VPoserWeights) -> None:
    """Write our own format, half-precision arrays and a line about their origin, atomically."""
    arrays: dict[str, Any] = {
        f"{chain}_{kind}_{number}": np.float16(getattr(layer, kind))
        for chain, layers in (("encoder", weights.encoder), ("decoder", weights.decoder))
        for number, layer in enumerate(layers)
        for kind in ("weight", "bias")
    }
    if weights.residual_covariance is not None:
        arrays["residual_covariance"] = np.float32(weights.residual_covariance)
    with atomic_path(path) as temporary:
        np.savez(temporary, negative_slope=weights.negative_slope, source=json.dumps(weights.source), **arrays)


class _WrongEntriesError(Exception):
    """Entries are missing or have the wrong shape (internal)."""


def fold_v1(state: Mapping[str, FloatArray]) -> VPoserWeights:
    """Fold the first published network, with two normalisations and two hidden layers in the encoder."""
    state = {key.removeprefix("module.").removeprefix(_V1_PREFIX): value for key, value in state.items()}
    _require(state, _entry_names(_V1_LINEAR, _V1_NORMS), _V1_PREFIX)
    encoder = (
        _after_norm(_linear(state, "enc_fc1"), state, "enc_bn1"),
        _after_norm(_linear(state, "enc_fc2"), state, "enc_bn2"),
        _linear(state, "enc_mu"),
    )
    decoder = tuple(_linear(state, name) for name in ("dec_fc1", "dec_fc2", "dec_out"))
    return _checked(VPoserWeights(encoder, decoder, _V1_SLOPE))


def fold_v2(state: Mapping[str, FloatArray]) -> VPoserWeights:
    """Fold the second published network, whose encoder has one rectifier: the three maps after it become one."""
    state = {key.removeprefix(_V2_PREFIX): value for key, value in state.items()}
    _require(state, _entry_names(_V2_LINEAR, _V2_NORMS), _V2_PREFIX)
    second = _after_norm(_linear(state, "encoder_net.6"), state, "encoder_net.4")
    for name in ("encoder_net.7", "encoder_net.8.mu"):
        second = _after(_linear(state, name), second)
    encoder = (_after_norm(_linear(state, "encoder_net.2"), state, "encoder_net.1"), second)
    decoder = tuple(_linear(state, name) for name in ("decoder_net.0", "decoder_net.3", "decoder_net.5"))
    return _checked(VPoserWeights(encoder, decoder, _V2_SLOPE))


def _entry_names(linear: Iterable[str], norms: Iterable[str]) -> list[str]:
    names = [f"{layer}.{kind}" for layer in linear for kind in ("weight", "bias")]
    kinds = ("weight", "bias", "running_mean", "running_var")
    return names + [f"{layer}.{kind}" for layer in norms for kind in kinds]


def _require(state: Mapping[str, FloatArray], names: Iterable[str], prefix: str) -> None:
    missing = [prefix + name for name in names if name not in state]
    if missing:
        raise _WrongEntriesError(f"missing {', '.join(missing)}")


def _linear(state: Mapping[str, FloatArray], name: str) -> Layer:
    weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
    if np.iscomplexobj(weight) or np.iscomplexobj(bias):
        raise _WrongEntriesError(f"{name} has complex numbers")
    layer = Layer(np.float64(weight), np.float64(bias))
    if layer.weight.ndim != 2 or layer.bias.shape != layer.weight.shape[:1]:
        raise _WrongEntriesError(f"{name} has shapes {layer.weight.shape} and {layer.bias.shape}")
    return layer


def _after(outer: Layer, inner: Layer) -> Layer:
    """Compose two maps."""
    return Layer(outer.weight @ inner.weight, outer.weight @ inner.bias + outer.bias)


def _after_norm(layer: Layer, state: Mapping[str, FloatArray], norm: str) -> Layer:
    """Compose a normalisation by running statistics and the map after it."""
    weight, bias, mean, variance = (
        np.float64(state[f"{norm}.{kind}"]) for kind in ("weight", "bias", "running_mean", "running_var")
    )
    scale = weight / np.sqrt(variance + _NORM_EPSILON)
    return _after(layer, Layer(np.diag(scale), bias - mean * scale))


def _checked(weights: VPoserWeights) -> VPoserWeights:
    """Return the weights; raise an error unless they are finite and the layers fit each other and 21 joints."""
    for name, layers, ends in (
        ("encoder", weights.encoder, (N_BODY_POSE, weights.n_latent)),
        ("decoder", weights.decoder, (weights.n_latent, N_DECODED)),
    ):
        sizes = [layers[0].weight.shape[1], *(layer.weight.shape[0] for layer in layers)]
        inner = [layer.weight.shape[1] for layer in layers[1:]]
        if (sizes[0], sizes[-1]) != ends or sizes[1:-1] != inner:
            raise _WrongEntriesError(f"the {name}'s layers have sizes {sizes}; expected {ends[0]} to {ends[1]}")
        if not all(np.isfinite(layer.weight).all() and np.isfinite(layer.bias).all() for layer in layers):
            raise _WrongEntriesError(f"the {name}'s layers have entries that are not finite")
    if not math.isfinite(weights.negative_slope):
        raise _WrongEntriesError(f"negative_slope is {weights.negative_slope}; expected a finite number")
    return weights


def _newest_snapshot(folder: Path) -> Path:
    snapshots = folder / "snapshots" if (folder / "snapshots").is_dir() else folder
    found = [path for path in snapshots.iterdir() if path.suffix in _SUFFIXES]
    if not found:
        raise InputError(folder, "expected snapshots/*.pt (VPoser v1) or snapshots/*.ckpt (v2), found none")
    return max(found, key=lambda path: (path.stat().st_mtime, path.name))


def _load_state(path: Path) -> dict[str, FloatArray]:
    """The tensors of a PyTorch file as arrays; anything but tensors and plain values is refused by torch."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can fail in any way
        raise InputError(path, f"not a file of plain tensors: {reason(error)}") from error
    state = content.get("state_dict", content) if isinstance(content, dict) else {}
    if not isinstance(state, dict) or not state:
        raise InputError(path, "expected a dictionary of tensors", "state_dict")
    return {str(name): value.double().numpy() for name, value in state.items() if isinstance(value, torch.Tensor)}


def _load_npz(path: Path) -> VPoserWeights:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        _require(arrays, ["negative_slope", "source", "encoder_weight_0", "decoder_weight_0"], "")
        weights = VPoserWeights(
            _chain(arrays, "encoder"),
            _chain(arrays, "decoder"),
            float(arrays["negative_slope"]),
            str(json.loads(str(arrays["source"]))),
            _residual_covariance(arrays),
        )
        return _checked(weights)
    except Exception as error:  # a damaged archive can fail in any way, and entries can have any shape and type
        raise InputError(path, f"not a trained VPoser: {reason(error)}") from error


def _residual_covariance(arrays: Mapping[str, FloatArray]) -> FloatArray | None:
    if "residual_covariance" not in arrays:
        return None
    covariance = np.float64(arrays["residual_covariance"])
    if covariance.shape != (N_BODY_POSE, N_BODY_POSE) or not is_positive_definite(covariance):
        raise _WrongEntriesError(f"residual_covariance is no covariance of shape {(N_BODY_POSE, N_BODY_POSE)}")
    return covariance


def _chain(arrays: Mapping[str, FloatArray], name: str) -> tuple[Layer, ...]:
    count = sum(key.startswith(f"{name}_weight_") for key in arrays)
    _require(arrays, [f"{name}_{kind}_{number}" for number in range(count) for kind in ("weight", "bias")], "")
    named = {f"{n}.{kind}": arrays[f"{name}_{kind}_{n}"] for n in range(count) for kind in ("weight", "bias")}
    return tuple(_linear(named, str(number)) for number in range(count))
