import numpy as np
import pytest

from smplifyx.config import Override, load_config
from smplifyx.evaluation.ablations import FULL, TABLE_1, TABLE_2, Unavailable, Variant, all_variants, configuration


def test_each_variant_is_listed_once_and_the_full_method_first():
    keys = [variant.key for variant in all_variants()]
    assert keys[0] == "full"
    assert len(keys) == len(set(keys)) == len(TABLE_1) + len(TABLE_2) - 1


def test_published_figures_are_the_papers():
    assert [variant.published["v2v"] for variant in TABLE_1] == [57.6, 64.5, 54.2, 52.9]
    assert [variant.published.get("v2v") for variant in TABLE_2] == [52.9, 58.0, 56.4, 53.5, None]


def test_overrides_change_the_configuration():
    mixture = next(variant for variant in TABLE_2 if variant.key == "gmm")
    config = configuration(mixture, load_config())
    assert config.priors.body_pose == "gmm"
    assert configuration(FULL, load_config()) == load_config()


def test_what_is_not_there_cannot_be_taken_away():
    mixture = next(variant for variant in TABLE_2 if variant.key == "gmm")
    found = configuration(mixture, load_config(None, [Override("priors.body_pose", "gmm")]))
    assert isinstance(found, Unavailable)
    assert "priors.body_pose gmm" in found.reason


def test_settings_that_this_version_lacks_say_so():
    found = configuration(Variant("x", "x", {"body.model": "no such model"}), load_config())
    assert isinstance(found, Unavailable)
    assert found.reason.startswith("not available")


@pytest.mark.parametrize(("subset", "n_seen"), [("body", 25), ("all", 135)])
def test_keypoints_that_a_variant_sees(subset, n_seen):
    selected = Variant("x", "x", keypoints=subset).select(np.ones((135, 3)))
    assert selected[:, 2].sum() == n_seen
    assert selected[:25].all()
