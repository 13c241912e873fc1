"""A file of requests gives a file of answers, line by line, whatever some lines hold."""

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from indexer import Index
from service.store.database import LiveDatabase
from service.store.event_log import EventLog
from service.store.events import parse_event
from service.store.ownership import UserHasher
from tests.paths import REPOSITORY
from tests.service.conftest import environment, wait_until

Ran = subprocess.CompletedProcess[str]


@pytest.fixture
def batch(vectors_only: Path, tmp_path: Path) -> Any:
    """Run the command over some lines; return how it ended and the lines that came out."""

    def ran(content: bytes, *more: str, out: str = "out.jsonl") -> tuple[Ran, list[dict[str, Any]]]:
        requests = tmp_path / "in.jsonl"
        requests.write_bytes(content)
        command = [
            sys.executable, str(REPOSITORY / "scripts" / "recommend_batch.py"),
            "--index", str(vectors_only), "--requests", str(requests), "--out", str(tmp_path / out),
            *more,
        ]  # fmt: skip
        ended = subprocess.run(
            command, env=environment(tmp_path), capture_output=True, text=True, check=False
        )
        if not (tmp_path / out).is_file():
            return ended, []
        opened = gzip.open if out.endswith(".gz") else open
        with opened(tmp_path / out, "rt", encoding="utf-8") as file:
            return ended, [json.loads(line) for line in file]

    return ran


def lines(*bodies: Any) -> bytes:
    return "\n".join(json.dumps(body, ensure_ascii=False) for body in bodies).encode()


def test_each_line_is_answered_as_alone_and_in_order(batch: Any, vectors_only: Path) -> None:
    asked = [{"request_id": n, "history": [f"v{n}"], "k": n + 1} for n in range(5)]
    ended, told = batch(lines(*asked), out="out.jsonl.gz")
    assert (ended.returncode, ended.stderr) == (0, "")
    index = Index.open(vectors_only)
    for n, answer in enumerate(told):
        alone = index.recommend(history=[f"v{n}"], k=n + 1, explain=False)
        assert answer["request_id"] == n
        assert [hit["id"] for hit in answer["items"]] == [hit.id for hit in alone]


def test_a_bad_line_has_an_error_in_its_place_and_the_others_are_answered(batch: Any) -> None:
    good = {"request_id": "a", "k": 2}
    content = b"\n".join(
        [
            lines(good),
            b"{no json",
            lines([1]),
            b"",
            lines({"request_id": "b", "k": 0}),
            lines({"request_id": "c", "history": [{"item_id": "v1", "event": "disliek"}]}),
            b"[" * 100_000,
            lines({**good, "request_id": "d"}),
        ]
    )
    ended, told = batch(content)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "in.jsonl:2: this is no JSON" in ended.stderr
    assert "5 of 7 lines" in ended.stderr
    assert [line["request_id"] for line in told] == ["a", None, None, "b", "c", None, "d"]
    assert ["error" in line for line in told] == [False, True, True, True, True, True, False]
    assert "k must be" in told[3]["error"]
    assert "did you mean 'dislike'?" in told[4]["error"]
    assert len(told[0]["items"]) == len(told[6]["items"]) == 2


def test_a_request_id_that_no_answer_can_hold_is_a_bad_line(batch: Any) -> None:
    ended, told = batch(lines({"request_id": 2**64, "k": 1}, {"request_id": 2**64 - 1, "k": 1}))
    assert ended.returncode == 1
    assert told[0]["error"] == (
        "request_id holds a whole number of more than 64 bits; write it in quotes"
    )
    assert told[1]["request_id"] == 2**64 - 1


def test_a_byte_order_mark_is_no_part_of_the_first_line(batch: Any) -> None:
    ended, told = batch(b"\xef\xbb\xbf" + lines({"request_id": "a", "k": 1}))
    assert ended.returncode == 0
    assert told[0]["request_id"] == "a"


