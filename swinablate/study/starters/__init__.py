"""Commented study files to start from: of a network, and of a command."""
