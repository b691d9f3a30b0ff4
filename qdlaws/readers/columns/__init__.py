"""The columns of a log: which is quality, diversity or entropy, its kind and its error."""
