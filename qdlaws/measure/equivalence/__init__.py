"""Distinct answers, where an equivalence says which of them mean the same."""
