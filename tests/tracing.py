"""Coverage's tracer rests where nothing of the package runs: a pytest plugin.

Before Python 3.14 coverage measures branches with a trace function, and while there is one, every
line of Python takes about twice as long: also those of libraries and of pytest, which nobody
measures. Here it is taken away while pytest collects and reports, and in functions of libraries
that take long and call nothing of ours; what they are called with, and what comes of it, is
measured as before. Without coverage this plugin does nothing.
"""

import functools
import importlib
import pkgutil
import sys
from collections.abc import Callable, Generator, Iterable
from typing import Any

import coverage
import pytest

import swinablate

DOORS = {
    "matplotlib.axes": {"Axes": ""},
    "matplotlib.figure": {"Figure": ""},
    "mlflow": {"MlflowClient": ""},
    "optuna": {"Study": "add_trial ask enqueue_trial get_trials tell", "create_study": ""},
    "optuna.storages": {"RDBStorage": ""},
    "scipy.stats": {"rv_continuous": "cdf isf pdf ppf sf"},
    "tomllib": {"load": "", "loads": ""},
    "torch": {"Tensor": "backward"},
    "torch.optim": {"AdamW": "step", "SGD": "step"},
}
"""Module -> name -> methods; empty takes a class's public ones, those of its parents included.

None calls a function of ours, but for the formatter of one axis.
"""
HEAVY = (
    "hypothesis", "matplotlib.pyplot", "mlflow", "optuna", "pandas", "scipy.stats", "seaborn",
    "sklearn.datasets", "torch", "torchvision",
)  # fmt: skip
"""Imported before anything of ours that would import them, with the tracer away."""


def rested(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, run without a trace function."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        tracer = sys.gettrace()
        if tracer is None:
            return function(*args, **kwargs)
        sys.settrace(None)
        try:
            return function(*args, **kwargs)
        finally:
            sys.settrace(tracer)

    return call


def public(kind: type) -> Iterable[str]:
    """The names of the methods of a class that are for everybody."""
    return [n for n in dir(kind) if not n.startswith("_") and callable(getattr(kind, n))]


def install() -> None:
    """Let the tracer rest behind every door."""
    for module, names in DOORS.items():
        library = importlib.import_module(module)
        for name, methods in names.items():
            found = getattr(library, name)
            if not isinstance(found, type):
                setattr(library, name, rested(found))
                continue
            for method in methods.split() or public(found):
                static = next(vars(k)[method] for k in found.__mro__ if method in vars(k))
                if not isinstance(static, staticmethod | classmethod):
                    setattr(found, method, rested(getattr(found, method)))


class Rests:
    """Hooks of pytest around which the tracer comes and goes."""

    def __init__(self, tracer: Any) -> None:
        self._tracer = tracer

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Collection is not measured, but for the modules of the package that it imports."""
        if session.config.pluginmanager.has_plugin("dsession"):
            return (yield)  # pytest-xdist's controller: its workers collect
        sys.settrace(None)
        for library in HEAVY:
            importlib.import_module(library)
        sys.settrace(self._tracer)
        for module in pkgutil.walk_packages(swinablate.__path__, "swinablate."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
        sys.settrace(None)
        install()
        try:
            return (yield)
        finally:
            sys.settrace(self._tracer)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self) -> Generator[None, Any, Any]:
        """Nor what is between tests."""
        sys.settrace(None)
        try:
            return (yield)
        finally:
            sys.settrace(self._tracer)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Fixtures are measured."""
        return (yield from self._measured(item))

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """So are tests."""
        return (yield from self._measured(item))

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """And the ends of fixtures."""
        return (yield from self._measured(item))

    def _measured(self, item: pytest.Item) -> Generator[None, Any, Any]:
        if item.get_closest_marker("unmeasured") is None:
            sys.settrace(self._tracer)
        try:
            return (yield)
        finally:
            sys.settrace(None)


def pytest_configure(config: pytest.Config) -> None:
    """Start where coverage traces; another Python's coverage, or none, has no trace function."""
    tracer = sys.gettrace()
    if tracer is not None and coverage.Coverage.current() is not None:
        config.pluginmanager.register(Rests(tracer))
