"""The answer of a recipe to its knobs, on an exact bandit, and simulated runs to steer."""
