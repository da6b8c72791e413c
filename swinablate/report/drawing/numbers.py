"""Numbers as text, the same in figures, pages and tables."""

import math

MINUS, DASH, PM = "\N{MINUS SIGN}", "\N{EN DASH}", "\N{PLUS-MINUS SIGN}"


def known(value: object) -> bool:
    """Whether the value is a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)


def plain(value: float | None, places: int = 2) -> str:
    """A number with a true minus sign; a dash if there is none."""
    if value is None or not known(value):
        return DASH
    return f"{value:.{places}f}".replace("-", MINUS)


def signed(value: float | None, places: int = 2) -> str:
    """A difference, always with its sign."""
    if value is None or not known(value):
        return DASH
    return f"{value:+.{places}f}".replace("-", MINUS)


def interval(low: float | None, high: float | None) -> str:
    """A confidence interval of a difference, of one width for numbers below 10."""
    if low is None or high is None or not (known(low) and known(high)):
        return DASH
    return f"[{signed(low)}, {signed(high)}]"


def share(n: float | None, planned: int) -> str:
    """How many results there are; of how many, where some are missing."""
    count = int(n) if n is not None and known(n) else 0
    return str(count) if count == planned else f"{count}/{planned}"


def mean_sd(mean: float | None, sd: float | None) -> str:
    """Mean and standard deviation: the sd to two digits, the mean to the same place."""
    if mean is None or not known(mean):
        return DASH
    if sd is None or not known(sd):
        return plain(mean)
    # The exponent after rounding: 0.0999 is 0.10, not 0.100.
    places = 2 if sd <= 0 else min(max(1 - int(f"{sd:.1e}".partition("e")[2]), 0), 4)
    return f"{plain(mean, places)} {PM} {sd:.{places}f}"


def p_value(p: float | None) -> str:
    """A p-value to two digits, never 0."""
    if p is None or not known(p):
        return DASH
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def count(value: float | None) -> str:
    """A large count with a suffix: 34.7 k, 28.3 M."""
    if value is None or not known(value):
        return DASH
    for size, suffix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{suffix}"
    return f"{value:g}"


def duration(seconds: float | None) -> str:
    """A time in the unit that suits it."""
    if seconds is None or not known(seconds):
        return DASH
    for size, suffix in ((3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {suffix}"
    return f"{seconds:.3g} s"
