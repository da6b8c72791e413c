"""Random changes of training images, bytes in and bytes out. Imports config and torch."""
