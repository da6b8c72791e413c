"""The documentation site's own pages: a hook of mkdocs (mkdocs.yml), and what its tests look at.

The site is the repository's pages at their own places, so that links between them hold in both:
README.md is the first page, docs/ and benchmarks/ stand beside it, and studies, recipes, reports
and results are files to take. What mkdocs cannot show stays text: a link to source code becomes
the name of the file, a diagram the list of what is in it.
"""

import inspect
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from swinablate.report.plots import figures, file_of, paper_of
from swinablate.report.tables import whole
from tests.answers import (
    adaptive,
    confused,
    designed,
    levels,
    nested,
    recalled,
    scaled,
    several,
    study,
    tuned,
)

ROOT = Path(__file__).parent.parent
PAGES = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "benchmarks/README.md",
    "docs/*.md",
    "benchmarks/results/*.md",
    "reports/README.md",
    "reports/*/report.md",
)
"""What becomes a page."""
TO_TAKE = (
    "CITATION.cff",
    "LICENSE",
    "benchmarks/results/*.csv",
    "benchmarks/results/*.json",
    "docs/pictures/*",
    "docs/*.css",
    "docs/*.ipynb",
    "experiments/*.toml",
    "studies/*.toml",
    "reports/*/figures/*",
    "reports/*/tables/*",
    "reports/*/*.json",
    "reports/*/records.tar.xz",
    "reports/*.json",
    "reports/*.toml",
)
"""What is copied as it is."""
STUDIES = (
    study,
    levels,
    scaled,
    several,
    nested,
    recalled,
    confused,
    adaptive,
    lambda: designed("factorial"),
    lambda: designed("path"),
    lambda: tuned(study()),
)
"""Made-up studies that have all figures among them."""
SOURCE = ".py", ".toml"
WIDTH = 6.75
"""Inches: a page of two columns, about as wide as the site's text."""
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")
DIAGRAM = re.compile(r"```mermaid\n(.*?)```\n", re.DOTALL)
FLOOR = re.compile(r"subgraph floor\d+ \[(\d+)\]\n(.*?)\n\s*end", re.DOTALL)
LISTED = {
    "studies": ("Shipped studies", "question", "A study asks a question"),
    "experiments": ("Shipped recipes", "", "A recipe is a network, its data and its training"),
}
"""Folders of TOML files that are given a page: its title, the key that says what a file is."""


def listing(folder: str) -> str:
    """The page that lists the TOML files of a folder, each with what it says of itself."""
    title, key, what = LISTED[folder]
    rows = [f"# {title}\n", f"{what}; the files are ready to run, and to copy from.\n"]
    rows += [f"| file | {key or 'network, data'} |", "|---|---|"]
    for path in sorted((ROOT / folder).glob("*.toml")):
        found = tomllib.loads(path.read_text("utf-8"))
        said = found[key] if key else f"{found['model']['family']}, {found['data']['name']}"
        rows.append(f"| [{path.name}]({path.name}) | {said.replace('|', '&#124;')} |")
    return "\n".join(rows) + "\n"


def gallery(config: MkDocsConfig) -> Iterator[File]:
    """The page of all figures, and the figures, each drawn of the first study that has it."""
    text = [
        "# Gallery\n",
        (
            "Every figure, in the order of the report, drawn by `swinablate` while this page was "
            "made. The studies are made up; only the drawings are real. How to draw one for a "
            "paper: [figures.md](figures.md).\n"
        ),
    ]
    answers = [make() for make in STUDIES]
    for name, figure in figures().items():
        answer = next(one for one in map(whole, answers) if figure.applies(one))
        drawn = file_of(answer, name, "svg", paper_of(WIDTH))
        yield File.generated(config, f"docs/gallery/{name}.svg", content=drawn)
        caption = " ".join((inspect.getdoc(sys.modules[figure.table.__module__]) or "").split())
        text += [
            f"## {figure.title}\n",
            f"![{figure.title}](gallery/{name}.svg)\n",
            f"{caption}\n",
            f"`swinablate figure STUDY {name}`\n",
        ]
    yield File.generated(config, "docs/gallery.md", content="\n".join(text))


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The files of the site, in place of those of docs/ alone; the theme's own stay."""
    found = Files([file for file in files if file.src_dir != config.docs_dir])
    for kind in (*PAGES, *TO_TAKE):
        for path in sorted(ROOT.glob(kind)):
            place = path.relative_to(ROOT).as_posix()
            found.append(File.generated(config, place, abs_src_path=str(path)))
    for folder in LISTED:
        found.append(File.generated(config, f"{folder}/index.md", content=listing(folder)))
    for file in gallery(config):
        found.append(file)
    return found


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Links to folders lead to their page, and source code is named; diagrams become lists."""
    here = (ROOT / page.file.src_uri).parent

    def linked(match: re.Match[str]) -> str:
        picture, text, target, place = match.groups(default="")
        path = (here / target).resolve()
        if "://" in target or not path.is_relative_to(ROOT) or not path.exists():
            return match[0]
        if path.is_dir() and path.name in LISTED:
            return f"[{text}]({target.rstrip('/')}/index.md)"
        if path.is_dir() or (path.suffix in SOURCE and path.parent.name not in LISTED):
            name = path.relative_to(ROOT).as_posix()
            return f"`{name}`" if text.strip("`") in name else f"{text} (`{name}`)"
        return f"{picture}[{text}]({target}{place})"

    def listed(match: re.Match[str]) -> str:
        rows = [
            f"| {floor} | {', '.join(f'`{name.strip()}`' for name in names.splitlines())} |"
            for floor, names in FLOOR.findall(match[1])
        ]
        return "\n".join(["| floor | packages |", "|---|---|", *rows]) + "\n"

    return LINK.sub(linked, DIAGRAM.sub(listed, markdown))
