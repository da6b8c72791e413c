"""The documentation site: built with every warning an error, looked at in a browser, and followed."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.test_ui import chromium

__all__ = ["chromium"]
pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
PAGES = ("index.html", "docs/tutorial.html", "docs/gallery.html", "docs/api.html")
NARROW, WIDE = 390, 1440
BLOCKS = re.compile(r"```(console|toml)\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `just docs-site` builds."""
    there = tmp_path_factory.mktemp("site")
    done = subprocess.run(  # noqa: PLW1510  what it printed is shown
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(there)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return there


def test_every_page_and_picture_is_there_and_nothing_is_fetched_from_elsewhere(site: Path):
    pages = [page for page in site.rglob("*.html") if "reports" not in page.parts]
    assert len(pages) > 30
    for page in pages:
        text = page.read_text("utf-8")
        sources = re.findall(r"<(?:img|script|link|iframe)[^>]+?(?:src|href)=\"?([^\"\s>]+)", text)
        assert [s for s in sources if s.startswith(("http:", "https:", "//"))] == [], page
        if page.name == "404.html":  # its addresses are those of a server
            continue
        for source in sources:
            own = source.partition("#")[0].partition("?")[0]
            assert source.startswith("data:") or (page.parent / own).exists(), (page, source)


def test_the_pages_fit_a_telephone_and_say_nothing_on_the_console(site: Path, chromium):
    errors: list[str] = []
    for width in (NARROW, WIDE):
        page = chromium.new_context(viewport={"width": width, "height": 900}).new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        for name in PAGES:
            page.goto((site / name).as_uri())
            assert page.locator("h1").first.inner_text()
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
    assert errors == []


@pytest.mark.slow
@pytest.mark.timeout(600)  # twenty trials of an epoch on two loaded cores
def test_the_tutorial_is_followed_literally(tmp_path: Path):
    """All its commands in an empty folder, its study file as it stands; but one epoch in fifteen."""
    page = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
    ran = []
    for kind, text in BLOCKS.findall(page):
        if kind == "toml":
            (tmp_path / "studies/window.toml").write_text(text)
            recipe = tmp_path / "experiments/window.toml"
            written = recipe.read_text()
            recipe.write_text(written.replace("epochs = 15", "epochs = 1"))
            assert recipe.read_text() != written
            continue
        for line in text.splitlines():
            words = shlex.split(line)
            assert words[0] == "swinablate"
            done = subprocess.run(  # noqa: PLW1510  what it printed is shown
                [sys.executable, "-m", *words], cwd=tmp_path, capture_output=True, text=True
            )
            assert done.returncode == 0, (line, done.stderr)
            ran.append(words[1])
    assert ran == ["new", "plan", "run", "status", "list", "show", "figure"]
    assert (tmp_path / "reports/window/index.html").exists()
    assert list(tmp_path.glob("window-forest.pdf"))
