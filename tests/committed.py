"""The committed reports: from the records of finished studies to reports/, and to its README.

`python -m tests.committed` writes all of it again from the records in reports/; where it is told
HOMES it first takes the finished studies that ran there. A committed report is small: what was
recorded, compressed, and what a reader wants to see at once. `swinablate import` and `swinablate
report` make the rest of it.

    reports/<study>/records.tar.xz    what `swinablate export` writes, compressed
    reports/<study>/report.md         the report, and beside it its figures, verdicts and trials
"""

import lzma
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from swinablate.config.variants import digests
from swinablate.records.home import Home
from swinablate.records.launch import keep_launch, launch_of
from swinablate.report import contents
from swinablate.report.answer import gather
from swinablate.report.evidence.archive import Bundle, open_bundle, write_bundle
from swinablate.report.evidence.bring import bring
from swinablate.report.evidence.contents import UNLIKE, contents_of, judged
from swinablate.report.results import StudyResults
from swinablate.report.tables import interim

ROOT = Path(__file__).parent.parent
REPORTS, STUDIES = ROOT / "reports", ROOT / "studies"
RECORDS = "records.tar.xz"
SHOWN = re.compile(r"report\.md|verdicts\.json|tables/trials\.csv|figures/[^/]+\.svg")
"""Files of a report that are committed: no figure twice, no table that is a part of another."""
NUMBERS = re.compile(r" Numbers: \[[^\]]+\]\(tables/[^)]+\)\.")
"""What `report.md` says of a figure's table, which is not there."""


def committed(reports: Path = REPORTS) -> list[Path]:
    """The folders of reports that have records, by name."""
    return sorted(path.parent for path in reports.glob(f"*/{RECORDS}"))


@contextmanager
def opened(folder: Path) -> Iterator[Bundle]:
    """The evidence bundle of a committed report."""
    with tempfile.TemporaryDirectory() as room:
        path = Path(room) / "records.tar"
        path.write_bytes(lzma.decompress((folder / RECORDS).read_bytes()))
        bundle = open_bundle(path)
        if damaged := [*bundle.damaged()]:
            raise SystemExit(f"{folder / RECORDS}: damaged: {', '.join(damaged)}")
        yield bundle


@contextmanager
def home_of(folder: Path) -> Iterator[tuple[Home, Bundle]]:
    """The records of a committed report as a home, for as long as that is needed."""
    with opened(folder) as bundle, tempfile.TemporaryDirectory() as room:
        home = Home(Path(room) / "home")
        bring(bundle, home)
        yield home, bundle


def shown(answer: StudyResults) -> dict[str, bytes]:
    """What is committed of a report, besides the records: file -> content.

    Of who makes the report nothing is said: it would be another one every time. And its runs are
    not in MLflow where it is read.
    """
    told = {key: value for key, value in answer.provenance.items() if key not in {UNLIKE, "ui"}}
    files = contents(replace(answer, provenance=told))
    found = {name: data for name, data in files.items() if SHOWN.fullmatch(name)}
    found["report.md"] = NUMBERS.sub("", found["report.md"].decode()).encode()
    return found


def packed(home: Home, name: str) -> bytes:
    """The evidence bundle of a study, compressed."""
    with tempfile.TemporaryDirectory() as room:
        path = Path(room) / "records.tar"
        made = contents_of(home, name, weights=False)
        write_bundle(path, made.about, made.files)
        return lzma.compress(path.read_bytes(), preset=9)


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Make a folder hold these files, and no others."""
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        if path.relative_to(folder).as_posix() not in {*files, RECORDS}:
            path.unlink()
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for path in [path for path in folder.iterdir() if path.is_dir() and not [*path.iterdir()]]:
        path.rmdir()


def take(root: Path) -> Iterator[str]:
    """Write the records of a home's finished studies into reports/; yields what was done.

    A home may have come from another machine: the study's files are then this folder's, if they
    say what was run.
    """
    home = Home(root)
    for name in sorted(path.name for path in home.studies.glob("*/")):
        plan = home.declared(name)
        if plan.smoke or not (STUDIES / f"{name.partition('@')[0]}.toml").exists():
            yield f"{name}: passed over: no study of studies/"
            continue
        answer = gather(home, name)
        if interim(answer):
            done = (answer.trials.status == "done").sum()
            yield f"{name}: passed over: {done} of {len(answer.trials)} trials are done"
            continue
        launch, file = launch_of(home, plan), STUDIES / f"{name.partition('@')[0]}.toml"
        if launch.study and digests(file, launch.settings) == launch.digests:
            keep_launch(home, plan, launch.model_copy(update={"file": str(file)}))
        folder = REPORTS / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RECORDS).write_bytes(packed(home, name))
        yield f"{name}: {len(answer.trials)} trials"


def regenerate(folder: Path) -> dict[str, bytes]:
    """What a committed report is, made of its records; new records where verdicts changed."""
    with home_of(folder) as (home, bundle):
        name = str(bundle.about["study"])
        answer = gather(home, name)
        found = shown(answer)
        if any(bundle.read(where) != data for where, data in judged(answer).items()):
            found[RECORDS] = packed(home, name)
    return found


def main(homes: list[str]) -> None:
    """Take the finished studies of homes; then write every report, and their README."""
    from tests.overview import README, readme

    for one in homes:
        for line in take(Path(one)):
            print(line, flush=True)
    for folder in committed():
        write(folder, regenerate(folder))
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        print(f"{folder.relative_to(ROOT)}: {size / 1000:.0f} kB", flush=True)
    README.write_text(readme(), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
