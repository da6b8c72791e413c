"""Fixtures that several files share: a small recipe and a study about it."""

import gc
import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import jaxtyping
import pytest

from tests import ray as rays
from tests import slurm as slurms

_STRICT = jaxtyping.jaxtyped


def _remembering(*, typechecker: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Check no call twice whose shapes are those of another; for `--jaxtyping-packages`."""
    from tests import shapes  # torch, which the first process of pytest-xdist does without

    return shapes.remembering(_STRICT(typechecker=typechecker), typechecker)


jaxtyping.jaxtyped = _remembering

SELDOM = 10_000
"""New objects after which Python looks for garbage among them, fourteen times its own number: a
fifth of the time that collecting tests took was that, and a twentieth of the tests' own."""
gc.set_threshold(SELDOM)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI no integration test is skipped: a missing browser or database is a failure."""
    report = yield
    needed = os.environ.get("SWINABLATE_REQUIRE_ALL") and item.get_closest_marker("integration")
    if report.skipped and needed:
        where: Any = report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped, where nothing may be skipped: {where}"
    return report


def pytest_collection_finish() -> None:
    """Modules and tests stay to the end, so nobody looks through them for garbage again.

    A worker holds millions of such objects, and benchmarks collect before every round.
    """
    gc.freeze()


def pytest_unconfigure() -> None:
    """Libraries that count what they leave at the end would take it for lost."""
    gc.unfreeze()


RECIPE = """\
[model]
family = "swin"
patch = 2
width = 8
depths = [2]
heads = [2]
window = 2

[data]
name = "digits"
limit = 128

[train]
epochs = 2
batch = 32
"""

STUDY = """\
question = "Does the shift matter?"
baseline = "base.toml"
seeds = 3
baseline_seeds = 3

[axes]
"model.shift" = [false]
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a study and its recipe; returns the study's path.

    `text` is the study; `base` the recipe; each pair of `swap` is replaced in the study.
    """

    def make(text: str = STUDY, base: str = RECIPE, swap: tuple[str, str] = ("", "")) -> Path:
        assert swap[0] in text
        (tmp_path / "base.toml").write_text(base)
        study = tmp_path / "study.toml"
        study.write_text(text.replace(*swap) if swap[0] else text)
        return study

    return make


@pytest.fixture(scope="session")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the digits, prepared."""
    from swinablate.config.data import DataConfig
    from swinablate.data import prepare

    root = tmp_path_factory.mktemp("datasets")
    prepare(DataConfig(name="digits"), root)
    return root


@pytest.fixture(scope="session")
def slurm() -> Iterator[slurms.Cluster]:
    """A real cluster of two nodes; Slurm's commands ask it from now on."""
    if lacking := slurms.missing():
        pytest.skip(f"not installed: {lacking}")
    with slurms.started() as cluster, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(cluster.conf))
        for name in [name for name in os.environ if name.startswith("SLURM_JOB")]:
            patch.delenv(name)  # the tests may run in a job of another
        yield cluster


@pytest.fixture(scope="session")
def ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[rays.Cluster]:
    """A real cluster of two nodes; the executor joins it from now on."""
    if lacking := rays.missing():
        pytest.skip(f"not installed: {lacking}")
    hidden = tmp_path_factory.mktemp("unseen")
    with rays.started(hidden) as cluster, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ADDRESS", cluster.address)
        yield cluster
