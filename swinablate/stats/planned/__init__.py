"""Studies before there are any: what seeds of equal noise give, budgets, simulated errors."""
