"""MLflow's pages in a real browser: the saved views open, and nothing leaves the machine."""

import contextlib
import hashlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect, sync_playwright

from swinablate.errors import EnvironmentFault
from swinablate.records.launch import Launch
from swinablate.tracking.server import serve
from swinablate.tracking.tracker import StudyCard, Tracker, TrialCard

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]
CHROMIUM = Path("/usr/bin/chromium")
ARMS = ("baseline", "shift=false", "norm=batch", "<img src=x onerror=alert(1)>")
SLOW_MS = 60_000


def record(home):
    """A study of four arms and two seeds; one trial failed."""
    card = StudyCard(
        name="quickstart",
        dataset="digits",
        declaration="0123456789abcdef" * 4,
        question="Which parts matter? <script>alert(1)</script>",
        commit=None,
        varied=("model.shift",),
        launch=Launch(
            study="studies/quickstart.toml", command="swinablate run studies/quickstart.toml"
        ),
    )
    tracker = Tracker.open(f"sqlite:///{home / 'mlflow.db'}", home / "artifacts", card)
    for index, (seed, arm) in enumerate((seed, arm) for seed in (0, 1) for arm in ARMS):
        trial = hashlib.sha256(f"{arm}{seed}".encode()).hexdigest()
        at = int(time.time() * 1000)
        rows = tuple(
            {"epoch": e, "at": at + e, "train/loss": 2 / e, "val/accuracy": 80.0 + e}
            for e in range(1, 6)
        )
        tracker.begin(
            TrialCard(
                trial=trial,
                arm=arm,
                seed=seed,
                kind="final",
                changes={},
                recipe={"model": {"shift": arm != "shift=false"}},
                geometry=[{"grid": 8}],
                params=1,
                macs=1,
                reused=False,
            )
        )
        failure = {"kind": "oom", "message": "out of memory <script>alert(1)</script>"}
        failed = {"status": "failed", "metrics": {}, "failure": failure}
        done = {"status": "done", "metrics": {"test/accuracy": 90.0 + index}, "failure": None}
        end = {"curve": rows, "finished_at": at + 99}
        tracker.end(trial, end | (failed if index == 5 else done))
    arms = [
        {
            "name": arm,
            "n": 2,
            "mean": 90.0 - i,
            "sd": 0.25,
            "delta_pp": -1.5 * i,
            "ci_low": -1.5 * i - 1,
            "ci_high": -1.5 * i + 1,
            "verdict": "worse",
        }
        for i, arm in enumerate(ARMS[1:], start=1)
    ]
    baseline = {"name": "baseline", "n": 2, "mean": 92.0, "sd": 0.5}
    tracker.summaries({"baseline": baseline, "arms": arms})
    tracker.close()
    return tracker.links()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    links = record(home)
    with serve(f"sqlite:///{home / 'mlflow.db'}", 0, home / "artifacts") as pages:
        yield pages.table("quickstart"), links


@pytest.fixture(scope="module")
def chromium():
    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(served, chromium):
    base = served[0].partition("#")[0]
    context = chromium.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    page.set_default_timeout(SLOW_MS)
    foreign, dialogs = [], []
    own = (base, "data:", "blob:")
    page.on("request", lambda r: None if r.url.startswith(own) else foreign.append(r.url))
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    yield page
    context.close()
    assert foreign == []
    assert dialogs == []


def shown(page, text):
    expect(page.get_by_text(text, exact=True).first).to_be_visible(timeout=SLOW_MS)


def column(page, name):
    """The values of one column, top to bottom."""
    cells = page.locator(f'.ag-row [col-id="{name}"]')
    # In one call: a table that is drawn meanwhile has other cells in the next.
    found = cells.evaluate_all("e => e.map(x => [x.getBoundingClientRect().top, x.innerText])")
    return [text for _, text in sorted(found, key=lambda cell: cell[0])]


def test_the_ablation_table_opens_by_its_link(served, page):
    url, links = served
    assert url.endswith(links["1 Ablation table"])
    page.goto(url)
    shown(page, "1 Ablation table")
    for arm in ARMS:
        shown(page, arm)
    shown(page, "4")
    assert column(page, "metrics.`delta_pp`") == ["0", "-1.5", "-3", "-4.5"]
    assert column(page, "tags.`verdict`") == ["baseline", "worse", "worse", "worse"]
    assert column(page, "tags.`interval`")[1] == "[-2.50, -0.50]"
    for name in ("metrics.`acc_mean`", "metrics.`acc_std`"):
        expect(page.locator(f'.ag-header-cell[col-id="{name}"]')).to_be_in_viewport()


