"""A study into MLflow's bin, under another name, so that the next of its name begins anew."""

import time
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from swinablate.records.disk import stores
from swinablate.tracking.runs import Runs, connect, telling

if TYPE_CHECKING:
    from mlflow import MlflowClient


def remove_experiments(
    uri: str, names: Iterable[str], declarations: Collection[str]
) -> Iterator[tuple[str, list[Path]]]:
    """Put a study's experiments into MLflow's bin.

    An experiment that also holds runs of others, from another home on one server, stays, and loses
    the runs of these declarations only.

    Args:
        uri: of the store; one that is not there yet is not made.
        names: of the experiments.
        declarations: digests of all that the study declared.

    Yields:
        For each that was there what was done, in words, and the folders of its runs' files on this
        machine.

    Raises:
        EnvironmentFault: the store is out of reach, or refuses.
    """
    uri = stores.sqlalchemy_url(uri)
    file = stores.database(uri)
    if file is not None and not file.exists():
        return
    with telling(uri):
        client = connect(uri)
        for name in dict.fromkeys(names):
            found = client.get_experiment_by_name(name)
            if found is None or found.lifecycle_stage == "deleted":
                continue
            runs = Runs(client, str(found.experiment_id))
            every = list(runs)
            mine = [run for run in every if run.tags.get("declaration") in declarations]
            places = [place for run in mine if (place := _folder(client, run.id)) is not None]
            if len(mine) < len(every):
                for run in mine:
                    runs.delete(run)
                left = len(every) - len(mine)
                yield f"{len(mine)} runs of {name!r}; {left} are of others, and stay", places
                continue
            # MLflow has no door to delete for good but `mlflow gc`; and it would take the old
            # runs out of its bin again for the next study of that name.
            stamp = time.strftime("%Y-%m-%d %H:%M:%S")
            client.rename_experiment(found.experiment_id, f"{name} (removed {stamp})"[:256])
            client.delete_experiment(found.experiment_id)
            yield f"the experiment {name!r}, {len(mine)} runs, into MLflow's bin", places


def _folder(client: "MlflowClient", run: str) -> Path | None:
    """The folder of a run's files; None where they are on no disk of this machine."""
    parts = urlsplit(str(client.get_run(run).info.artifact_uri))
    return Path(unquote(parts.path)).parent if parts.scheme in {"file", ""} else None
