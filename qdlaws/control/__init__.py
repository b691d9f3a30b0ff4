"""The controller decides from a run's log how far to turn its KL strength or reward scale."""
