"""SQL: write the query that answers a question about a small database."""
