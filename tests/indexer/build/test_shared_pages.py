"""Two processes over one index hold its pages once; a build holds no page longer than needed."""

import multiprocessing
import re
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest

from indexer import Index, build_index
from indexer.ann.layout import Layout
from indexer.language.whitening import build_identity_space
from indexer.snapshot.item_vectors import BlockVectors, ItemPrior
from tests.oracle import write_rows

COUNT, DIM = 6_000, 128


def _hold(root: Path, end: Connection) -> None:
    """Read every vector, tell what of it this process holds, stay until told to end."""
    index = Index.open(root)
    index.item_vectors(np.arange(index.count))
    end.send("open")
    end.recv()
    end.send(held_kb(Path("/proc/self/smaps").read_text(), index.path.name))
    end.recv()
    index.close()


def held_kb(smaps: str, snapshot_id: str) -> dict[str, int]:
    """What a process holds of the mapped files of a snapshot; Pss shares what others hold too."""
    sums = {"Rss": 0, "Pss": 0, "Private_Dirty": 0}
    mapped = False
    for line in smaps.splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            mapped = f"/{snapshot_id}/" in line
        elif mapped and (found := re.match(r"(\w+):\s+(\d+) kB", line)) and found[1] in sums:
            sums[found[1]] += int(found[2])
    return sums


@pytest.mark.parametrize("kind", ["flat", "PQ34x4fs,Refine(SQfp16)"])
def test_a_second_process_shares_the_pages_of_the_first(tmp_path: Path, kind: str) -> None:
    vectors = np.random.default_rng(0).normal(size=(COUNT, DIM)).round(2)
    rows = [
        {"id": f"m{row:05d}", "title": f"t{row}", "vector": vector.tolist()}
        for row, vector in enumerate(vectors)
    ]
    root = tmp_path / "x"
    build_index(write_rows(tmp_path / "i.jsonl", rows), root, model="none", index=kind)
    context = multiprocessing.get_context("spawn")
    ends, processes = [], []
    for _ in range(2):
        mine, theirs = context.Pipe()
        processes.append(context.Process(target=_hold, args=(root, theirs)))
        processes[-1].start()
        ends.append(mine)
    assert [end.recv() for end in ends] == ["open", "open"]
    held = []
    for end in ends:
        end.send("tell")
        held.append(end.recv())
    for end, process in zip(ends, processes, strict=True):
        end.send("end")
        process.join(30)
        assert process.exitcode == 0
    vectors_kb = COUNT * DIM * (4 if kind == "flat" else 2) / 1_024
    for one in held:
        assert one["Rss"] >= vectors_kb
        assert one["Pss"] <= 0.6 * one["Rss"]
        assert one["Private_Dirty"] == 0


def test_laying_out_the_vectors_of_a_build_keeps_nothing_of_their_file_mapped(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "building"
    folder.mkdir()
    given = np.random.default_rng(0).normal(size=(20_000, DIM)).astype(np.float32)
    given /= np.linalg.norm(given, axis=1, keepdims=True)
    shape = given.shape
    raw = np.lib.format.open_memmap(folder / "raw.npy", mode="w+", dtype="<f2", shape=shape)
    raw[:] = given
    assert held_kb(Path("/proc/self/smaps").read_text(), "building")["Rss"] >= raw.nbytes / 1_024
    no_prior = ItemPrior(np.zeros(len(raw), np.float32), np.zeros(len(raw), np.float32))
    block_vectors = BlockVectors(raw, build_identity_space(DIM), Layout(DIM), no_prior, None)
    laid_out = block_vectors[0 : len(raw)]
    assert held_kb(Path("/proc/self/smaps").read_text(), "building")["Rss"] < 500
    np.testing.assert_allclose(laid_out[:, :DIM], given, atol=1e-3)
    np.testing.assert_array_equal(raw, given.astype(np.float16))  # nothing unwritten was lost
