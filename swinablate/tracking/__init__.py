"""MLflow: runs, views, notes, its server, and the copy that follows a study.

Imports records; the only package that opens MLflow.
"""
