"""The default verdict under noise of many shapes, beside what stood here before and its peers.

`python -m tests.calibration.gate --sims 4000` prints the first part of
`benchmarks/results/calibration.md`.
"""

import argparse
import platform
import subprocess
import time
from collections.abc import Iterator

import numpy as np
import scipy

from swinablate.stats.planned.selftest import judge
from swinablate.stats.power import detectable, detected
from tests.calibration import pairing, peers, plasmode
from tests.calibration.shapes import EFFECT, SD, SHAPES, draw, error, floor, judged, power, study

SIZES = ((1, 3), (1, 5), (2, 3), (2, 5), (2, 8), (4, 5), (8, 3), (8, 5), (8, 8), (8, 12))
"""Arms beside the baseline, and seeds of each; the baseline has twice as many."""
PLANNED = tuple((m, n) for m in (1, 2, 4, 8, 16) for n in (3, 5, 8, 12))


def errors(sims: int) -> Iterator[str]:
    """Family-wise error by shape and size: now, and before in brackets."""
    yield "| shape | " + " | ".join(f"m={m} n={n}" for m, n in SIZES) + " |"
    yield "|---|" + "---:|" * len(SIZES)
    for shape in SHAPES:
        cells = []
        for m, n in SIZES:
            if m == 1 and shape in {"half the arms x4", "two arms without noise"}:
                cells.append("")
                continue
            family = judged(shape, m, n, sims)
            called = peers.before(draw(shape, m, n, sims), n, floor(shape))
            now, then = error(family.half, family.delta), called.any(axis=1).mean()
            cells.append(
                f"**{now:.3f}** ({then:.3f})" if now > 0.07 else f"{now:.3f} ({then:.3f})"
            )
        yield f"| {shape} | " + " | ".join(cells) + " |"


def powers(sims: int) -> Iterator[str]:
    """How often half a point is found, by shape: now, and before in brackets."""
    shapes = (
        "equal noise",
        "sd varies (tau .5)",
        "one arm x5",
        "half the arms x4",
        "as on digits",
    )
    sizes = tuple((m, n) for m, n in SIZES if m > 1)
    yield "| shape | " + " | ".join(f"m={m} n={n}" for m, n in sizes) + " |"
    yield "|---|" + "---:|" * len(sizes)
    for shape in shapes:
        cells = []
        for m, n in sizes:
            family = judged(shape, m, n, sims)
            values = draw(shape, m, n, sims)
            values[:, 1:] += EFFECT
            then = peers.before(values, n, floor(shape)).mean()
            cells.append(f"{power(family.half, family.delta):.3f} ({then:.3f})")
        yield f"| {shape} | " + " | ".join(cells) + " |"


def paired(sims: int) -> Iterator[str]:
    """Error and power of studies whose seeds correlate, pairing decided from the same data."""
    yield "| m | n | correlation | " + " | ".join(pairing.NOISES) + " |"
    yield "|---:|---:|---|" + "---:|" * len(pairing.NOISES)
    for m in (2, 4, 8):
        for n in (3, 5, 8, 12):
            for rho in pairing.RHOS:
                cells = []
                for noise in pairing.NOISES:
                    found = pairing.rates(rho, noise, m, n, sims)
                    cells.append(
                        f"{found.error:.3f} ({found.apart_error:.3f}) / {found.power:.2f} "
                        f"({found.apart_power:.2f}) / {found.paired:.2f}"
                    )
                yield f"| {m} | {n} | {rho} | " + " | ".join(cells) + " |"


def promised(m: int, n: int, sims: int) -> tuple[float, float, float]:
    """The effect that is planned for in points; the power there; and the mean power at the one
    that a sentence tells."""
    effect = detectable(n, 2 * n, m, SD)
    family = judged("equal noise", m, n, sims, "shrunken")
    told = np.array(
        [
            [detected(float(c), float(df)) * se for c, df, se in zip(*rows, strict=True)]
            for rows in zip(family.c[:200], family.df[:200], family.se[:200], strict=True)
        ]
    )
    # The power of another study at what one has told, for one in every fortieth that is told.
    step = max(1, told.size // 40)
    shown = [
        power(family.half, family.delta, each) for each in np.sort(told.ravel())[step // 2 :: step]
    ]
    return effect, power(family.half, family.delta, effect), float(np.mean(shown))


def planned(sims: int) -> Iterator[str]:
    """Power at the effects that `plan` and the sentences print; promised is .80."""
    yield "| m | n | smallest effect, sds | power there | mean power at the one told |"
    yield "|---:|---:|---:|---:|---:|"
    for m, n in PLANNED:
        effect, there, told = promised(m, n, sims)
        yield f"| {m} | {n} | {effect / SD:.2f} | {there:.3f} | {told:.3f} |"


def beside(sims: int) -> Iterator[str]:
    """Peers on the same families of four arms of five seeds."""
    shapes = ("equal noise", "sd varies (tau .5)", "one arm x5", "baseline x0.3")
    yield "| method | " + " | ".join(shapes) + " | power, equal noise |"
    yield "|---|" + "---:|" * (len(shapes) + 1)
    m, n = 4, 5
    methods = {
        "swinablate": lambda values, n: _called(values, m, n),
        "swinablate before": peers.before,
        **peers.PEERS,
    }
    for name, method in methods.items():
        cells = [f"{method(draw(s, m, n, sims), n).any(axis=1).mean():.3f}" for s in shapes]
        values = draw("equal noise", m, n, sims)
        values[:, 1:] += EFFECT
        yield f"| {name} | " + " | ".join(cells) + f" | {method(values, n).mean():.3f} |"


def _called(values: np.ndarray, m: int, n: int) -> np.ndarray:
    family, _ = judge(study(m, n), values, "auto")
    return np.abs(family.delta) > family.half


def report(sims: int) -> Iterator[str]:
    """All tables, in Markdown, line by line."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    yield (
        f"{sims:,} simulated studies a cell (one Monte-Carlo standard error at .05 is "
        f"{(0.05 * 0.95 / sims) ** 0.5:.4f}, at .5 {(0.25 / sims) ** 0.5:.4f}), generators "
        f"default_rng([0, m, n, shape]), {time.strftime('%Y-%m-%d')}, commit {commit}, Python "
        f"{platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}."
    )
    for title, lines in (
        ("Family-wise error without any effect: now (before); promised is .05", errors(sims)),
        ("Power for half a point at sd .3: now (before)", powers(sims)),
        ("Peers, four arms of five seeds: family-wise error", beside(min(sims, 2000))),
        ("Pools of real runs", plasmode.report(sims)),
        ("Seeds that correlate: error (unpaired) / power (unpaired) / paired", paired(sims)),
        ("Power at the effect that is printed", planned(sims)),
    ):
        yield f"\n### {title}\n"
        yield from lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sims", type=int, default=4000)
    for line in report(parser.parse_args().sims):
        print(line, flush=True)
