"""What commands have in common: their options, and what becomes of them."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from swinablate.cli.typed import data_folder, launch, typed_in
from swinablate.config import plugins
from swinablate.records.home import Home
from swinablate.records.launch import DEFAULT_HOME, at_home, home_folder
from swinablate.records.secrets import STORAGE, TRACKING, secrets_of

if TYPE_CHECKING:
    from swinablate.execution.ahead.where import Where
    from swinablate.execution.executor import Request
    from swinablate.execution.run import Options


def checked(
    context: typer.Context, parameter: typer.CallbackParam, value: str | None
) -> str | None:
    """Refuse an address that can be no store; warn of a secret that everybody may read.

    Raises:
        InputError: it cannot be.
    """
    if value is None or context.resilient_parsing:
        return value
    from swinablate.records.disk.addresses import check_storage, check_tracking

    option, variable = parameter.opts[0], str(parameter.envvar)
    check = check_storage if variable == STORAGE else check_tracking
    typed = typed_in(context, str(parameter.name))
    check(value, option if typed else variable)
    if typed and secrets_of(value):
        print(
            f"warning: {option} holds a password or token, and everybody on this machine can read "
            f"command lines: give it in the variable {variable} instead",
            file=sys.stderr,
        )
    return value


SLURM, RAY = "With --executor slurm", "With --executor ray"

StudyFile = Annotated[
    Path, typer.Argument(metavar="STUDY", help="Study file (TOML).", show_default=False)
]
Study = Annotated[
    Path,
    typer.Argument(help="Study file (TOML), or the name of one that was run.", show_default=False),
]


DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="<path>",
        parser=data_folder,
        help="Folder of prepared data sets.",
        show_default="datasets in the home",
    ),
]
HomeFolder = Annotated[
    Path,
    typer.Option(
        "--home",
        envvar="SWINABLATE_HOME",
        help="Folder of everything recorded.",
        metavar="<path>",
        parser=home_folder,
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change the baseline (train.epochs=3) or the study (study.seeds=3); repeatable.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print data for programs on stdout.")]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        envvar=STORAGE,
        callback=checked,
        help="Optuna storage URL.",
        show_default="SQLite in the home",
    ),
]
Tracking = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri",
        envvar=TRACKING,
        callback=checked,
        help="MLflow tracking URI.",
        show_default="SQLite in the home",
    ),
]
Smoke = Annotated[
    bool, typer.Option("--smoke", help="Two steps on a few images, one seed, no verdicts.")
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="<path>",
        parser=at_home,
        help="Folder of the report.",
        show_default="reports/STUDY",
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force", help="Write the report over files in its folder that are not its own."
    ),
]
Probe = Annotated[
    bool,
    typer.Option("--probe", help="Take a few steps of every arm here, to know time and memory."),
]
Unit = Annotated[
    Literal["percent", "fraction", "none"] | None,
    typer.Option(
        help="What the values are; fractions of 1 are shown in percent.",
        show_default="by the metric's name",
    ),
]
Better = Annotated[
    Literal["higher", "lower"] | None,
    typer.Option(help="Which values are good.", show_default="by the metric's name"),
]
Method = Annotated[
    Literal["auto", "auto-paired", "paired", "shrunken", "welch-holm", "dunnett"] | None,
    typer.Option(
        help="How arms are compared: auto pairs within seeds where their covariances say "
        "that it pays, shrunken never does.",
        show_default="auto",
    ),
]
LatexColumns = Annotated[
    str,
    typer.Option(
        metavar="NAMES",
        help="Columns of tables/arms.tex, of n, mean, delta, ci, p, verdict, mark, params, macs, "
        "train_s, images_per_s, peak_mib: --latex-columns mean,ci,params.",
        show_default="mean,delta,ci,mark, which fit 3.25 in",
    ),
]
Slots = Annotated[
    int | None, typer.Option(help="Trials at a time.", show_default="one a GPU, or one a core")
]
Devices = Annotated[str, typer.Option(help="auto, cpu, or cuda:0,cuda:1,...")]
PerGpu = Annotated[
    str | None,
    typer.Option(
        "--per-gpu",
        metavar="N|auto",
        help="Trials at a time on each GPU, instead of --slots; auto: as many as its memory is "
        "seen to hold.",
        show_default="1",
    ),
]
OnOom = Annotated[
    Literal["fail", "halve"],
    typer.Option(
        "--on-oom",
        help="Where a trial's memory runs out: halve tries it again with train.accumulate "
        "doubled, down to parts of one image.",
    ),
]
Fuse = Annotated[
    str,
    typer.Option(
        help="Trials of one arm that train as one graph: auto (on a GPU, where it pays), off, "
        "or a number."
    ),
]
Executor = Annotated[
    str,
    typer.Option(
        "--executor", help=" or ".join(plugins.names("swinablate.execution.executors")) + "."
    ),
]
Nodes = Annotated[
    int | None,
    typer.Option(
        min=1, help="Nodes to ask the cluster for.", rich_help_panel=SLURM, show_default="1"
    ),
]
GpusPerNode = Annotated[
    int,
    typer.Option(
        min=0, help="GPUs of each node, a trial each; 0 trains on CPUs.", rich_help_panel=SLURM
    ),
]
Time = Annotated[
    str,
    typer.Option(
        metavar="LIMIT",
        help="Time limit of an allocation; after it, another one is asked for.",
        rich_help_panel=SLURM,
        show_default="the cluster's",
    ),
]
Sbatch = Annotated[
    list[str] | None,
    typer.Option(
        metavar="OPTIONS",
        help='More for sbatch ("--partition=gpu --account=lab"); repeatable.',
        rich_help_panel=SLURM,
    ),
]
Address = Annotated[
    str,
    typer.Option(
        metavar="ADDRESS",
        help="Of the cluster: HOST:6379, ray://HOST:10001, auto (one that runs on this machine), "
        "or local (one for this study alone).",
        rich_help_panel=RAY,
        show_default="RAY_ADDRESS, else auto, else local",
    ),
]
GpusPerTrial = Annotated[
    float,
    typer.Option(
        min=0,
        help="GPUs of a trial; 0.5 puts two on each; 0 trains on CPUs.",
        rich_help_panel=RAY,
    ),
]
Only = Annotated[
    list[str] | None, typer.Option("--only", metavar="ARM", help="Run this arm only; repeatable.")
]
More = Annotated[
    int | None,
    typer.Option(
        "--more",
        metavar="SEEDS",
        min=1,
        max=1000,
        help="Give so many more seeds to the arms that the finished study left undecided.",
        show_default=False,
    ),
]
NoReport = Annotated[
    bool, typer.Option("--no-report", help="Train and record, but write no report.")
]
TakeOver = Annotated[
    bool,
    typer.Option(
        "--take-over",
        help="Start although another process holds the study, unless it is alive on this machine "
        "or gives a sign of life.",
    ),
]
Hang = Annotated[
    float | None,
    typer.Option(
        "--hang-timeout",
        metavar="SECONDS",
        min=1.0,
        help="Kill a trial that says nothing for so long, and try it again; its stack is in "
        "logs/ of the home.",
        show_default="900, or 20 times its slowest epoch",
    ),
]
CheckpointEvery = Annotated[
    float,
    typer.Option(
        "--checkpoint-every",
        envvar="SWINABLATE_CHECKPOINT_EVERY",
        metavar="SECONDS",
        min=0.0,
        help="Write a trial's checkpoint after so many seconds of training, when its epoch has "
        "ended; 0 is every epoch.",
    ),
]
HOME = Path(DEFAULT_HOME)


def options_of(
    context: typer.Context,
    slots: int | None,
    devices: str,
    executor: str,
    only: Sequence[str] | None,
    storage: str | None,
    tracking: str | None,
    *,
    retry: bool = False,
) -> "Options":
    """How a study runs, from the words of the command line."""
    from swinablate.execution.run import Options

    return Options(
        slots=slots,
        devices=devices,
        executor=executor,
        only=tuple(only or ()),
        storage=storage,
        tracking=tracking,
        retry=retry,
        launch=launch(context),
    )


def refined(
    options: "Options",
    cluster: "Request",
    hang_timeout: float | None,
    checkpoint_every: float,
    *,
    take_over: bool,
) -> "Options":
    """The same options with what only commands that train have."""
    return dataclasses.replace(
        options,
        cluster=cluster,
        hang_timeout=hang_timeout,
        checkpoint_every=checkpoint_every,
        take_over=take_over,
    )


def sharing(
    options: "Options",
    per_gpu: str | None,
    on_oom: Literal["fail", "halve"],
    data_dir: Path | None,
) -> "Options":
    """The same options with what is said of GPUs' memory and of images."""
    from swinablate.execution.executor import per_gpu as read

    told = options.launch.model_copy(update={"data": str(data_dir or "")})
    options = dataclasses.replace(options, launch=told, data=data_dir)
    return dataclasses.replace(options, per_gpu=read(per_gpu), on_oom=on_oom)


def request(
    nodes: int | None,
    gpus_per_node: int,
    time: str,
    sbatch: Sequence[str] | None,
    address: str,
    gpus_per_trial: float,
) -> "Request":
    """What a cluster is asked for, from the words of the command line."""
    from swinablate.execution.executor import Request

    return Request(
        nodes=nodes,
        gpus_per_node=gpus_per_node,
        time=time,
        options=tuple(sbatch or ()),
        address=address,
        gpus_per_trial=gpus_per_trial,
    )


def place_asked(
    slots: int | None, devices: str, per_gpu: str | None, executor: str, cluster: "Request"
) -> "Where":
    """Where a study would run, from the words of the command line."""
    from swinablate.execution.ahead.where import Where
    from swinablate.execution.executor import per_gpu as read

    return Where(
        slots=slots,
        devices=devices,
        per_gpu=read(per_gpu),
        executor=executor,
        cluster=cluster,
        say=lambda text: print(text, file=sys.stderr),
    )


def home_of(home: Path, *, smoke: bool, data: Path | None = None) -> Home:
    """The folder of what is recorded; smoke runs have one of their own in it."""
    # Apart, so that no table or MLflow page ever shows noise beside results.
    return Home(home / "smoke" if smoke else home, data)
