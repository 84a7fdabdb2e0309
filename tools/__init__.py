"""Maintainers' tools: builders of the shipped bodies and priors, drawings of demo, training and docs pictures."""
