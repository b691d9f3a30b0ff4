"""The nouns of the library: run logs, goals, the formula of a law, intervals and summaries."""
