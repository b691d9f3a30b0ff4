"""Training on several processes, with whole or sharded weights."""
