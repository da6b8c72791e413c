"""Runs of one MLflow experiment, written so that a second time changes nothing."""

import getpass
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import urlopen

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")  # its own 7 take four minutes
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")  # its own is 120 s, for every try

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, Experiment, InputTag, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from swinablate.records.disk import stores
from swinablate.tracking import text

logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # tracebacks of what we tell
logging.getLogger("alembic").setLevel(logging.WARNING)

ANSWER_S = 5.0
"""How long a server may take for its first answer; a running one takes milliseconds."""
MOST_ROWS, MOST_PARAMS = 800, 100
"""In one call: MLflow takes a hundred parameters, and a thousand things of all kinds together."""
Row = tuple[str, float, int, int]
"""Metric, value, Unix time in milliseconds, step."""


@dataclass
class Known:
    """What we know of one run, so that nothing is written twice."""

    id: str
    name: str
    status: str
    started: int
    tags: dict[str, str]
    params: dict[str, str]
    artifacts: str
    metrics: tuple[str, ...] = ()
    rows: set[Row] | None = None  # None: not read yet


class Runs:
    """The runs of one experiment. One thread writes; every failure is MLflow's own."""

    def __init__(self, client: MlflowClient, experiment: str) -> None:
        self._client, self.experiment = client, experiment

    def __iter__(self) -> Iterator[Known]:
        token: str | None = None
        while True:
            page = self._client.search_runs([self.experiment], max_results=1000, page_token=token)
            yield from map(_known, page)
            token = page.token
            if not token:
                return

    def create(self, name: str, tags: Mapping[str, str], started: int) -> Known:
        """A new running run."""
        tags = {key: text.cut(value) for key, value in tags.items()}
        run = self._client.create_run(
            self.experiment, start_time=started, tags=tags, run_name=name
        )
        known = _known(run)
        known.rows = set()
        return known

    def delete(self, run: Known) -> None:
        """Put a run into MLflow's bin."""
        self._client.delete_run(run.id)

    def restart(self, run: Known) -> None:
        """Show an ended run as running again."""
        if run.status != "RUNNING":
            self._client.update_run(run.id, status="RUNNING")
            run.status = "RUNNING"

    def end(self, run: Known, status: str, at: int) -> None:
        """Show a run as ended at `at`, Unix ms."""
        self._client.set_terminated(run.id, status=status, end_time=max(at, run.started))
        run.status = status

    def wait(self, run: Known) -> None:
        """Show a run as one that waits for what is to come."""
        if run.status != "SCHEDULED":
            self._client.update_run(run.id, status="SCHEDULED")
            run.status = "SCHEDULED"

    def rename(self, run: Known, name: str) -> None:
        """Give a run another name."""
        if run.name != name:
            self._client.update_run(run.id, name=name)
            run.name = name

    def tag(self, run: Known, tags: Mapping[str, str]) -> None:
        """Set what differs."""
        self.add(run, tags=tags)

    def describe(self, run: Known, params: Mapping[str, str]) -> None:
        """Add the parameters the run does not have; MLflow never changes one."""
        self.add(run, params=params)

    def log(self, run: Known, rows: set[Row]) -> None:
        """Add the rows the run does not have."""
        self.add(run, rows=rows)

    def add(
        self,
        run: Known,
        *,
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        rows: Set[Row] = frozenset(),
    ) -> None:
        """Add what the run does not have, in as few calls as MLflow allows: a call costs most."""
        cut = {key: text.cut(value) for key, value in (tags or {}).items()}
        cut = {key: value for key, value in cut.items() if run.tags.get(key) != value}
        new = {key: value for key, value in (params or {}).items() if key not in run.params}
        more = sorted(rows - self.rows(run), key=lambda row: (row[3], row[0])) if rows else []
        told = [RunTag(key, value) for key, value in cut.items()]
        shown = [Param(key, value) for key, value in new.items()]
        while told or shown or more:  # MLflow refuses more in one call
            part = [Metric(*row) for row in more[:MOST_ROWS]]
            self._client.log_batch(run.id, part, shown[:MOST_PARAMS], told)
            more, shown, told = more[MOST_ROWS:], shown[MOST_PARAMS:], []
        run.tags |= cut
        run.params |= new
        if rows:
            self.rows(run).update(rows)

    def rows(self, run: Known) -> set[Row]:
        """Every metric row of the run."""
        if run.rows is None:
            run.rows = {
                (key, row.value, row.timestamp, row.step)
                for key in run.metrics
                for row in self._client.get_metric_history(run.id, key)
            }
        return run.rows

    def write(self, run: Known, files: Mapping[str, Any]) -> None:
        """Keep files among the run's artifacts: where these are files here, without a call.

        For a call MLflow reads the whole run to find out where its files are, and copies them.

        Args:
            run: of these.
            files: name -> text, or plain data for a JSON file.
        """
        if place := _folder(run.artifacts):
            place.mkdir(parents=True, exist_ok=True)
            _write(place, files)
            return
        with TemporaryDirectory() as folder:
            _write(Path(folder), files)
            self._client.log_artifacts(run.id, folder)

    def keep(self, run: Known, folder: Path, names: Iterable[str]) -> None:
        """Keep some files of a folder among the run's artifacts."""
        for name in names:
            above = str(Path(name).parent)
            self._client.log_artifact(run.id, str(folder / name), None if above == "." else above)

    def trained_on(self, run: Known, dataset: str, sha256: str) -> None:
        """Name the data set."""
        data = Dataset(
            name=dataset,
            digest=sha256[:12],  # MLflow refuses more than 36; the whole one is in `source`
            source_type="local",
            source=json.dumps({"name": dataset, "sha256": sha256}),
        )
        context = InputTag("mlflow.data.context", "training")
        self._client.log_inputs(run.id, [DatasetInput(data, [context])])


