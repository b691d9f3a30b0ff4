"""Tasks: what is asked, how an answer scores, and which answers mean the same."""
