"""A recipe that is a command: its words, its switches, where its numbers come from."""
