"""How often visionforge-studio's significance module is wrong, and what it finds.

It compares configs within the seeds they share: Wilcoxon's signed ranks, from eight pairs on a
paired t where Shapiro's test allows it, Holm's correction over the comparisons, and beside it a
percentile bootstrap of the difference. It needs Python 3.12, so this is a program of its own:

    uv venv --python 3.12 .venv-peer
    uv pip install --python .venv-peer numpy scipy
    uv pip install --python .venv-peer --no-deps visionforge-studio==0.18.1
    .venv-peer/bin/python benchmarks/peers/significance.py --studies 1000

Shapes and effect are those of `tests/calibration/shapes.py`.
"""

import argparse
import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np

ARMS, SD, EFFECT = 4, 0.3, -0.5  # points
SHAPES = ("equal noise", "sd varies (tau .5)", "one arm x5", "baseline x0.3")


def load() -> ModuleType:
    """The module alone, from its file: its package imports torchvision and much else.

    Raises:
        SystemExit: visionforge-studio is not installed.
    """
    package = find_spec("visionforge")
    if package is None or not package.submodule_search_locations:
        sys.exit("visionforge-studio is not installed: see --help")
    file = Path(package.submodule_search_locations[0]) / "core/significance.py"
    spec = spec_from_file_location("significance_of_visionforge", file)
    assert spec is not None
    assert spec.loader is not None
    found = module_from_spec(spec)
    sys.modules[spec.name] = found  # where its dataclasses look their types up
    spec.loader.exec_module(found)
    return found


def draw(shape: str, rng: np.random.Generator, n: int) -> np.ndarray:
    """Values without any effect, (1 + ARMS, n); the baseline first."""
    sd = np.full((1 + ARMS, 1), SD)
    if shape == "sd varies (tau .5)":
        sd = sd * np.exp(0.5 * rng.standard_normal(sd.shape))
    elif shape == "one arm x5":
        sd[1] *= 5
    elif shape == "baseline x0.3":
        sd[0] *= 0.3
    return sd * rng.standard_normal((1 + ARMS, n))


def called(peer: ModuleType, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By arm: significant after Holm; and whether its bootstrap interval excludes 0."""
    base, *arms = (dict(enumerate(map(float, row))) for row in values)
    found = peer.holm_correct([peer.paired_comparison("accuracy", arm, base) for arm in arms])
    significant = np.array([one.significant for one in found])
    return significant, np.array([one.ci_low > 0 or one.ci_high < 0 for one in found])


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    peer = load()
    print("| seeds | what is read | " + " | ".join(SHAPES) + " | power, equal noise |")
    print("|---:|---|" + "---:|" * (len(SHAPES) + 1))
    for n in (5, 8):
        rates = []
        for shape in (*SHAPES, "power"):
            rng = np.random.default_rng(asked.seed)
            rows = []
            for _ in range(asked.studies):
                values = draw(shape, rng, n)
                if shape == "power":
                    values[1:] += EFFECT
                rows.append(called(peer, values))
            both = np.array(rows)  # studies, two readings, arms
            rates.append(both.mean((0, 2)) if shape == "power" else both.any(2).mean(0))
        for i, reading in enumerate(("significant (Holm)", "bootstrap interval without 0")):
            print(f"| {n} | {reading} | " + " | ".join(f"{rate[i]:.3f}" for rate in rates) + " |")


if __name__ == "__main__":
    main()
