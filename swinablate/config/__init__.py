"""What people write, as strict typed values: recipes, switches, levels, plug-in names.

Imports errors only; knows no torch.
"""
