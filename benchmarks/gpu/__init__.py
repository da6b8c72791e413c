"""What a GPU shows: `python -m benchmarks.gpu`."""
