"""Comparisons of several arms as weights: effects of a design, contrasts that were declared."""
