"""The best quality that each KL allows, from samples of the reference, and best-of-n."""
