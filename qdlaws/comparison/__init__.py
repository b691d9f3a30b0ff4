"""Comparisons of several runs: do they share one law, and how much do their laws differ?"""
