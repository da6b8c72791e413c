"""A study's records in one file that a stranger can check without the machine they come from."""
