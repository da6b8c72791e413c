"""Executors, one per file. A file here is an executor of that name."""
