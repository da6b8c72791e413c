"""Runs a study: the coordinator, executors (plug-ins), worker processes, devices.

Imports scheduling, tracking, training, study, and what these stand on.
"""
