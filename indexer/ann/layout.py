"""The widths of the blocks of an item vector."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Layout:
    """Widths of the blocks of an item vector, in order; the rest up to `dim` is zero.

    `dim` is a multiple of 8, which product quantisation wants.
    """

    meaning: int
    taste: int = 0
    prior: int = 1

    @property
    def dim(self) -> int:
        """Width of an item vector."""
        return -(-(self.meaning + self.taste + self.prior) // 8) * 8
