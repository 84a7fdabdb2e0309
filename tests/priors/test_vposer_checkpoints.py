"""Official checkpoints, by tensors of the published layers and, where installed, by the original's own code."""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import types

import numpy as np
import pytest
import torch
from torch import nn

from smplifyx.errors import InputError
from smplifyx.priors.vposer import VPoser
from smplifyx.priors.vposer_checkpoints import load_vposer, save_vposer, shipped_weights

_POSES = 0.6 * torch.randn(7, 63, dtype=torch.float64, generator=torch.manual_seed(0))
_CODES = torch.randn(7, 32, dtype=torch.float64, generator=torch.manual_seed(1))


def _seasoned(network: nn.Module) -> nn.Module:
    """Normalisation layers with statistics and scales of their own, as after training."""
    generator = torch.manual_seed(2)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.normal_(generator=generator)
            module.running_var.uniform_(0.5, 2.0, generator=generator)
            module.weight.data.uniform_(0.5, 2.0, generator=generator)
            module.bias.data.normal_(generator=generator)
    return network.double().eval()


def _v1_layers(n_hidden: int = 512) -> nn.ModuleDict:
    layers = {
        "enc_bn1": nn.BatchNorm1d(63), "enc_fc1": nn.Linear(63, n_hidden), "enc_bn2": nn.BatchNorm1d(n_hidden),
        "enc_fc2": nn.Linear(n_hidden, n_hidden), "enc_mu": nn.Linear(n_hidden, 32),
        "enc_logvar": nn.Linear(n_hidden, 32), "dec_fc1": nn.Linear(32, n_hidden),
        "dec_fc2": nn.Linear(n_hidden, n_hidden), "dec_out": nn.Linear(n_hidden, 126),
    }  # fmt: skip
    return _seasoned(nn.ModuleDict({f"bodyprior_{name}": layer for name, layer in layers.items()}))


