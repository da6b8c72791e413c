"""Our networks equal those of others under the same weights: logits, and every gradient."""

import pytest

from tests.models.parity import GRADIENTS, LOGITS, PAIRS, Pair, agree


def cases() -> list[object]:
    return [
        pytest.param(
            pair,
            id=f"{pair.name}-{pair.against}".replace(" ", "_"),
            marks=[pytest.mark.slow] if pair.slow else [],
        )
        for pair in PAIRS
    ]


@pytest.mark.parametrize("pair", cases())
def test_equal_under_the_same_weights(pair: Pair):
    found = agree(pair)
    assert found.logits <= LOGITS
    assert found.gradients <= GRADIENTS
