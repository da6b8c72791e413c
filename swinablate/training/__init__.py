"""One trial, or several fused, from a job to its metrics; what a worker runs.

Imports models, data, config, records; of what is slow, torch alone.
"""
