"""In what direction each newer switch moves accuracy: the studies of benchmarks/directions.

python -m benchmarks.programs.directions HOME trains what is not recorded in that home, one trial
at a time, and prints the tables; HOME/datasets has Fashion-MNIST where the machine has no network.
"""

import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch

from swinablate.cli.app import main
from swinablate.records.home import Home
from swinablate.report.answer import gather
from swinablate.study.files import load_study
from swinablate.training.machine import device_name

FOLDER = Path(__file__).parents[1] / "directions"
SHORT = ("data.limit=1000", "train.steps=60", "train.precision=fp32")
"""Of Fashion-MNIST: a direction, and no network that is trained to its end."""
STUDIES = {
    "swin_digits": (),
    "rnn_digits": (),
    "lenet_digits": (),
    "swin_fashion": SHORT,
    "rnn_fashion": SHORT,
    "lenet_fashion": ("data.limit=2000", "train.steps=400"),
}
"""Study -> what is set besides; LeNet has the time, and its sigmoids need it."""


def command(study: str) -> list[str]:
    """What is typed to train a study."""
    settings = [word for setting in STUDIES[study] for word in ("--set", setting)]
    return ["swinablate", "run", f"benchmarks/directions/{study}.toml", *settings]


def section(study: str, results: Any) -> Iterator[str]:
    """One study's table, in Markdown."""
    judged = results.verdicts
    beside = judged.get("secondary", [])
    yield f"\n## `{study}`\n"
    yield f"`{' '.join(command(study))}`, {judged['baseline']['n']} seeds.\n"
    more = "".join(f" `{one['metric']}`, % | minus baseline |" for one in beside)
    yield f"| arm | test accuracy, % (sd) | minus baseline | interval |{more}"
    yield "|---|--:|--:|--:|" + "--:|--:|" * len(beside)
    first = judged["baseline"]
    others = "".join(f" {one['baseline']['mean']:.2f} | |" for one in beside)
    yield f"| baseline | {first['mean']:.2f} ({first['sd']:.2f}) | | |{others}"
    for place, arm in enumerate(judged["arms"]):
        ends = ", ".join(f"{arm[end]:+.2f}" for end in ("ci_low", "ci_high"))
        others = "".join(
            f" {one['arms'][place]['mean']:.2f} | {one['arms'][place]['delta_pp']:+.2f} |"
            for one in beside
        )
        yield (
            f"| {arm['name']} | {arm['mean']:.2f} ({arm['sd']:.2f}) | {arm['delta_pp']:+.2f} "
            f"| {ends} |{others}"
        )


def measure(home: Path) -> int:
    """Train, and print the tables; returns the exit code of a run that did not end well."""
    tables: list[str] = []
    for study in STUDIES:
        settings = command(study)[3:]
        words = ["run", str(FOLDER / f"{study}.toml"), *settings, "--home", str(home)]
        with redirect_stdout(sys.stderr):
            if code := main([*words, "--slots", "1", "--no-report"]):
                return code
        name = load_study(FOLDER / f"{study}.toml", STUDIES[study]).name  # it says what was set
        tables += section(study, gather(Home(home), name))
    where = device_name(torch.device("cpu"))
    print(f"{where}, torch {torch.__version__}, one thread.")
    print("\n".join(tables))
    return 0


if __name__ == "__main__":
    sys.exit(measure(Path(sys.argv[1])))
