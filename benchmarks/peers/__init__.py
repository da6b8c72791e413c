"""What benchmarks compare with: networks and loops of others, in their own style."""
