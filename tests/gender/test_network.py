"""The network, its file, and distances to the features of the training."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from scipy.spatial.distance import mahalanobis

from smplifyx.errors import InputError
from smplifyx.gender import GenderNetwork, load_backbone, load_checkpoint, save_checkpoint
from smplifyx.gender import network as gender_network
from smplifyx.gender.network import FeatureDistribution, normalized


def test_full_width_is_the_published_network():
    network = GenderNetwork()
    state = network.state_dict()
    # torchvision's resnet18 has 11,689,512 parameters, 1000 classes of 513 among them, in 122 tensors.
    assert sum(p.numel() for p in network.parameters()) == 11_689_512 - 998 * 513
    assert len(state) == 122
    assert state["layer2.0.downsample.0.weight"].shape == (128, 64, 1, 1)
    assert state["layer4.1.bn2.running_var"].shape == (512,)
    assert state["conv1.weight"].shape == (64, 3, 7, 7)
    assert "layer1.0.downsample.0.weight" not in state


def test_shapes_at_any_width_and_side():
    network = GenderNetwork(8).eval()
    for side in (64, 97):
        x = torch.randn(2, 3, side, side)
        assert network.features(x).shape == (2, network.n_features) == (2, 120)
        assert network(x).shape == (2, 2)
        torch.testing.assert_close(network(x), network.fc(network.features(x)[:, -64:]))


def test_normalisation_turns_opencv_colours_into_red_green_blue():
    crop = np.zeros((1, 4, 4, 3), np.uint8)
    crop[..., 2] = 255
    x = normalized(torch.as_tensor(crop))
    expected = [(1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225]
    np.testing.assert_allclose(x[0, :, 1, 2], expected, rtol=1e-5)


@pytest.fixture
def features():
    rng = np.random.default_rng(0)
    labels = np.arange(600) % 2
    return rng.normal(size=(600, 5)) @ rng.normal(size=(5, 5)) + 4.0 * labels[:, None], labels


def test_it_is_the_mahalanobis_distance_to_the_nearer_class(features, monkeypatch):
    monkeypatch.setattr(gender_network, "_SHRINKAGE", 0.0)
    points, labels = features
    distribution = FeatureDistribution.of(torch.as_tensor(points), torch.as_tensor(labels))
    means = [points[labels == label].mean(0) for label in (0, 1)]
    centred = points - np.array(means)[labels]
    inverse = np.linalg.inv(centred.T @ centred / len(points))
    others = np.random.default_rng(1).normal(size=(7, 5)) * 5
    expected = [min(mahalanobis(x, mean, inverse) for mean in means) / 5**0.5 for x in others]
    np.testing.assert_allclose(distribution.distance(torch.as_tensor(others).float()), expected, rtol=1e-3)


def test_training_features_have_distance_one_and_others_more(features):
    points, labels = features
    distribution = FeatureDistribution.of(torch.as_tensor(points), torch.as_tensor(labels))
    own = distribution.distance(torch.as_tensor(points).float())
    assert 0.8 < own.mean() < 1.1
    assert distribution.distance(torch.full((1, 5), 40.0)) > own.max()


def test_features_that_never_vary_do_no_harm():
    points = torch.rand(50, 4)
    points[:, 2] = 0.0
    distribution = FeatureDistribution.of(points, torch.arange(50) % 2)
    assert distribution.distance(points).isfinite().all()


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
