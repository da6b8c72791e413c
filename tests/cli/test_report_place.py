"""Where a report goes if nobody says: beside the study's name, and never over a committed answer."""

from itertools import pairwise
from pathlib import Path

import pytest

from swinablate.cli.running import Report
from swinablate.records.home import Home
from swinablate.records.report_folder import check_folder, listed, publish, told_changes

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_it_is_reports_study_here_and_of_a_smoke_run_in_its_home():
    home = Home(Path("home"))
    assert Report(None).folder(home, "a") == Path("reports/a")
    assert (
        Report(None).folder(Home(Path("home/smoke")), "a")
        == Path("home/smoke/reports/a").absolute()
    )
    assert Report(Path("x")).folder(home, "a") == Path("x")


def test_a_committed_answer_is_left_alone_and_refuses_nobody():
    """In a checkout the first command of a newcomer was refused for it."""
    kept = Path("reports/a")
    kept.mkdir(parents=True)
    (kept / "records.tar.xz").write_bytes(b"")
    (kept / "report.md").write_text("committed")
    place = Report(None).folder(Home(Path("home")), "a")
    assert place == Path("home/reports/a").absolute()
    check_folder(place, force=False)
    assert Report(kept).folder(Home(Path("home")), "a") == kept  # who names it is refused there


def test_a_report_that_was_written_here_stays_where_it_is():
    publish({"report.md": b"mine"}, Path("reports/a"), force=False)
    (Path("reports/a") / "records.tar.xz").write_bytes(b"")
    assert Report(None).folder(Home(Path("home")), "a") == Path("reports/a")


def test_of_a_report_that_is_written_again_it_is_said_what_changed():
    kept = Path("reports/a")
    first = {"report.md": b"mine", "figures/a.svg": b"one", "figures/b.svg": b"two"}
    found = [listed(kept)]
    for files in (first, first, {"report.md": b"mine", "figures/a.svg": b"other"}):
        publish(files, kept, force=False)
        found.append(listed(kept))
    told = [told_changes(a, b) for a, b in pairwise(found)]
    assert told == ["", " (as it was)", " (changed: figures/a.svg, figures/b.svg)"]


def test_every_shipped_study_can_be_reported_in_a_checkout(monkeypatch):
    monkeypatch.chdir(ROOT)
    for study in sorted(Path("studies").glob("*.toml")):
        folder = Report(None).folder(Home(Path("nowhere/.swinablate")), study.stem)
        check_folder(folder, force=False)
