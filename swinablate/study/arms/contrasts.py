"""Comparisons that a study file declares beside those with the baseline."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from swinablate.config.plugins import did_you_mean
from swinablate.config.schema import Frozen
from swinablate.errors import InputError
from swinablate.stats import check_weights


class DeclaredContrast(Frozen):
    """A weighted sum of arms whose weights sum to 0; its scale is what the weights say."""

    name: str
    of: dict[str, float]  # arm -> weight: { "A" = 1, "B" = -1 }


def check_declared(contrasts: Sequence[DeclaredContrast], taken: Collection[str], at: str) -> None:
    """Refuse contrasts that are no differences, or that are called like another.

    Args:
        contrasts: as written.
        taken: names of the arms that were named one by one, and `baseline`.
        at: the file.

    Raises:
        InputError: one of them.
    """
    seen = set(taken)
    for contrast in contrasts:
        if contrast.name in seen:
            raise InputError(
                f"{contrast.name!r} is the name of something else, too",
                at=f"{at}: contrasts",
                hint="give the contrast another name",
            )
        seen.add(contrast.name)
        check_weights(contrast.of, f"{at}: contrasts: {contrast.name!r}: of")
    for i, contrast in enumerate(contrasts):
        for other in contrasts[:i]:
            if contrast.of == other.of:
                raise InputError(
                    f"{contrast.name!r} is the same as {other.name!r}",
                    at=f"{at}: contrasts",
                    hint="declare it once: each one widens the intervals of all",
                )


def check_arms(
    contrasts: Iterable[DeclaredContrast],
    against: Mapping[str, str],
    names: Collection[str],
    at: str,
) -> None:
    """Refuse comparisons of what is no arm.

    Args:
        contrasts: as written.
        against: arm -> the arm that it is compared with instead of the baseline.
        names: of all arms, refused ones too, and the baseline.
        at: the file.

    Raises:
        InputError: a name that no arm has; an arm against itself, or against the baseline, which
            it is compared with anyway; a contrast that is called like an arm.
    """
    for arm, other in against.items():
        where = f"{at}: arms: {arm!r}: against"
        if other not in names:
            raise InputError(
                f"no arm is called {other!r}", at=where, hint=did_you_mean(other, names)
            )
        if other in {arm, "baseline"}:
            what = "itself" if other == arm else "the baseline, as every arm is"
            raise InputError(
                f"it is compared with {what}",
                at=where,
                hint="leave `against` out, or name another",
            )
    for contrast in contrasts:
        where = f"{at}: contrasts: {contrast.name!r}: of"
        for arm in contrast.of:
            if arm not in names:
                raise InputError(
                    f"no arm is called {arm!r}", at=where, hint=did_you_mean(arm, names)
                )
        if contrast.name in names:
            raise InputError(
                f"an arm is called {contrast.name!r}, too",
                at=f"{at}: contrasts",
                hint="give the contrast another name",
            )
