"""Numbers as text, the same in figures, pages and tables."""

from swinablate import text
from swinablate.text import known

MOST = 6
"""Decimals, as of differences (`text.places`)."""
MINUS, DASH, PM = "\N{MINUS SIGN}", "\N{EN DASH}", "\N{PLUS-MINUS SIGN}"


def plain(value: float | None, places: int = 2) -> str:
    """A number with a true minus sign; a dash if there is none."""
    return text.number(value, places, minus=MINUS, unknown=DASH)


def signed(value: float | None, places: int = 2) -> str:
    """A difference with its sign."""
    return text.signed(value, places, minus=MINUS, unknown=DASH)


def interval(low: float | None, high: float | None, places: int = 2) -> str:
    """A confidence interval of a difference, of one width for numbers below 10."""
    return text.interval(low, high, places, minus=MINUS, unknown=DASH)


def share(n: float | None, planned: int) -> str:
    """How many results there are; of how many, where some are missing."""
    count = int(n) if known(n) else 0
    return str(count) if count == planned else f"{count}/{planned}"


def mean_sd(mean: float | None, sd: float | None) -> str:
    """Mean and standard deviation: the sd to two digits, the mean to the same place."""
    if not known(mean):
        return DASH
    if not known(sd):
        return plain(mean)
    # The exponent after rounding: 0.0999 is 0.10, not 0.100.
    places = 2 if sd <= 0 else min(max(1 - int(f"{sd:.1e}".partition("e")[2]), 0), MOST)
    return f"{plain(mean, places)} {PM} {sd:.{places}f}"


def p_value(p: float | None, alpha: float = 0.05) -> str:
    """A p-value to two digits, never 0; one below alpha is not rounded up to it."""
    if not known(p):
        return DASH
    if p < 0.001:
        return "< 0.001"
    places = 3 if p < 0.1 else 2
    while p < alpha <= float(f"{p:.{places}f}") and places < MOST:
        places += 1
    return f"{p:.{places}f}"


def count(value: float | None) -> str:
    """A large count with a suffix: 34.7 k, 28.3 M."""
    if not known(value):
        return DASH
    for size, suffix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{suffix}"
    return f"{value:g}"


def duration(seconds: float | None) -> str:
    """A time in the unit that suits it."""
    return text.duration(seconds, unknown=DASH)
