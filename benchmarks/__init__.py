"""The benchmark suite: speed against peers. Not part of what is installed; imports swinablate."""