def _write(folder: Path, files: Mapping[str, Any]) -> None:
    for name, content in files.items():
        said = content if isinstance(content, str) else json.dumps(content, indent=1)
        (folder / name).write_text(said, "utf-8")


def connect(uri: str) -> MlflowClient:
    """A client of the store at `uri`, whose tables exist."""
    with stores.creation(uri):
        stores.reach(uri)  # MLflow would try for minutes
        answers(uri)
        with stores.made_whole(uri) as draft:
            if draft is not None:
                _tables(draft)
        return _tables(uri)


def connected(uri: str) -> MlflowClient:
    """A client of somebody else's store; no tables are made there."""
    place = urlsplit(uri)
    if place.scheme in {"", "file"}:  # folders of older versions, which are read for ever
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    elif place.scheme != "sqlite":
        stores.reach(uri)  # MLflow would try for minutes
        answers(uri)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _tables(uri: str) -> MlflowClient:
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    client.search_experiments(max_results=1)
    return client


def answers(uri: str) -> None:
    """Fail soon where a server accepts connections and never answers.

    Any answer will do: whether it is one of MLflow's, and lets us in, MLflow finds out.

    Raises:
        TimeoutError: it does not answer.
    """
    place = urlsplit(uri)
    if place.scheme not in {"http", "https"}:
        return
    plain = place._replace(netloc=place.netloc.rpartition("@")[2], path=place.path or "/")
    try:
        with urlopen(plain.geturl(), timeout=ANSWER_S):  # noqa: S310  http or https
            return
    except HTTPError:
        return
    except (URLError, TimeoutError) as error:
        if "timed out" in str(error):
            raise TimeoutError(f"it does not answer within {ANSWER_S:.0f} s") from None


def another_home(client: MlflowClient, name: str, artifacts: Path) -> bool:
    """Put an experiment aside whose files would be written into the home that ours is a copy of.

    MLflow keeps the place of an experiment's files for ever, as an absolute path. So a home that
    was copied or moved gets an experiment of its own, and the other, which may have notes of
    somebody's, gets another name; in its own home it gets the old one back.

    Returns:
        Whether the experiment called `name` was another home's.
    """
    found = client.get_experiment_by_name(name)
    place = None if found is None else _folder(str(found.artifact_location))
    if found is None or place is None or _same(place, artifacts):
        return False
    _rename(client, found, _aside(name, place))
    if ours := client.get_experiment_by_name(_aside(name, artifacts)):
        _rename(client, ours, name)
    return True


def _rename(client: MlflowClient, found: Experiment, name: str) -> None:
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)  # MLflow renames nothing in its bin
    client.rename_experiment(found.experiment_id, name)


def _aside(name: str, place: Path) -> str:
    """A name that tells homes apart; long paths by their ends, as MLflow takes 256 characters."""
    return f"{name} (home {str(place.parent)[-150:]})"


def _folder(location: str) -> Path | None:
    """The folder of an experiment's files; None where they are on no disk."""
    parts = urlsplit(location)
    if parts.netloc not in {"", "localhost"}:
        return None  # another host's
    return Path(unquote(parts.path)) if parts.scheme in {"file", ""} and parts.path else None


def _same(one: Path, other: Path) -> bool:
    with suppress(OSError):
        return one.samefile(other)
    return one.resolve() == other.resolve()


def experiment(client: MlflowClient, name: str, artifacts: Path | None) -> Experiment:
    """The experiment called `name`; created, or taken out of MLflow's bin."""
    found = client.get_experiment_by_name(name)
    if found is None:
        place = artifacts.as_uri() if artifacts else None
        try:
            client.create_experiment(name, artifact_location=place)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        found = client.get_experiment_by_name(name)
    assert found is not None
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return found


def user() -> str:
    """Whose runs they are."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return "unknown"


@contextmanager
def telling(uri: str, what: str = "MLflow cannot be written") -> Iterator[None]:
    """Tell every failure of the store as ours."""
    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
        raise stores.fault(error, uri, what) from error


def _known(run: Run) -> Known:
    return Known(
        id=run.info.run_id,
        name=run.info.run_name,
        status=run.info.status,
        started=run.info.start_time,
        tags=dict(run.data.tags),
        params=dict(run.data.params),
        artifacts=str(run.info.artifact_uri or ""),
        metrics=tuple(run.data.metrics),
    )
