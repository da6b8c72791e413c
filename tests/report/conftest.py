"""Reports of the tests: the same table is drawn once, for most of them tell of the same study."""

import pickle
from collections.abc import Callable, Iterator
from importlib import import_module

import pandas as pd
import pytest

from swinablate.report.drawing import Figure
from swinablate.report.drawing.files import drawn

Drawn = dict[bytes, str]
Draw = Callable[..., str]


@pytest.fixture(scope="session", autouse=True)
def drawings() -> Drawn:
    """What was drawn for reports so far: of the same figure, rows, name and stamp, the same.

    That these give the same bytes again is what `test_figures` shows, on `drawn` itself. A test
    that wants everything drawn anew clears it.
    """
    return {}


@pytest.fixture(scope="session", autouse=True)
def drawn_once(drawings: Drawn) -> Iterator[Draw]:
    """`drawn`, which draws the same only once; reports of the tests use it too."""

    def once(figure: Figure, rows: pd.DataFrame, name: str, stamp: str = "") -> str:
        asked = pickle.dumps((figure.title, rows, name, stamp))
        if asked not in drawings:
            drawings[asked] = drawn(figure, rows, name, stamp)
        return drawings[asked]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(import_module("swinablate.report.plots"), "drawn", once)
        yield once
