"""Classifiers on disk: what comes back, and what is refused."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from smplifyx.errors import InputError
from smplifyx.gender import GenderNetwork, load_backbone, load_checkpoint, save_checkpoint


@pytest.fixture
def path(checkpoint, tmp_path):
    save_checkpoint(tmp_path / "gender.safetensors", checkpoint)
    return tmp_path / "gender.safetensors"


def test_a_checkpoint_comes_back_in_half_precision(checkpoint, path):
    loaded = load_checkpoint(path)
    assert loaded.settings == checkpoint.settings
    assert loaded.features is not None
    x = torch.randn(3, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(loaded.network(x), checkpoint.network(x), atol=5e-3, rtol=5e-3)
        features = loaded.network.features(x)
    torch.testing.assert_close(loaded.features.distance(features), checkpoint.features.distance(features))
    n_bytes = 2 * sum(p.numel() for p in checkpoint.network.parameters())
    assert path.stat().st_size < 1.5 * n_bytes


def test_the_feature_distribution_is_optional(checkpoint, tmp_path):
    bare = replace(checkpoint, features=None, settings=replace(checkpoint.settings, distance_limit=None))
    save_checkpoint(tmp_path / "a.safetensors", bare)
    assert load_checkpoint(tmp_path / "a.safetensors").features is None


def test_the_out_of_distribution_output_comes_back(checkpoint, tmp_path):
    network = GenderNetwork(4, detects_out_of_distribution=True).eval()
    torch.nn.init.normal_(network.out_of_distribution.weight)
    settings = replace(checkpoint.settings, out_of_distribution_limit=0.25)
    save_checkpoint(tmp_path / "a.safetensors", replace(checkpoint, network=network, settings=settings))
    assert "network.out_of_distribution.weight" in load_file(tmp_path / "a.safetensors")
    loaded = load_checkpoint(tmp_path / "a.safetensors")
    assert loaded.settings.out_of_distribution_limit == 0.25
    features = torch.rand(3, network.n_features)
    with torch.no_grad():
        expected = network.out_of_distribution_logits(features)
        torch.testing.assert_close(
            loaded.network.out_of_distribution_logits(features), expected, atol=2e-2, rtol=2e-2
        )


def test_a_limit_without_its_output_is_refused(path):
    with pytest.raises(InputError, match=r"network\.out_of_distribution\.weight"):
        load_checkpoint(changed(path, out_of_distribution_limit=0.25))


def test_values_beyond_half_precision_are_kept(checkpoint, tmp_path):
    network = GenderNetwork(4)
    network.bn1.running_var[:] = 1e6
    save_checkpoint(tmp_path / "a.safetensors", replace(checkpoint, network=network))
    assert load_checkpoint(tmp_path / "a.safetensors").network.bn1.running_var[0] == 1e6


def changed(path, tensors=None, **settings):
    """The file with other tensors or settings."""
    with safe_open(path, "pt") as file:
        values = json.loads(file.metadata()["smplifyx_gender"]) | settings
    save_file(load_file(path) | (tensors or {}), path, {"smplifyx_gender": json.dumps(values)})
    return path


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"width": 8}, "network.conv1.weight"),
        ({"width": 10**9}, "width"),
        ({"side": 0}, "side"),
        ({"side": True}, "side"),
        ({"temperature": 0.0}, "temperature"),
        ({"threshold": "high"}, "threshold"),
        ({"distance_limit": float("nan")}, "distance_limit"),
        ({"out_of_distribution_limit": -1}, "out_of_distribution_limit"),
        ({"source": 3}, "source"),
        ({"extra": 3}, "metadata smplifyx_gender"),
    ],
)
def test_wrong_settings_are_named(path, settings, field):
    with pytest.raises(InputError, match=str(path)) as raised:
        load_checkpoint(changed(path, **settings))
    assert field in str(raised.value)


def test_wrong_tensors_are_named(path):
    with pytest.raises(InputError, match=r"features\.means"):
        load_checkpoint(changed(path, {"features.means": torch.zeros(2, 3)}))


def test_other_files_are_refused(tmp_path, path):
    with pytest.raises(InputError, match="no such file"):
        load_checkpoint(tmp_path / "none.safetensors")
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match="damaged"):
        load_checkpoint(damaged)
    save_file({"a": torch.zeros(1)}, damaged)
    with pytest.raises(InputError, match="metadata"):
        load_checkpoint(damaged)


def torchvision_like(width=4, n_classes=1000):
    network = GenderNetwork(width)
    network.fc = torch.nn.Linear(8 * width, n_classes)
    return network.state_dict()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_with_torchvisions_names_load_but_for_another_last_layer(tmp_path, suffix):
    path, state = tmp_path / f"resnet18{suffix}", torchvision_like()
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    network = GenderNetwork(4)
    last = network.fc.weight.clone()
    load_backbone(path, network)
    assert torch.equal(network.layer4[1].conv2.weight, state["layer4.1.conv2.weight"])
    assert torch.equal(network.fc.weight, last)


def test_our_own_files_serve_as_a_start_with_their_last_layer(checkpoint, path):
    network = GenderNetwork(4)
    load_backbone(path, network)
    torch.testing.assert_close(network.fc.weight, checkpoint.network.fc.weight, atol=1e-3, rtol=1e-3)


def test_other_networks_and_code_are_refused(tmp_path):
    with pytest.raises(InputError, match="width 8"):
        torch.save(torchvision_like(4), tmp_path / "slim.pth")
        load_backbone(tmp_path / "slim.pth", GenderNetwork(8))

    class Evil:
        def __reduce__(self):
            return (print, ("code ran",))

    (tmp_path / "evil.pth").write_bytes(pickle.dumps({"conv1.weight": Evil()}, protocol=2))
    with pytest.raises(InputError, match="cannot be read as weights"):
        load_backbone(tmp_path / "evil.pth", GenderNetwork(4))
