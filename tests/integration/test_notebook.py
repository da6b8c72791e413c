"""The notebook of the documentation, run from its first cell to its last by a real kernel."""

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from swinablate.text import signed
from tests.committed import opened

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,  # a kernel and its cells: a minute
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of Jupyter's own parts
]
ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs" / "tour.ipynb"


@pytest.fixture(scope="module")
def shown():
    """Source of a cell -> what it shows, by kind."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    where = {"metadata": {"path": str(NOTEBOOK.parent)}}
    NotebookClient(notebook, timeout=240, kernel_name="python3", resources=where).execute()
    return {
        cell.source: {
            kind: text for out in cell.outputs for kind, text in out.get("data", {}).items()
        }
        for cell in notebook.cells
        if cell.cell_type == "code"
    }


def table(shown, beginning):
    (found,) = [data for source, data in shown.items() if source.startswith(beginning)]
    return found["text/html"]


def test_verdicts_of_the_recorded_study_are_those_of_its_report(shown):
    html = table(shown, "import tarfile\n\nimport pandas")
    with opened(ROOT / "reports/quickstart") as bundle:
        report = json.loads(bundle.read("report/verdicts.json"))
    assert len(report["arms"]) > 3
    for arm in report["arms"]:
        row = html[html.index(f">{arm['name']}</td>") :].partition("</tr>")[0]
        assert f">{arm['verdict']}</td>" in row
        assert f">{signed(arm['delta_pp'])}</td>" in row


def test_a_study_is_planned_run_and_read(shown):
    assert "Does the shift matter?" in table(shown, "import tempfile")
    assert "shift=false" in table(shown, "planned = plan")
    assert "shift=false" in table(shown, "home = folder")
    results = table(shown, "study.results")
    assert results.count("<td>done</td>") == 6
    (figure,) = [data for source, data in shown.items() if "figure(" in source]
    assert figure["image/png"]


def test_the_notebook_keeps_no_output():
    """What a kernel showed once is nobody's result."""
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    assert all(not cell.outputs for cell in cells if cell.cell_type == "code")
