"""The truth on disk: events, attempts, outcomes, plans, locks, provenance, and tables of them.

Imports errors only (pandas for tables).
"""
