"""What others logged to MLflow, as a table of runs: nothing is written."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from swinablate.config.plugins import did_you_mean
from swinablate.errors import InputError
from swinablate.records.disk.addresses import check_tracking
from swinablate.records.secrets import redact_address
from swinablate.tracking.runs import connected, telling

OURS = "declaration"
"""A tag that only runs of studies have; those that are no trials have another `kind`."""
ELSEWHERE = ("databricks", "databricks-uc", "uc", "uc-oss")
"""Schemes of stores that MLflow knows and a study never writes to."""
OWN = "mlflow."
"""Begins the names of tags in which MLflow keeps books."""


def table(uri: str, experiment: str) -> tuple[list[str], list[list[str]]]:
    """The runs of an experiment: a header, and a row a run.

    Columns are `run_id`, `status`, and `params.`, `tags.` and `metrics.` with a name; a metric has
    its last value. Of a study of this product, only trials are rows.

    Args:
        uri: MLflow's tracking URI.
        experiment: its name.

    Raises:
        InputError: there is no such store, experiment or run.
        EnvironmentFault: the store does not answer.
    """
    at = f"--tracking-uri {redact_address(uri)}"
    _check(uri, at)
    with telling(uri, "MLflow cannot be read"):
        client = connected(uri)
        found = client.get_experiment_by_name(experiment)
        if found is None:
            names = [one.name for one in client.search_experiments(max_results=1000)]
            raise InputError(
                f"no experiment is called {experiment!r}",
                at=at,
                hint=did_you_mean(experiment, names),
            )
        rows, token = [], None
        while True:
            page = client.search_runs(
                [found.experiment_id], order_by=["start_time ASC"], page_token=token
            )
            for run in page:
                tags = run.data.tags
                if OURS in tags and tags.get("kind") != "trial":
                    continue
                rows.append(
                    {
                        "run_id": run.info.run_id,
                        "status": run.info.status,
                        **{f"params.{key}": value for key, value in run.data.params.items()},
                        **{f"tags.{k}": v for k, v in tags.items() if not k.startswith(OWN)},
                        **{f"metrics.{k}": repr(v) for k, v in run.data.metrics.items()},
                    }
                )
            token = page.token
            if not token:
                break
    if not rows:
        raise InputError(
            f"the experiment {experiment!r} has no runs", at=at, hint="log some first"
        )
    header = list(dict.fromkeys(key for row in rows for key in row))
    return header, [[row.get(key, "") for key in header] for row in rows]


def _check(uri: str, at: str) -> None:
    """Refuse a place where nothing is: MLflow would make a store there.

    Raises:
        InputError: there is no such file or folder.
    """
    place = urlsplit(uri)
    path = Path(unquote(place.path))
    if place.scheme not in {"", "file", "sqlite", *ELSEWHERE}:
        check_tracking(uri, "--tracking-uri")
    if place.scheme == "sqlite" and not Path(unquote(place.path.removeprefix("/"))).is_file():
        raise InputError("there is no such database", at=at, hint="check the path")
    if place.scheme in {"", "file"} and not path.is_dir():
        hint = "write sqlite:///mlflow.db, http://HOST:PORT, or a folder mlruns"
        raise InputError("there is no such folder", at=at, hint=hint)
