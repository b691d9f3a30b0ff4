"""The file formats of logs, one module each."""
