"""Seeds until the answer is known: levels spent on looks, the design, and what a look decides.

Imports the rest of stats; of the rest, `power` takes the levels of `spending` only.
"""
