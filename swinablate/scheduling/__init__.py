"""What runs next: what is due, the ledger of tuning, Optuna's queue and sampler, and how far a study is.

Imports study and records.
"""
