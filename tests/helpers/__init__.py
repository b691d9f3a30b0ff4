"""What several tests share: simulated runs, tiny models, a browser, files of other tools."""
