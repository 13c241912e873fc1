"""Widths of the blocks of an item vector to the width of the vector."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Layout:
    """Widths of the blocks of an item vector, in order; numbers after them, up to `dim`, are zero.

    `dim` is a multiple of 8, so that product quantisation can split vectors evenly.
    """

    meaning: int
    taste: int = 0
    prior: int = 1

    @property
    def prior_column(self) -> int:
        """The first column of the prior."""
        return self.meaning + self.taste

    @property
    def dim(self) -> int:
        """Width of an item vector."""
        return -(-(self.meaning + self.taste + self.prior) // 8) * 8
