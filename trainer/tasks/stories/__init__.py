"""Stories: write a short open-ended text that a small grammar can derive."""