@pytest.mark.parametrize(
    ("out", "said"), [("none/out.jsonl", "no directory"), ("vectors", "is a directory")]
)
def test_a_place_that_cannot_be_written_is_named_before_any_work(
    batch: Any, out: str, said: str
) -> None:
    ended, _ = batch(lines({"request_id": "a"}), out=out)
    assert ended.returncode == 1
    assert said in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_what_is_no_text_is_refused_and_nothing_is_put_in_place(batch: Any, tmp_path: Path) -> None:
    ended, told = batch(lines({"request_id": "a"}) + b"\n\xff\xfe")
    assert (ended.returncode, told) == (1, [])
    assert "cannot be read" in ended.stderr
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".answers")]


def keep_a_like(file: Path) -> str:
    """Keep that u liked v3 in a live store; return its URL."""
    url = f"sqlite:///{file}"
    database = LiveDatabase.open(url)
    event = {"user_id": "u", "item_id": "v3", "event": "like"}
    EventLog(database, UserHasher("x" * 16)).append([parse_event(event, now=1)])
    database.close()
    return url


def test_the_store_beside_the_index_counts_unless_it_is_left_out(
    batch: Any, vectors_only: Path
) -> None:
    keep_a_like(vectors_only / "live.sqlite")
    asked = lines(
        *({"request_id": n, "user_id": user, "k": 100} for n, user in enumerate("uwx")),
        {"request_id": 3, "k": 100},
    )
    ended, told = batch(asked)
    assert ended.returncode == 0
    assert "v3" not in [hit["id"] for hit in told[0]["items"]]
    assert [line.get("user_known") for line in told] == [True, False, False, None]
    assert "2 of 3 requests with a user_id or session_id are of somebody of whom" in ended.stderr
    assert "in.jsonl:2" in ended.stderr
    left_out, alone = batch(asked, "--no-live")
    assert (left_out.returncode, left_out.stderr) == (0, "")
    assert "v3" in [hit["id"] for hit in alone[0]["items"]]
    assert [line.get("user_known") for line in alone] == [False, False, False, None]


def test_the_store_counts_too(batch: Any, tmp_path: Path) -> None:
    url = keep_a_like(tmp_path / "live.sqlite")
    asked = lines({"request_id": 1, "user_id": "u", "k": 100}, {"request_id": 2, "k": 100})
    ended, told = batch(asked, "--db", url)
    assert ended.returncode == 0
    assert "v3" not in [hit["id"] for hit in told[0]["items"]]
    assert "v3" in [hit["id"] for hit in told[1]["items"]]
    assert told[0]["live_seq"] == 1


def without_times(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: part for key, part in line.items() if key != "timing_ms"} for line in told]


@pytest.mark.slow
def test_several_processes_answer_as_one_does(batch: Any) -> None:
    asked = [{"request_id": n, "history": [f"v{n % 7}"], "k": 1 + n % 5} for n in range(450)]
    content = lines(*asked[:333], {"request_id": "bad", "k": 0}, *asked[333:])
    one, by_one = batch(content, "--workers", "1", out="one.jsonl")
    two, by_two = batch(content, "--workers", "2", out="two.jsonl")
    assert (one.returncode, two.returncode) == (1, 1)
    assert one.stderr.replace("one.jsonl", "two.jsonl") == two.stderr
    assert "in.jsonl:334: k must be a whole number from 1 to" in two.stderr
    assert [line["request_id"] for line in by_two] == [*range(333), "bad", *range(333, 450)]
    assert without_times(by_one) == without_times(by_two)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--workers", "0"], "--workers is 0; give a number from 1 to"),
        (["--workers", "1000"], "--workers is 1000; give a number from 1 to"),
        (["--workers", "2", "--db", "sqlite:///live.sqlite"], "one process answers from a live"),
        (["--no-live", "--db", "sqlite:///live.sqlite"], "--no-live leaves out what --db names"),
    ],
)
def test_numbers_of_processes_that_cannot_be_are_refused(
    batch: Any, more: list[str], said: str
) -> None:
    ended, _ = batch(lines({"request_id": 1}), *more)
    assert ended.returncode == 2
    assert said in ended.stderr


