"""`ui` in a browser on real studies: interrupted, running, finished, and all of it reused."""

import re
import signal

import pytest
from playwright.sync_api import expect

from tests.integration.conftest import RECIPE, Command, until
from tests.integration.test_report_browser import violations
from tests.integration.test_ui import SLOW_MS, chromium, column, shown

__all__ = ["chromium"]
pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]


def served(command: Command):
    """The address that `ui` prints, behind a proxy that answers nobody."""
    proxy = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    ssh = {"SSH_CONNECTION": "10.0.0.1 5000 10.0.0.9 22", "USER": "me"}
    process = command.start("--port", "0", command="ui", **proxy, **ssh)
    said = ""
    while "Ctrl-C" not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    address = re.search(r"studies: (http://127\.0\.0\.1:(\d+)/)", said)
    assert f"ssh -N -L {address[2]}:127.0.0.1:{address[2]} me@10.0.0.9" in said
    return address[1]


DRAWN = ("polyline", ".key line")
INK = """all => all.map(a => ["stroke", "stroke-width", "stroke-dasharray"].map(x => a.getAttribute(x)))"""
LINES = """cell => {
  cell.replaceChildren(...broken("shift_mask=regions, window=4"));
  return Object.fromEntries([...cell.childNodes].filter(n => n.data).map(n => {
    const range = document.createRange();
    range.selectNodeContents(n);
    return [n.data, new Set([...range.getClientRects()].filter(r => r.width).map(r => r.y)).size];
  }));
}"""
"""A name is written into a cell: each of its parts, and on how many lines it stands."""


def card(page, study):
    return page.locator(f'[data-study="{study}"]')


def follow(page, base, study, title):
    page.goto(base)
    link = card(page, study).get_by_text(f"MLflow: {title}")
    link.click(timeout=SLOW_MS)
    shown(page, title)


@pytest.mark.timeout(600)  # three runs, a server and a browser on two loaded cores
def test_links_open_what_there_is_whatever_became_of_a_study(command: Command, chromium):
    (command.folder / "base.toml").write_text(RECIPE.replace("epochs = 6", "epochs = 3"))
    first = command.start()
    command.wait_for("done")
    first.send_signal(signal.SIGINT)
    assert first.wait(60) == 130
    base = served(command)
    page = chromium.new_context(viewport={"width": 1400, "height": 900}).new_page()
    page.set_default_timeout(SLOW_MS)
    foreign, errors = [], []
    page.on("pageerror", lambda error: errors.append(str(error)))
    own = (base, "data:", "blob:")
    page.on("request", lambda r: None if r.url.startswith(own) else foreign.append(r.url))

    page.goto(base)
    expect(card(page, "study")).to_contain_text("interrupted")
    follow(page, base, "study", "1 Ablation table")
    until(lambda: column(page, "tags.`done`"))
    assert set(column(page, "tags.`verdict`")) == {"pending"}
    expect(page.get_by_text("Ask questions about your")).not_to_be_visible()  # the assistant
    assert set(column(page, "metrics.`delta_pp`")) <= {"-"}  # MLflow drops an empty column

    page.goto(base)
    again = command.start("--no-report")  # that of the next study is opened below
    expect(card(page, "study")).to_contain_text("running", timeout=SLOW_MS)  # by itself
    _, err = again.communicate(timeout=240)
    assert again.returncode == 0, err
    expect(card(page, "study")).to_contain_text("finished")
    expect(card(page, "study").locator(".headline")).to_contain_text("not tested", timeout=SLOW_MS)

    curves, keys = (card(page, "study").locator(name).evaluate_all(INK) for name in DRAWN)
    assert len(curves) == 2
    assert curves == keys  # each arm's key looks as its curve does

    (command.folder / "reused.toml").write_text(command.study.read_text())
    command.study = command.folder / "reused.toml"
    code, _, err = command.run()
    assert code == 0, err
    follow(page, base, "reused", "1 Ablation table")
    until(lambda: len(column(page, "tags.`done`")) == 2)
    assert sorted(column(page, "tags.`done`")) == ["2 of 2", "2 of 2"]
    follow(page, base, "reused", "2 Curves")
    expect(page.get_by_text("Group: baseline").first).to_be_visible(timeout=SLOW_MS)

    page.goto(base)
    page.get_by_text("All experiments in MLflow").click()  # the list of MLflow's own
    page.get_by_text("reused @ digits", exact=True).first.click()
    runs = re.compile(r"/experiments/\d+/runs.*workflowType=machine_learning")
    expect(page).to_have_url(runs, timeout=SLOW_MS)

    for scheme in ("light", "dark"):
        context = chromium.new_context(color_scheme=scheme, bypass_csp=True)
        other = context.new_page()
        other.goto(base)
        expect(card(other, "reused")).to_be_visible(timeout=SLOW_MS)
        assert violations(other) == []
        context.close()

    page.goto(base)
    page.set_viewport_size({"width": 390, "height": 800})
    expect(card(page, "reused")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    lines = card(page, "reused").locator("td:first-child").first.evaluate(LINES)
    assert lines == {"shift_": 1, "mask=": 1, "regions,": 1, " window=": 1, "4": 1}
    card(page, "reused").get_by_text("Report", exact=True).click()
    expect(page).to_have_url(re.compile(r"/report/reused/index\.html"), timeout=SLOW_MS)

    page.set_viewport_size({"width": 1400, "height": 900})
    expect(page.locator(".unserved")).not_to_be_visible()  # how to open it: it is open
    served_at, arms = page.url, page.get_by_role("region", name="Table of arms")
    links = page.locator("main a[href^='/run/']").evaluate_all("all => all.map(a => a.href)")
    assert len(links) == len(set(links)) == 2 + 4  # two arms of two seeds: no trial is lost
    assert {page.request.head(link, max_redirects=0).status for link in links} == {302}
    arms.get_by_role("link", name="shift=false").click()
    expect(page).to_have_url(re.compile(r"/mlflow.*/experiments/\d+/runs/\w+"), timeout=SLOW_MS)
    shown(page, "acc_mean")
    shown(page, "delta_pp")
    page.goto(served_at)
    page.locator("summary").click()
    trials = page.get_by_role("region", name="Table of trials")
    trials.get_by_role("link").last.click()
    shown(page, "test/accuracy")
    shown(page, "shift=false s1")
    with page.context.expect_page() as opened:  # a note's links open windows of their own
        # MLflow folds a note, and its shade lies on the last line: a person unfolds it first.
        page.get_by_role("link", name="Arm shift=false").evaluate("link => link.click()")
    until(lambda: column(opened.value, "attributes.`Run Name`") != [])
    assert [name.split()[-1] for name in column(opened.value, "attributes.`Run Name`")] == [
        "shift=false"
    ]
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Report", exact=True).evaluate("link => link.click()")
    inside = opened.value.frame_locator("iframe").first
    expect(inside.get_by_role("heading", name="Findings")).to_be_visible(timeout=SLOW_MS)
    assert errors == []
    assert foreign == []
