"""What runs next: what is due, tuning's ledger, Optuna's queue and sampler, a study's status.

Imports study, stats and records.
"""