class _Head(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mu, self.logvar = nn.Linear(512, 32), nn.Linear(512, 32)


def _v2_layers() -> nn.ModuleDict:
    slope = 0.01
    encoder = nn.Sequential(
        nn.Flatten(), nn.BatchNorm1d(63), nn.Linear(63, 512), nn.LeakyReLU(slope), nn.BatchNorm1d(512),
        nn.Dropout(0.1), nn.Linear(512, 512), nn.Linear(512, 512), _Head(),
    )  # fmt: skip
    decoder = nn.Sequential(
        nn.Linear(32, 512), nn.LeakyReLU(slope), nn.Dropout(0.1), nn.Linear(512, 512), nn.LeakyReLU(slope),
        nn.Linear(512, 126),
    )  # fmt: skip
    return _seasoned(nn.ModuleDict({"encoder_net": encoder, "decoder_net": decoder}))


def _rotations(numbers: torch.Tensor) -> torch.Tensor:
    """Gram-Schmidt by QR, whose signs are set so that the columns keep their directions."""
    columns = numbers.reshape(-1, 21, 3, 2)
    q, r = torch.linalg.qr(columns)
    q = q * torch.sign(torch.diagonal(r, dim1=-2, dim2=-1))[..., None, :]
    return torch.cat([q, torch.linalg.cross(q[..., 0], q[..., 1])[..., None]], -1)


def test_v1_equals_the_published_layers(tmp_path):
    net = _v1_layers()
    folder = tmp_path / "vposer_v1_0"
    (folder / "snapshots").mkdir(parents=True)
    torch.save({f"module.{key}": value for key, value in net.state_dict().items()}, folder / "snapshots/TR00_E096.pt")
    prior = VPoser(load_vposer(folder), torch.float64)
    assert prior.source == "VPoser v1, TR00_E096.pt"

    def act(x):
        return nn.functional.leaky_relu(x, 0.2)

    layer = {name.removeprefix("bodyprior_"): module for name, module in net.items()}
    hidden = layer["enc_bn2"](act(layer["enc_fc1"](layer["enc_bn1"](_POSES))))
    expected = layer["enc_mu"](act(layer["enc_fc2"](hidden)))
    torch.testing.assert_close(prior.encode(_POSES), expected)
    decoded = layer["dec_out"](act(layer["dec_fc2"](act(layer["dec_fc1"](_CODES)))))
    torch.testing.assert_close(prior.decode(_CODES).rotations, _rotations(decoded))


def test_v2_equals_the_published_layers(tmp_path):
    net = _v2_layers()
    state = {f"vp_model.{key}": value for key, value in net.state_dict().items()}
    path = tmp_path / "V02_05" / "snapshots" / "V02_05_epoch=13_val_loss=0.03.ckpt"
    path.parent.mkdir(parents=True)
    torch.save({"epoch": 13, "state_dict": {**state, "bm_train.v_template": torch.zeros(5, 3)}}, path)
    prior = VPoser(load_vposer(tmp_path / "V02_05"), torch.float64)
    assert prior.source.startswith("VPoser v2")
    encoder = net["encoder_net"]
    torch.testing.assert_close(prior.encode(_POSES), encoder[8].mu(encoder[:8](_POSES)))
    torch.testing.assert_close(prior.decode(_CODES).rotations, _rotations(net["decoder_net"](_CODES)))


def test_v1_equals_the_original_code(tmp_path):
    """The package human_body_prior 0.8 (PyPI, `pip install --no-deps human_body_prior==0.8.5.0`) is the witness."""
    pytest.importorskip("human_body_prior", reason="human_body_prior is not installed (non-commercial licence)")
    for name in ("torchgeometry", "configer", "human_body_prior.body_model.body_model"):  # imported, but not needed
        stub = types.ModuleType(name)
        stub.Configer = stub.BodyModel = object
        sys.modules.setdefault(name, stub)
    original_module = pytest.importorskip("human_body_prior.train.vposer_smpl")
    original = _seasoned(original_module.VPoser(512, 32, [1, 21, 3]))
    path = tmp_path / "TR00_E096.pt"
    torch.save(original.state_dict(), path)
    prior = VPoser(load_vposer(path), torch.float64)
    torch.testing.assert_close(prior.encode(_POSES), original.encode(_POSES.reshape(-1, 1, 21, 3)).mean)
    expected = original.decode(_CODES, output_type="matrot").reshape(-1, 21, 3, 3)
    torch.testing.assert_close(prior.decode(_CODES).rotations, expected)


def test_missing_entries_are_named(tmp_path):
    state = _v1_layers(8).state_dict()
    del state["bodyprior_dec_out.bias"], state["bodyprior_enc_bn1.running_var"]
    path = tmp_path / "other.pt"
    torch.save(state, path)
    with pytest.raises(InputError, match=r"other.pt.*bodyprior_dec_out.bias.*bodyprior_enc_bn1.running_var"):
        load_vposer(path)


def test_a_network_of_other_sizes_is_refused(tmp_path):
    state = _v1_layers(8).state_dict()
    state["bodyprior_dec_out.weight"], state["bodyprior_dec_out.bias"] = torch.zeros(69, 8), torch.zeros(69)
    torch.save(state, tmp_path / "hands.pt")
    with pytest.raises(InputError, match=r"decoder's layers have sizes \[32, 8, 8, 69\]"):
        load_vposer(tmp_path / "hands.pt")


class _Trap:
    def __reduce__(self):
        return os.mkdir, (os.environ["TRAP"],)


@pytest.mark.parametrize("write", [torch.save, lambda x, path: path.write_bytes(pickle.dumps(x))])
def test_code_in_a_checkpoint_is_never_run(tmp_path, monkeypatch, write):
    monkeypatch.setenv("TRAP", str(tmp_path / "sprung"))
    path = tmp_path / "evil.ckpt"
    write({"state_dict": _Trap()}, path)
    with pytest.raises(InputError, match=r"evil.ckpt: not a file of plain tensors") as error:
        load_vposer(path)
    assert "never loaded" in str(error.value) and "\n" not in str(error.value)
    for advice in ("weights_only", "safe_globals", "trust"):
        assert advice not in str(error.value)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("content", [b"", b"PK", b"not a network"])
@pytest.mark.parametrize("name", ["a.npz", "a.pt"])
def test_damaged_files_are_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name):
        load_vposer(tmp_path / name)


