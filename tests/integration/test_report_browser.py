"""The page in a real browser: nothing leaves, nothing runs, nothing sticks out."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import Browser, Page, sync_playwright

from swinablate.records.plan import HypothesisRecord, RefusalRecord
from swinablate.report import render
from tests.answers import BASELINE, QUICKSTART, Sketch, many, study

pytestmark = pytest.mark.integration

HOSTILE = "<img src=x onerror=alert(1)><script>alert('x')</script> \"q\" & " + "long" * 20
HEADINGS = [
    "Findings", "Effects", "Arms", "Cost", "Learning curves", "Seeds",
    "Parts of each arm", "Families", "Hypotheses",
    "Not run, because", "Warnings", "Methods", "Provenance", "Trials",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    if not Path(chromium).exists():
        pytest.skip(f"no browser at {chromium}")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lost = Sketch(name="half", statuses=("done", "done", "failed", "diverged", "done"))
    answer = study(
        [*QUICKSTART, Sketch(name=HOSTILE), Sketch(name="far", mean=11.0), lost],
        hypotheses=[HypothesisRecord(arm="shift=false", expect="worse", by=1.0, source=HOSTILE)],
        refusals=[RefusalRecord(name=HOSTILE, reason=HOSTILE)],
    )
    out = tmp_path_factory.mktemp("report")
    render(answer, out)
    return out / "index.html"


def opened(browser: Browser, path: Path, width: int) -> tuple[Page, list[str], list[str]]:
    page = browser.new_page(viewport={"width": width, "height": 900})
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_load_state("networkidle")
    return page, said, asked


def violations(page: Page) -> list[tuple[str, str, str]]:
    """What axe finds wrong with a page: rule, impact, the first place."""
    page.evaluate(AXE_FILE_PATH.read_text("utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [(v["id"], v["impact"], v["nodes"][0]["html"][:200]) for v in found["violations"]]


@pytest.mark.parametrize("width", [360, 390, 1400])
def test_page_is_quiet_and_fits(browser: Browser, report: Path, width: int) -> None:
    page, said, asked = opened(browser, report, width)
    assert said == []
    assert asked == [report.as_uri()]
    assert page.locator("h2").all_inner_texts() == HEADINGS
    page.locator("summary").click()
    overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert overflow <= 0
    outside = page.evaluate(
        """() => [...document.querySelectorAll('body *')]
            .filter(e => !e.closest('.box, svg') || e.matches('.box'))
            .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
            .map(e => e.tagName + ' ' + e.className)"""
    )
    assert outside == []
    assert page.evaluate("document.scripts.length") == 1  # the page's own, by its digest
    page.close()


def test_wide_table_needs_no_scrolling_on_a_desk(browser: Browser, report: Path) -> None:
    page, _, _ = opened(browser, report, 1400)
    box = page.locator("[aria-label='Table of arms']")
    assert box.evaluate("e => e.scrollWidth - e.clientWidth") <= 0
    page.close()


@pytest.mark.parametrize("figure", ["forest", "cost", "curves", "seeds"])
def test_no_text_of_a_figure_is_cut_or_tiny(browser: Browser, report: Path, figure: str) -> None:
    page, _, _ = opened(browser, report, 1400)
    texts = page.evaluate(
        """name => {
            const svg = document.querySelector(`svg[aria-labelledby^='${name}-title']`);
            const frame = svg.getBoundingClientRect();
            return [...svg.querySelectorAll('text')].map(t => {
                const box = t.getBoundingClientRect();
                const cut = Math.max(frame.left - box.left, box.right - frame.right,
                                     frame.top - box.top, box.bottom - frame.bottom);
                const size = parseFloat(getComputedStyle(t).fontSize) * frame.width
                             / svg.viewBox.baseVal.width;
                return {text: t.textContent, cut, size};
            });
        }""",
        figure,
    )
    assert texts
    assert [t for t in texts if t["cut"] > 3] == []
    assert [t for t in texts if t["size"] < 11] == []
    page.close()


def test_tables_download_from_the_page(browser: Browser, report: Path) -> None:
    page, _, _ = opened(browser, report, 1400)
    with page.expect_download() as caught:
        page.get_by_role("link", name="All trials (CSV)").click()
    assert caught.value.suggested_filename == "trials.csv"
    text = Path(caught.value.path()).read_text("utf-8")
    assert text == (report.parent / "tables" / "trials.csv").read_text("utf-8")
    page.close()


def test_thirty_arms_fit_on_a_telephone(browser: Browser, tmp_path: Path) -> None:
    render(many(30), tmp_path)
    page, said, _ = opened(browser, tmp_path / "index.html", 360)
    assert said == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    page.close()


def test_a_table_is_sorted_by_the_column_that_is_pressed(browser: Browser, report: Path) -> None:
    page, said, _ = opened(browser, report, 1400)
    box = page.locator("[aria-label='Table of arms']")

    def column(number: int) -> list[str]:
        cells = box.locator(f"tbody tr:not(.baseline) > :nth-child({number})")
        return cells.evaluate_all("cells => cells.map(c => c.dataset.value ?? c.textContent)")

    head = box.get_by_role("button", name="difference")
    head.click()
    deltas = [float(text.replace("\N{MINUS SIGN}", "-").split()[0]) for text in column(4)]
    assert deltas == sorted(deltas)
    head.click()
    assert box.locator("th[aria-sort=descending]").count() == 1
    again = [float(text.replace("\N{MINUS SIGN}", "-").split()[0]) for text in column(4)]
    assert again == deltas[::-1]
    box.get_by_role("button", name="params").click()  # "33.9 k" by its value
    sizes = [float(text) for text in column(7)]
    assert sizes == sorted(sizes)
    assert box.locator("tbody tr").first.get_attribute("class") == "baseline"
    assert said == []
    page.close()


def test_zero_and_verdicts_of_the_effects_are_on_a_telephones_screen(
    browser: Browser, report: Path
) -> None:
    page, _, _ = opened(browser, report, 390)
    rows = page.locator(".stacked li")
    assert rows.count() == len(QUICKSTART) - 1 + 3
    outside = page.evaluate(
        """() => [...document.querySelectorAll('.stacked .zero, .stacked .verdict, .stacked .ends')]
            .map(e => e.getBoundingClientRect())
            .filter(r => r.left < 0 || r.right > innerWidth || r.height == 0).length"""
    )
    assert outside == 0
    assert not page.locator("svg[aria-labelledby^='forest-title']").is_visible()
    page.close()
    wide, _, _ = opened(browser, report, 1400)
    assert not wide.locator(".stacked").is_visible()
    assert wide.locator("svg[aria-labelledby^='forest-title']").is_visible()
    wide.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_can_be_read_on_their_ground(browser: Browser, report: Path, scheme: str) -> None:
    """WCAG's contrast of 4.5 of every text of the page outside drawings, by its own formula."""
    page = browser.new_page(viewport={"width": 1400, "height": 900}, color_scheme=scheme)
    page.goto(report.as_uri())
    faint = page.evaluate(
        """() => {
            const parts = c => c.match(/[\\d.]+/g).map(Number);
            const light = c => parts(c).slice(0, 3).map(v => v / 255)
                .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
                .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
            const ground = e => {
                for (; e; e = e.parentElement) {
                    const c = getComputedStyle(e).backgroundColor, p = parts(c);
                    if (p.length < 4 || p[3] > 0) return c;
                }
            };
            return [...document.querySelectorAll('body *:not(svg):not(svg *):not(script)')]
                .filter(e => [...e.childNodes].some(n => n.nodeType == 3 && n.data.trim()))
                .map(e => [light(getComputedStyle(e).color), light(ground(e)), e.textContent.slice(0, 30)])
                .map(([a, b, t]) => [(Math.max(a, b) + .05) / (Math.min(a, b) + .05), t])
                .filter(([ratio]) => ratio < 4.5);
        }"""
    )
    assert faint == []
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(255, 255, 255)" if scheme == "light" else "rgb(22, 24, 27)"
    )
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1400])
def test_axe_finds_nothing(browser: Browser, report: Path, scheme: str, width: int) -> None:
    """Deque's rules for people who see little, hear a page, or use no mouse."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        bypass_csp=True,  # the page allows no script but its own
    )
    page = context.new_page()
    page.goto(report.as_uri())
    page.locator("summary").click()
    assert violations(page) == []
    page.evaluate("document.querySelector('h2').outerHTML = '<h5>x</h5><img src=\"data:,\">'")
    assert {"heading-order", "image-alt"} & {name for name, *_ in violations(page)}
    context.close()


def test_prints_on_paper(browser: Browser, tmp_path: Path) -> None:
    render(study([BASELINE, QUICKSTART[1]]), tmp_path)
    page, _, _ = opened(browser, tmp_path / "index.html", 1400)
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.close()
