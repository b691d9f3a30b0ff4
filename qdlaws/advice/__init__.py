"""Advice for a run: stop or go on, the checkpoint to keep, the knobs to turn, the next reading."""
