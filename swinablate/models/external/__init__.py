"""Networks of other people's making: import paths, timm and torchvision.

Imports config and torch; the libraries only when asked. `mended` also asks networks of ours what
only they can tell of a meaning that was mended.
"""
