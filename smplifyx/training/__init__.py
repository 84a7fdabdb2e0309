"""Training of priors and classifiers on the user's own data."""
