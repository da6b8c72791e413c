"""Networks of other people's making: import paths, timm and torchvision.

Imports config and torch; the libraries only when asked.
"""
