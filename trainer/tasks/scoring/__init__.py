"""Scores: reward functions of the user, their worker processes, caches, budgets, metrics."""
