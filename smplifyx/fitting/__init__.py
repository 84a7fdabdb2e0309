"""Parameters, objective, stages, batched L-BFGS and the fitter."""
