"""Arithmetic: write an expression that equals a given number."""
