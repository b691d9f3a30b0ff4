"""Diversity of texts: distinct-n, edit distance, self-BLEU."""
