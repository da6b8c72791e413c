"""One question: study file, designs, arms, refusals, Plan, and what the plan promises.

Imports models, data, stats, records, config.
"""
