"""The committed reports: from the records of finished studies to reports/, and to its README.

`python -m tests.committed` writes all of it again from the records in reports/; where it is told
HOMES it first takes the finished studies that ran there. A committed report is small: what was
recorded, compressed, and what a reader wants to see at once. `swinablate import` and `swinablate
report` make the rest of it: the tables, and figures for which there was no room.

    reports/<study>/records.tar.xz    what `swinablate export` writes, compressed
    reports/<study>/report.md         the report
    reports/<study>/figures/          its figures, each once
"""

import io
import lzma
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from PIL import Image

from swinablate.config.variants import digests
from swinablate.records.home import Home
from swinablate.records.launch import keep_launch, launch_of
from swinablate.records.provenance import cores
from swinablate.records.report_folder import RECORDS
from swinablate.report import contents
from swinablate.report.answer import gather
from swinablate.report.evidence.archive import Bundle, open_bundle, write_bundle
from swinablate.report.evidence.bring import bring
from swinablate.report.evidence.contents import UNLIKE, contents_of, judged
from swinablate.report.plots import pixels_of
from swinablate.report.results import StudyResults
from swinablate.report.tables import interim

ROOT = Path(__file__).parent.parent
REPORTS, STUDIES = ROOT / "reports", ROOT / "studies"
MOST = 400_000
"""Bytes of a committed report: thirty of them are what a repository bears."""
FIRST = ("forest", "datasets", "scale", "waterfall", "sequence", "effects", "interactions",
         "levels", "tuning", "families", "cost", "curves", "seeds")  # fmt: skip
"""Figures in the order in which they are given room; others come last."""
COLOURS = 96
"""Of a PNG: lines and letters on white have fewer, and their edges look the same. They are chosen
to cover all that there are (the most frequent ones painted lines of two arms alike), and moved to
the middle of what each stands for (white cells of a heat map were pink)."""
SMALLER = 0.6
"""A figure is an SVG, which is sharp at any size, unless a PNG has less than this share of its
bytes: many curves and cells are more to write down than to paint."""
FIGURE = re.compile(
    r"!\[([^\]]*)\]\(figures/(\w+)\.svg\)\n\n(.*?) Numbers: \[[^\]]+\]\(tables/[^)]+\)\."
)
"""A figure in `report.md`, its caption, and a table, which is not there."""
HOME = re.compile(r" --home[ =](?:'[^']*'|\S+)")
"""Of a command: where its records were on some machine."""
EVERY = "Every trial: [tables/trials.csv](tables/trials.csv)."
HERE = f"Every trial: [{RECORDS}]({RECORDS}), which `swinablate import` reads."


def committed(reports: Path = REPORTS) -> list[Path]:
    """The folders of reports that have records, by name."""
    return sorted(path.parent for path in reports.glob(f"*/{RECORDS}"))


def opened(folder: Path) -> Bundle:
    """The evidence bundle of a committed report."""
    bundle = open_bundle(folder / RECORDS)
    if damaged := [*bundle.damaged()]:
        raise SystemExit(f"{folder / RECORDS}: damaged: {', '.join(damaged)}")
    return bundle


@contextmanager
def home_of(folder: Path) -> Iterator[tuple[Home, Bundle]]:
    """The records of a committed report as a home, for as long as that is needed."""
    bundle = opened(folder)
    with tempfile.TemporaryDirectory() as room:
        home = Home(Path(room) / "home")
        bring(bundle, home)
        yield home, bundle


def shown(answer: StudyResults, room: int) -> dict[str, bytes]:
    """What is committed of a report, besides the records: file -> content.

    Of who makes the report nothing is said: it would be another one every time. And its runs are
    not in MLflow where it is read.

    Args:
        answer: what was recorded, judged.
        room: bytes for it; figures that do not fit are left out, and the report says so.
    """
    told = {key: value for key, value in answer.provenance.items() if key not in {UNLIKE, "ui"}}
    files = contents(replace(answer, provenance=told))
    text, found = files["report.md"].decode(), dict[str, bytes]()
    room -= len(files["report.md"])
    names = {Path(name).stem for name in files if name.endswith(".svg")}
    for name in sorted(names, key=lambda name: (FIRST.index(name) if name in FIRST else 99, name)):
        kind, data = smaller(files[f"figures/{name}.svg"], pixels_of(answer, name))
        if len(data) <= room:
            found[f"figures/{name}.{kind}"] = data
            room -= len(data)
    kinds = {Path(name).stem: name for name in found}

    def placed(match: re.Match[str]) -> str:
        title, name, caption = match.groups()
        if name in kinds:
            return f"![{title}]({kinds[name]})\n\n{caption}"
        return "Not in this small form of the report; `swinablate report` draws it of the records."

    return {"report.md": FIGURE.sub(placed, text).replace(EVERY, HERE).encode(), **found}


