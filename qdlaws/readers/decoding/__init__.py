"""Bytes and text to values: protobuf records, checksums, JSON and numbers."""
