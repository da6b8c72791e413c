"""Weights of other implementations: files read, names turned into ours, tables fitted.

Imports config and torch; safetensors only when such a file is read.
"""