class Running:
    """The command on two processes, which wait for more lines."""

    def __init__(self, index: Path, folder: Path) -> None:
        self.out, fifo = folder / "out.jsonl", folder / "in.fifo"
        os.mkfifo(fifo)
        command = [
            sys.executable, str(REPOSITORY / "scripts" / "recommend_batch.py"),
            "--index", str(index), "--requests", str(fifo), "--out", str(self.out),
            "--workers", "2",
        ]  # fmt: skip
        # A background job of a shell ignores interrupts, and what it starts would do so too.
        handler = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.process = subprocess.Popen(
            command, env=environment(folder), stderr=subprocess.PIPE, text=True
        )
        signal.signal(signal.SIGINT, handler)
        self._file = os.open(fifo, os.O_RDWR)  # both, so that it waits for no reader
        self.send(700)
        wait_until(lambda: len(answering(self.process.pid)) == 2)
        self.workers = answering(self.process.pid)

    def send(self, count: int) -> None:
        """Give it more lines; they fit into the pipe."""
        for number in range(count):
            os.write(self._file, lines({"request_id": number}) + b"\n")

    def ended(self) -> tuple[int, str]:
        """How it ended, and what it said; its processes are gone, and nothing is half written."""
        _, said = self.process.communicate(timeout=60)
        wait_until(lambda: not any(map(command_of, self.workers)))
        assert not self.out.exists()
        assert not list(self.out.parent.glob(".answers-*"))
        return self.process.returncode, said

    def close(self) -> None:
        """Leave nothing behind."""
        os.close(self._file)
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def running(vectors_only: Path, tmp_path: Path) -> Iterator[Running]:
    if not Path("/proc/self/status").is_file():
        pytest.skip("no processes are told here")
    made = Running(vectors_only, tmp_path)
    yield made
    made.close()


def test_a_process_that_dies_ends_the_command_with_a_sentence(running: Running) -> None:
    os.kill(running.workers[0], signal.SIGKILL)
    wait_until(lambda: not any(map(command_of, running.workers)))
    running.send(700)  # while it waits for a line it looks at nothing else
    code, said = running.ended()
    assert code == 1
    assert said.splitlines()[-1].endswith("(killed, or out of memory); try --workers 1")


def test_processes_end_with_the_command_that_is_killed(running: Running) -> None:
    running.process.kill()
    wait_until(lambda: not any(map(command_of, running.workers)))


def test_an_interrupt_ends_the_command_and_its_processes_without_a_word(running: Running) -> None:
    for pid in (*running.workers, running.process.pid):  # as a terminal sends it, to all of them
        os.kill(pid, signal.SIGINT)
    running.send(700)  # one that came just before it began to wait for a line is not seen before
    assert running.ended() == (130, "")


def test_a_request_id_that_is_no_text_is_refused_in_its_place(batch: Any) -> None:
    ended, told = batch(b'{"request_id": "\\ud800"}\n{"request_id": 2, "k": 1}')
    assert ended.returncode == 1
    assert "in.jsonl:1: request_id holds a lone surrogate" in ended.stderr
    assert [line["request_id"] for line in told] == [None, 2]


def answering(parent: int) -> list[int]:
    """The processes that the command has started to answer."""
    return [pid for pid in children(parent) if "spawn_main" in command_of(pid)]


def children(parent: int) -> list[int]:
    """The processes that one has started."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):
            if f"\nPPid:\t{parent}\n" in status.read_text():
                found.append(int(status.parent.name))
    return found


def command_of(pid: int) -> str:
    """The command line of a process; empty once it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""
