"""Batched L-BFGS with a strong-Wolfe line search: many independent problems at once, one per row."""
