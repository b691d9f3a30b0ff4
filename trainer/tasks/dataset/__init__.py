"""Data sets: prompts and answers from a file of the user's."""
