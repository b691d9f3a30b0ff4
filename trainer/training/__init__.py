"""The stages of one run: set-up, rollouts, updates, evaluations, checkpoints and files."""
