"""A program for test_crash.py: writers that are killed while they write, one after the other.

usage: crash_writer.py URL ROUNDS SEED

Each writer tells on a pipe what it was answered, at once, and is then killed with -9 at a random
moment. Prints one JSON line: what was answered in all rounds, and whether torch was loaded.
"""

import json
import os
import random
import select
import signal
import sys
import time
from typing import NoReturn

import numpy as np

from service.store.database import LiveDatabase
from service.store.event_log import EventLog
from service.store.events import Event
from service.store.item_changes import ItemChange, store_changes
from service.store.ownership import UserHasher

LONGEST_S = 0.12


def write_for_ever(url: str, round_: int, pipe: int) -> NoReturn:
    """Write events and items; tell each answer with one atomic write."""
    database = LiveDatabase.open(url)
    log = EventLog(database, UserHasher("a secret of the tests"))
    number = 0
    while True:
        names = [f"{round_}-{number}-{part}" for part in range(1 + number % 7)]
        log.append([Event(name, "u", None, f"m{name}", "like", None, None, 0.0) for name in names])
        os.write(pipe, f"events {' '.join(names)}\n".encode())
        with database.begin_write() as write:
            raw = np.ones(4, np.float16)
            change = ItemChange(f"item{number % 5}", {"id": "x", "round": round_, "n": number}, raw)
            store_changes(write, [change], now=0.0)
        os.write(pipe, f"item {number % 5} {round_} {number}\n".encode())
        number += 1


def one_round(url: str, round_: int, delay_s: float) -> list[str]:
    """Let a writer write until it is killed; return the lines it has told."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        write_for_ever(url, round_, writer)
    os.close(writer)
    told = b""
    select.select([reader], [], [], 10)  # the first answer
    deadline = time.monotonic() + delay_s
    while time.monotonic() < deadline:
        if select.select([reader], [], [], max(0.0, deadline - time.monotonic()))[0]:
            told += os.read(reader, 1 << 16)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while block := os.read(reader, 1 << 16):
        told += block
    os.close(reader)
    return told.decode().splitlines()


def main() -> None:
    """Run all rounds."""
    url, rounds, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    rng = random.Random(seed)
    told = [one_round(url, n, rng.uniform(0, LONGEST_S)) for n in range(rounds)]
    json.dump({"told": told, "torch": "torch" in sys.modules}, sys.stdout)


if __name__ == "__main__":
    main()
