"""How much results vary, over which sources of noise, and how many replicates that takes."""
