"""Code that is not ours: found, told apart by its versions, and run with care."""
