"""Laws fitted to a run's log, with verdict, certificate, composition, alternatives and plots."""
