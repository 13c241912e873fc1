"""Stages of a long task to calls that report how far each one is."""

from collections.abc import Callable
from typing import TypeAlias

# Called with the name of a stage, units done and units in all; 0 in all means unknown.
StageProgress: TypeAlias = Callable[[str, int, int], None]