@pytest.mark.parametrize(
    "changes",
    [
        {"negative_slope": np.array([0.1, 0.2])},
        {"negative_slope": np.array("steep")},
        {"negative_slope": np.array(np.nan)},
        {"source": np.array("{not json")},
        {"encoder_weight_1": np.array(["text"])},
        {"encoder_weight_1": np.ones((7, 512), np.float16)},
        {"decoder_bias_0": np.full(512, np.nan, np.float16)},
        {"decoder_weight_2": np.ones((126, 512), np.complex64)},
        {"residual_covariance": np.full((63, 63), np.nan)},
        {"residual_covariance": np.ones((63, 63, 1))},
        {"residual_covariance": np.array(["a"])},
    ],
)
def test_wrong_entries_of_our_format_are_input_errors(tmp_path, changes):
    with np.load(shipped_weights()) as file:
        arrays = {name: file[name] for name in file.files}
    np.savez(tmp_path / "wrong.npz", **(arrays | changes))
    with pytest.raises(InputError, match=r"wrong.npz: not a trained VPoser"):
        load_vposer(tmp_path / "wrong.npz")


def test_damaged_bytes_are_input_errors_or_harmless(tmp_path):
    whole = bytearray(shipped_weights().read_bytes())
    rng = np.random.default_rng(0)
    path = tmp_path / "damaged.npz"
    for _ in range(30):
        damaged = bytearray(whole)
        start = int(rng.integers(len(whole) - 64))
        damaged[start : start + 64] = rng.bytes(64)
        path.write_bytes(damaged)
        with contextlib.suppress(InputError):
            load_vposer(path)
    for size in (10, 300, len(whole) // 2, len(whole) - 30):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError):
            load_vposer(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"bodyprior_enc_fc2.weight": torch.ones(512, 7)},
        {"bodyprior_enc_bn1.weight": torch.ones(5)},
        {"bodyprior_enc_bn1.running_var": torch.full((63,), -1.0)},
        {"bodyprior_dec_out.bias": torch.full((126,), torch.nan)},
    ],
)
def test_wrong_entries_of_a_checkpoint_are_input_errors(tmp_path, changes):
    torch.save(_v1_layers().state_dict() | changes, tmp_path / "wrong.pt")
    with pytest.raises(InputError, match=r"wrong.pt: state_dict: not a VPoser checkpoint"):
        load_vposer(tmp_path / "wrong.pt")


def test_missing_file_and_empty_folder(tmp_path):
    with pytest.raises(InputError, match=r"nothing.pt: no such file"):
        load_vposer(tmp_path / "nothing.pt")
    with pytest.raises(InputError, match=r"snapshots/\*.pt"):
        load_vposer(tmp_path)


def test_our_own_format_keeps_the_network_to_half_precision(tmp_path):
    net = _v1_layers()
    torch.save(net.state_dict(), tmp_path / "a.pt")
    weights = load_vposer(tmp_path / "a.pt")
    save_vposer(tmp_path / "a.npz", weights)
    stored = load_vposer(tmp_path / "a.npz")
    assert (stored.source, stored.negative_slope) == (weights.source, weights.negative_slope)
    # Poses of a network with random weights may be anything near, so that the weights themselves are compared.
    for ours, exact in zip((*stored.encoder, *stored.decoder), (*weights.encoder, *weights.decoder), strict=True):
        np.testing.assert_allclose(ours.weight, exact.weight, rtol=2.0**-10, atol=1e-6)
        np.testing.assert_allclose(ours.bias, exact.bias, rtol=2.0**-10, atol=1e-6)
    assert any(
        (ours.weight != exact.weight).any() for ours, exact in zip(stored.encoder, weights.encoder, strict=True)
    )


def test_a_network_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    torch.save(_v1_layers(8).state_dict(), tmp_path / "a.pt")
    weights = load_vposer(tmp_path / "a.pt")
    save_vposer(path, weights)
    old = path.read_bytes()

    def full_disk(file, **arrays):
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_vposer(path, weights)
    assert path.read_bytes() == old
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.npz", "a.pt"]
