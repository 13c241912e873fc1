"""Small worlds on disk: rows of a catalogue with vectors, and what users did."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from indexer.reading.interaction import Interaction
from tests.indexer.taste.worlds import random_meaning

DIM = 16


def write_world(folder: Path, rows: Sequence[Interaction], items: int) -> tuple[Path, Path]:
    """Write items.jsonl and events.csv; return both."""
    folder.mkdir(parents=True, exist_ok=True)
    catalogue, events = folder / "items.jsonl", folder / "events.csv"
    vectors = random_meaning(items, DIM)
    with catalogue.open("w", encoding="utf-8") as file:
        for item in range(items):
            row = {"id": f"i{item}", "title": f"item {item}", "rating_avg": float(item)}
            file.write(json.dumps({**row, "vector": vectors[item].tolist()}) + "\n")
    with events.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user_id", "item_id", "event", "value", "timestamp"])
        for event in rows:
            value = "" if event.value is None else event.value
            writer.writerow([event.user_id, event.item_id, event.event, value, event.at])
    return catalogue, events
