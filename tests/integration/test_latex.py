"""The LaTeX tables in a real TeX: they compile, and nothing sticks out of the column."""

import shutil
import subprocess
from pathlib import Path

import pytest

from swinablate.report import contents
from tests.answers import QUICKSTART, Sketch, study

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex on this machine"),
]
HOSTILE = "<script>alert('x')</script> & \"q\" |`*_ $x_2$ \\end{tabular} 100%"
LONG = "position_bias=" + "everything" * 6
PAGE = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage{textcomp, booktabs, tabularx, siunitx}
\begin{document}
\setbox0=\vbox{\hsize=WIDTH\linewidth=\hsize\noindent\input{table}}
\typeout{it is \the\wd0\space wide}\shipout\box0
\end{document}
"""


@pytest.mark.parametrize(("name", "width"), [("arms", "3.25in"), ("arms_wide", "6.75in")])
def test_table_compiles_and_fits_its_column(tmp_path: Path, name: str, width: str) -> None:
    lost = Sketch(name="half", statuses=("done", "done", "failed", "diverged", "done"))
    dead = Sketch(name="lr=1000.0", statuses=("diverged",) * 5)
    far = Sketch(name=LONG, mean=12.0)
    answer = study([*QUICKSTART, Sketch(name=HOSTILE, mean=96.0), far, lost, dead])
    (tmp_path / "table.tex").write_bytes(contents(answer)[f"tables/{name}.tex"])
    (tmp_path / "page.tex").write_text(PAGE.replace("WIDTH", width))
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120, errors="replace",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
    assert "it is " in done.stdout
