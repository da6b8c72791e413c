"""The command of the suite: `just bench step data --rounds 5 --out benchmarks/results`."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.harness import SEEDS, Settings
from benchmarks.suite import run, write
from swinablate.errors import SwinablateError

app = typer.Typer(pretty_exceptions_enable=False)


@app.command(epilog="Example: just bench step data --rounds 5 --out benchmarks/results")
def bench(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="step, data, scheduler, queue, fleet, makespan, quickstart, report, fusion, "
            "malloc [default: all].",
            show_default=False,
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Of every comparison.")] = 5,
    trials: Annotated[int, typer.Option(min=2, help="Of a study, where studies are run.")] = 12,
    device: Annotated[str, typer.Option(help="cpu or cuda:0.")] = "cpu",
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the results [default: none].")
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep",
            help="File that takes each round of the quick start as it ends; rounds that are in "
            "it count, so that five of them need not be one day's.",
        ),
    ] = None,
    peers: Annotated[
        bool,
        typer.Option(
            "--peers/--no-peers",
            help="Run the quick start by other tools as well, which takes most of a round; "
            "without, they are told of by the rounds of --keep that have them.",
        ),
    ] = True,
    seeds: Annotated[
        int,
        typer.Option(
            min=2,
            help="Of an arm of the quick start. Few make short rounds, for a machine whose speed "
            "drifts: start and report then weigh more than they do in the study.",
        ),
    ] = SEEDS,
    tiny: Annotated[
        bool, typer.Option("--tiny", help="The smallest that runs; its figures mean nothing.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print data for programs on stdout.")
    ] = False,
) -> None:
    """Measure the speed of everything against its peers: ratios, each with its control.

    A ratio is printed only where the reference, run against itself, gives 0.95 to 1.05.
    """
    seconds = 0.01 if tiny else 0.5
    settings = Settings(
        rounds=rounds,
        seconds=seconds,
        trials=trials,
        device=device,
        tiny=tiny,
        kept=keep,
        peers=peers,
        seeds=seeds,
    )
    found = run(names or [], settings, (lambda _: None) if as_json else print)
    if out is not None:
        print(f"results: {write(found, out)}", file=sys.stderr)
    if as_json:
        print(json.dumps(found.to_json(), indent=2, allow_nan=False))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite and return the exit code: 0, 2 wrong input, 4 the environment."""
    try:
        code = app(args=arguments, standalone_mode=False)
    except SwinablateError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except typer.TyperException as error:
        print(f"error: {error.format_message()}\n\nhint: add --help", file=sys.stderr)
        return 2
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main())
