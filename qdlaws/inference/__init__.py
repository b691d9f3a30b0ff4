"""Inference on arrays: posteriors of a law, error models, latent paths, e-processes."""
