"""The network: torchvision's layout, the published size, and what normalisation does."""

from __future__ import annotations

import numpy as np
import torch

from smplifyx.gender.network import GenderNetwork, normalized


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