def test_the_curves_are_means_of_the_arms(served, page):
    url, links = served
    page.goto(url.partition("#")[0] + links["2 Curves"])
    shown(page, "2 Curves")
    for arm in ARMS:
        expect(page.get_by_text(f"Group: {arm}").first).to_be_visible(timeout=SLOW_MS)
    shown(page, "val/accuracy")
    shown(page, "train/loss")
    expect(page.locator(".ag-center-cols-container .ag-row")).to_have_count(len(ARMS))


def test_the_failed_trials_say_why(served, page):
    url, links = served
    page.goto(url.partition("#")[0] + links["3 Failed"])
    shown(page, "3 Failed")
    shown(page, f"{ARMS[1]} s1")
    shown(page, "oom")
    shown(page, "out of memory <script>alert(1)</script>")
    assert column(page, "tags.`failure`") == ["oom"]


def test_a_run_says_how_to_repeat_it(served, page):
    url, links = served
    page.goto(url.partition("#")[0] + links["3 Failed"])
    page.get_by_text(f"{ARMS[1]} s1", exact=True).first.click()
    shown(page, "swinablate retry studies/quickstart.toml")


def ask(url, **headers):
    address = urlsplit(url)
    with contextlib.closing(http.client.HTTPConnection(address.hostname, address.port)) as line:
        line.request("GET", "/api/2.0/mlflow/experiments/search?max_results=1", headers=headers)
        return line.getresponse().status


def test_a_foreign_host_is_refused(served):
    assert ask(served[0]) == 200
    assert ask(served[0], Host="evil.example") == 403
    assert ask(served[0], Host="192.168.0.7") == 403


def test_a_foreign_page_may_not_write(served):
    address = urlsplit(served[0])
    with contextlib.closing(http.client.HTTPConnection(address.hostname, address.port)) as line:
        headers = {"Origin": "http://evil.example", "Content-Type": "application/json"}
        path = "/api/2.0/mlflow/experiments/create"
        line.request("POST", path, b'{"name": "evil"}', headers)
        assert line.getresponse().status == 403


def test_no_other_interface_listens(served):
    port = urlsplit(served[0]).port
    listening = [
        line.split()[1]
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for line in Path(table).read_text().splitlines()[1:]
        if line.split()[3] == "0A" and line.split()[1].endswith(f":{port:04X}")
    ]
    assert listening == [f"0100007F:{port:04X}"]


def test_a_port_in_use_is_named(served, tmp_path):
    (tmp_path / "mlflow.db").touch()
    port = urlsplit(served[0]).port
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    with pytest.raises(EnvironmentFault) as caught, serve(uri, port, tmp_path):
        pass
    assert str(caught.value) == (
        f"--port: port {port} cannot be used: Address already in use\n\n"
        "hint: choose another, or 0 for any that is free"
    )


def test_without_records_there_is_nothing_to_show(tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    with pytest.raises(EnvironmentFault) as caught, serve(uri, 0, tmp_path):
        pass
    assert str(caught.value) == (
        f"{tmp_path / 'mlflow.db'}: there are no records yet\n\n"
        "hint: run a study first: `swinablate run studies/quickstart.toml`"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_is_none_is_named(tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"no database" * 500)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    with pytest.raises(EnvironmentFault) as caught, serve(uri, 0, tmp_path):
        pass
    assert str(caught.value) == (
        f"{uri}: the records cannot be read: file is not a database\n\n"
        "hint: move the file away and run `swinablate sync STUDY`: it is rebuilt from the records"
    )


SERVER = """
import signal, sys, time
from pathlib import Path
from swinablate.tracking.server import serve
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells' background jobs ignore it
with serve(sys.argv[1], 0, Path(sys.argv[2])) as pages:
    print(pages.table(), flush=True)
    time.sleep(600)
"""


def serving(port):
    """Processes whose command names the port."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if str(port).encode() in words:
                found.append(int(process.name))
    return found


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_the_server_dies_with_us(tmp_path, number):
    record(tmp_path)
    words = [f"sqlite:///{tmp_path / 'mlflow.db'}", str(tmp_path / "artifacts")]
    command = [sys.executable, "-c", SERVER, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        url = process.stdout.readline().decode()
        assert re.fullmatch(
            r"http://127\.0\.0\.1:\d+/#/experiments/1/runs\?viewStateShareKey=table"
            r"&workflowType=machine_learning\n",
            url,
        )
        port = urlsplit(url).port
        assert len(serving(port)) >= 2
        os.kill(process.pid, number)
        process.wait(60)
    deadline = time.monotonic() + 10
    while serving(port) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert serving(port) == []
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
