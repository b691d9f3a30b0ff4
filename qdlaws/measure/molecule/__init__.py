"""Diversity of molecules: internal diversity, #Circles, scaffolds and their fingerprints."""
