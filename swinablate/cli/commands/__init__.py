"""The commands, a module for each kind: they read options, call one function and print."""
