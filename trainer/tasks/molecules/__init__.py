"""Molecules: write SMILES with a high score, of one property or of several."""
