"""Numbers as text, the same in figures, pages and tables."""

from swinablate import text
from swinablate.text import known

MOST = text.SMALLEST
"""Decimals, as of differences (`text.places`)."""
OF_P = 6
"""Decimals of a p-value at most: nobody reads more."""
SUFFIXES = ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k"))
"""Of large counts: a network of today takes up to some T of multiply-accumulates an image."""
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


def share(n: float | None, planned: float) -> str:
    """How many results there are; of how many, where some are missing."""
    count = int(n) if known(n) else 0
    return str(count) if count == planned else f"{count}/{int(planned)}"


def mean_sd(mean: float | None, sd: float | None) -> str:
    """Mean and standard deviation: the sd to two digits, the mean to the same place.

    Without a spread, or with none, a small mean has two digits of its own: 0.0012 is not 0.00.
    """
    if not known(mean):
        return DASH
    own = max(2, text.places(abs(mean)))
    if not known(sd):
        return plain(mean, own)
    places = own if sd <= 0 else min(text.two_digits(sd), MOST)
    return f"{plain(mean, places)} {PM} {plain(sd, places)}"


def p_value(p: float | None, alpha: float = 0.05) -> str:
    """A p-value to two digits, never 0; one below alpha is not rounded up to it."""
    if not known(p):
        return DASH
    if p < 0.001 <= alpha:
        return "< 0.001"
    if p < 0.001:  # of a smaller error rate it matters by how much
        return f"{p:.2g}" if p >= alpha or float(f"{p:.2g}") < alpha else f"< {alpha:g}"
    places = 3 if p < 0.1 else 2
    while p < alpha <= float(f"{p:.{places}f}") and places < OF_P:
        places += 1
    return f"{p:.{places}f}"


def count(value: float | None) -> str:
    """A large count with a suffix: 34.7 k, 28.3 M; 999,950 is 1 M, as its three digits are."""
    if not known(value):
        return DASH
    if abs(value) < 1e3:
        return f"{value:g}"
    shown = abs(float(f"{value:.3g}"))
    size, suffix = next(pair for pair in SUFFIXES if shown >= pair[0])
    return f"{value / size:.3g}{suffix}"


def duration(seconds: float | None) -> str:
    """A time in the unit that suits it."""
    return text.duration(seconds, unknown=DASH)