def smaller(svg: bytes, png: bytes) -> tuple[str, bytes]:
    """A figure as it is committed: which kind of file, and its bytes."""
    made = io.BytesIO()
    cover = Image.Quantize.MAXCOVERAGE
    whole = Image.open(io.BytesIO(png)).convert("RGB")
    painted = whole.quantize(COLOURS, method=cover, kmeans=1, dither=Image.Dither.NONE)
    painted.save(made, "PNG", optimize=True)
    data = made.getvalue()
    return ("png", data) if len(data) < SMALLER * len(svg) else ("svg", svg)


def packed(home: Home, name: str) -> bytes:
    """The evidence bundle of a study, compressed."""
    with tempfile.TemporaryDirectory() as room:
        path = Path(room) / "records.tar"
        made = contents_of(home, name, weights=False)
        write_bundle(path, made.about, made.files)
        return lzma.compress(path.read_bytes(), preset=9 | lzma.PRESET_EXTREME)


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


def take(root: Path, name: str) -> str:
    """Write the records of a study of a home into reports/, if it is finished; says what was done.

    The home may have come from another machine: the study's files are then this folder's, if they
    say what was run, and its command names no folder of that machine.
    """
    home, file = Home(root), STUDIES / f"{name.partition('@')[0]}.toml"
    plan = home.declared(name)
    if plan.smoke or not file.exists():
        return f"{name}: passed over: no study of studies/"
    answer = gather(home, name)
    if interim(answer):
        done = (answer.trials.status == "done").sum()
        return f"{name}: passed over: {done} of {len(answer.trials)} trials are done"
    launch = launch_of(home, plan)
    if launch.study and digests(file, launch.settings) == launch.digests:
        command = HOME.sub("", launch.command)
        here = {"study": f"studies/{file.name}", "file": str(file), "home": "", "command": command}
        keep_launch(home, plan, launch.model_copy(update=here))
    keep(REPORTS / name, packed(home, name))
    return f"{name}: {len(answer.trials)} trials"


def keep(folder: Path, records: bytes) -> None:
    """Write records, unless those that are there differ in nothing but who packed them."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as room:
        new = Path(room)
        (new / RECORDS).write_bytes(records)
        if not (folder / RECORDS).exists() or recorded(new) != recorded(folder):
            (folder / RECORDS).write_bytes(records)


def recorded(folder: Path) -> dict[str, str]:
    """What a bundle holds, by its digests; but for the environment, which names who packed it."""
    entries = opened(folder).entries
    return {name: one.sha256 for name, one in entries.items() if name != "environment.json"}


def regenerate(folder: Path) -> dict[str, bytes]:
    """What a committed report is, made of its records; new records where verdicts changed."""
    with home_of(folder) as (home, bundle):
        name = str(bundle.about["study"])
        answer = gather(home, name)
        records, new = (folder / RECORDS).read_bytes(), dict[str, bytes]()
        if any(bundle.read(where) != data for where, data in judged(answer).items()):
            records = packed(home, name)
            new = {RECORDS: records}
        return shown(answer, MOST - len(records)) | new


def remake(folder: Path) -> str:
    """Write a committed report again; says how large it is."""
    write(folder, regenerate(folder))
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return f"{folder.name}: {size / 1000:.0f} kB"


def main(homes: list[str]) -> None:
    """Take the finished studies of homes; then write every report, and their README."""
    from tests.overview import README, readme

    with ProcessPoolExecutor(cores()) as pool:
        there = [
            (path, path.parent.parent) for one in homes for path in Path(one).glob("studies/*/")
        ]
        names = [path.name for path, _ in there]
        for line in pool.map(take, [home for _, home in there], names):
            print(line, flush=True)
        for line in pool.map(remake, committed()):
            print(line, flush=True)
    README.write_text(readme(), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
