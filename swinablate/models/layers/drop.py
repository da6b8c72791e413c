"""Dropping single numbers while training.

Source: Srivastava et al. 2014, "Dropout", JMLR 15, sec. 4.
"""

from torch import nn


def make_drop(rate: float) -> nn.Module:
    """Build what drops a share of the numbers; 0 is off.

    It draws from torch's global generator, which training seeds for every step.
    """
    return nn.Dropout(rate) if rate else nn.Identity()
