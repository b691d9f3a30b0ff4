"""RL algorithms from pure pieces: shaping, advantage, surrogate, divergence, weights."""
