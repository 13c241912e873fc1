"""Widths of the blocks of an item vector to the width of the vector."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Layout:
    """Widths of the blocks of an item vector, in order; numbers after them, up to `dim`, are zero.

    The prior part is the part of the prior that has a reason of its own. Query vectors weigh the
    whole prior, and this column to take the part away.

    `dim` is a multiple of 8, so that product quantisation can split vectors evenly.
    """

    meaning: int
    taste: int = 0
    prior: int = 1
    prior_part: int = 0

    @property
    def prior_column(self) -> int:
        """The first column of the prior."""
        return self.meaning + self.taste

    @property
    def part_column(self) -> int:
        """The column of the prior part."""
        return self.meaning + self.taste + self.prior

    @property
    def dim(self) -> int:
        """Width of an item vector."""
        return -(-(self.part_column + self.prior_part) // 8) * 8
