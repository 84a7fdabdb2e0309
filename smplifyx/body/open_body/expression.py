"""The linear expression space, from random activations of the source's facial action units."""

from __future__ import annotations

import numpy as np

from smplifyx.body.model_data import FloatArray
from smplifyx.body.open_body.source import SourceModel

N_EXPRESSION_COMPONENTS = 10
_N_ACTIVATIONS = 2000
_SEED = 20
#: Left to the eye and jaw joints, or (the tongue) to nobody.
_EXCLUDED_ACTIONS = ("eyeLook", "jawOpen", "tongueOut")


def fit_expression_space(model: SourceModel, n_components: int = N_EXPRESSION_COMPONENTS) -> FloatArray:
    """[E, V, 3] displacements for one standard deviation of each component, in the source's rest pose.

    The neutral face stays the template: activations are taken as deviations from their mean.
    """
    kept = [k for k, name in enumerate(model.action_names) if not name.startswith(_EXCLUDED_ACTIONS)]
    actions = model.action_shapes[kept].astype(np.float64)
    random = np.random.default_rng(_SEED)
    active = random.uniform(size=(_N_ACTIVATIONS, len(kept))) < 0.3
    activations = active * random.uniform(size=active.shape)
    activations -= activations.mean(axis=0)
    flat = actions.reshape(len(kept), -1)
    # Principal components within the span of the action units: factor the covariance of the activations first.
    factor = np.linalg.cholesky(activations.T @ activations / _N_ACTIVATIONS)
    _, scales, directions = np.linalg.svd(factor.T @ flat, full_matrices=False)
    return (scales[:n_components, None] * directions[:n_components]).reshape(n_components, *actions.shape[1:])
