"""Draws the pictures of docs/mlflow.md: what a browser shows of a home with a finished study.

`python -m tests.pictures HOME STUDY`, from the folder that holds the study's reports; needs
Chromium. The pictures are of a real run, so they are committed and not made with the site.
"""

import re
import signal
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
VIEWS = {"table": "Ablation", "curves": "Curves"}
"""File -> the beginning of the title of a link of `ui`'s page."""
SIZE = {"width": 1200, "height": 720}
WAIT_MS = 180_000
"""Of MLflow's first answer on a loaded machine."""
DRAWN_MS = 15_000
"""After its first row MLflow still draws its curves, for seconds."""


def main(home: str, study: str) -> None:
    """Serve the home, and take a picture of every view."""
    server = subprocess.Popen(
        [sys.executable, "-m", "swinablate", "ui", "--home", home, "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
    )
    said, address = "", None
    while not address and server.poll() is None:
        said += server.stderr.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+/", said)
    try:
        if not address:
            raise SystemExit(said)
        with sync_playwright() as started:
            browser = started.chromium.launch(
                executable_path="/usr/bin/chromium", args=["--no-sandbox"]
            )
            shoot(browser.new_page(viewport=SIZE), address[0], study)
            browser.close()
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)


def shoot(page: Page, base: str, study: str) -> None:
    """Take the page of all studies, then each of MLflow's views that it leads to."""
    PICTURES.mkdir(exist_ok=True)
    page.set_default_timeout(WAIT_MS)
    for file, title in {"studies": "", **VIEWS}.items():
        page.goto(base)
        card = page.locator(f'[data-study="{study}"]')
        link = card.get_by_text(re.compile(f"^MLflow: .*{title}", re.IGNORECASE)).first
        link.wait_for()
        expect(card).not_to_contain_text("judging", timeout=WAIT_MS)
        if title:
            link.click()
            page.get_by_text("baseline").first.wait_for()
            page.wait_for_timeout(DRAWN_MS)
        page.screenshot(path=PICTURES / f"{file}.png")


if __name__ == "__main__":
    main(*sys.argv[1:])
