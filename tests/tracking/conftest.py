"""A store of MLflow's with its tables, which take seconds to make: tests copy it."""

from pathlib import Path

import pytest

from swinablate.tracking.runs import connect


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file; no experiment is in it but MLflow's own."""
    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    connect(f"sqlite:///{file}")
    return file
