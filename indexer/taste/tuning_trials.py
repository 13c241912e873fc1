"""Settings to the ranks they gave, in a file, so that a killed fit continues where it stopped."""

import hashlib
import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.package_version import read_version
from indexer.taste.events import Events
from indexer.taste.settings import TasteSettings, parse_settings

Ranks = NDArray[np.int64]  # (c,), 1 is best
Trial = tuple[TasteSettings, int]  # settings, and the stage of the sample that they were tried with

AMONG_ALL = -1  # the stage of ranks that are among all items of a catalogue that is sampled


class TuningTrials:
    """The ranks of the hold-out cases by settings.

    Args:
        path: File of earlier trials, to which new ones are appended; None keeps them in memory.
        key: From `compute_trials_key`; a file with another key is discarded.

    Attributes:
        resumed_count: Number of trials read from the file.
    """

    def __init__(self, path: Path | None = None, key: str = "") -> None:
        self._path, self._key = path, key
        self._known = _read_trials(path, key) if path else {}
        self.resumed_count = len(self._known)

    def has(self, settings: TasteSettings, stage: int = 0) -> bool:
        """Return whether some settings were tried at a stage of the sample."""
        return (settings, stage) in self._known

    def get(self, settings: TasteSettings, stage: int = 0) -> Ranks:
        """Return the ranks `(c,)` of some settings.

        Raises:
            KeyError: If they were not tried yet, see `has`.
        """
        return self._known[settings, stage]

    def list_all(self) -> list[tuple[TasteSettings, int, Ranks]]:
        """Return all settings that were tried, each with its stage and its ranks `(c,)`."""
        return [(settings, stage, ranks) for (settings, stage), ranks in self._known.items()]

    def add(self, settings: TasteSettings, ranks: Ranks, stage: int = 0) -> None:
        """Store the ranks `(c,)` of settings that were not tried before at the stage."""
        self._known[settings, stage] = ranks
        if self._path is None:
            return
        if len(self._known) == 1:
            self._path.write_text(_encode_line({"key": self._key}), encoding="utf-8")
        with self._path.open("a", encoding="utf-8") as file:
            record = {"settings": asdict(settings), "stage": stage, "ranks": ranks.tolist()}
            file.write(_encode_line(record))


def compute_trials_key(events: Events, meaning: NDArray[np.float32], seed: int) -> str:
    """Return a hash of the events, the meaning vectors, the seed and the release.

    Changes to the code of the same release do not change it.
    """
    digest = hashlib.sha256(f"{read_version()}|{seed}".encode())
    for field in fields(events):
        value: Any = getattr(events, field.name)
        is_array = isinstance(value, np.ndarray)
        digest.update(np.ascontiguousarray(value).data if is_array else repr(value).encode())
    digest.update(np.ascontiguousarray(meaning).data)
    return digest.hexdigest()


def _encode_line(record: dict[str, Any]) -> str:
    return json.dumps(record) + "\n"


def _read_trials(path: Path, key: str) -> dict[Trial, Ranks]:
    """Read the trials of a key and cut off a last line that was not written completely."""
    trials: dict[Trial, Ranks] = {}
    try:
        with path.open("rb+") as file:
            valid_bytes = 0
            for number, line in enumerate(file):
                record = json.loads(line) if line.endswith(b"\n") else {}
                if number == 0 and record.get("key") != key:
                    break
                if number and "ranks" not in record:
                    break
                valid_bytes += len(line)
                if number:
                    settings = parse_settings(record["settings"])
                    trials[settings, int(record["stage"])] = np.array(record["ranks"], np.int64)
            file.truncate(valid_bytes)
    except FileNotFoundError:
        return {}
    except (ValueError, LookupError, TypeError, AttributeError):
        path.unlink()  # not a file of trials
        return {}
    return trials
