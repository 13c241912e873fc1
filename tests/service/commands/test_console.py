"""Progress, and what is read from a command line."""

import argparse
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest

from indexer.errors import IndexerError
from service.commands.console import Progress, parse_rating_scale, parse_share, run_and_exit
from tests.paths import REPOSITORY

PROGRAM = """
from service.commands.console import Progress
with Progress() as progress:
    progress("learn", 0, 0)
    for done in range(0, 1001, 100):
        progress("encode", done, 1000)
"""


def on_a_terminal() -> str:
    """What a program writes to a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=REPOSITORY, stderr=theirs
    ):  # fmt: skip
        os.close(theirs)
        written = b""
        try:
            while piece := os.read(ours, 4_096):
                written += piece
        except OSError:  # the other side is closed
            pass
    os.close(ours)
    return written.decode()


def test_a_bar_counts_in_the_unit_of_its_stage() -> None:
    written = on_a_terminal()
    assert "1000/1000" in written
    assert " texts/s" in written
    assert "items/s" not in written


def test_a_stage_that_counts_nothing_shows_time_and_no_rate() -> None:
    (line,) = {part for part in on_a_terminal().split("\r") if part.startswith("learn")}
    assert line.strip() == "learn [00:00]"


def test_without_a_terminal_a_short_stage_writes_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Progress() as progress:
        progress("read", 1, 10)
        progress("read", 10, 10)
    assert capsys.readouterr().err == ""


def test_without_a_terminal_a_long_stage_writes_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("service.commands.console.time.monotonic", lambda: now[0])
    with Progress() as progress:
        for done in range(0, 2_001, 10):
            now[0] = done / 10  # ten texts a second
            progress("encode", done, 2_000)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "encode: 300 of 2,000 texts, about 3 min left"
    assert lines[-1] == "encode: 1,800 of 2,000 texts, about 20 s left"
    assert len(lines) == 6


@pytest.mark.parametrize(("text", "share"), [("1%", 0.01), ("0.01", 0.01), ("100%", 1.0), ("0", 0)])
def test_a_share_is_a_percentage_or_a_fraction(text: str, share: float) -> None:
    assert parse_share(text) == share


@pytest.mark.parametrize("text", ["-1%", "1.5", "x", "", "nan", "101%"])
def test_no_share_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"is no share; use 1% or 0\.01"):
        parse_share(text)


@pytest.mark.parametrize(
    ("text", "scale"),
    [("1-5", (1, 5)), (" 0.5-5 ", (0.5, 5)), ("-1-1", (-1, 1)), (".5-5", (0.5, 5))],
)
def test_a_rating_scale_is_two_numbers(text: str, scale: tuple[float, float]) -> None:
    assert parse_rating_scale(text) == scale


@pytest.mark.parametrize("text", ["5-1", "5", "1-", "a-b", "1.2.3-4", ".-.", ""])
def test_no_rating_scale_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is no rating scale; use LOW-HIGH"):
        parse_rating_scale(text)


def test_control_characters_of_a_file_do_not_reach_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse() -> None:
        raise IndexerError("a.csv: no column\x00 is \x1b[31mred\x1b[0m")

    with pytest.raises(SystemExit):
        run_and_exit(refuse, "zhiyin")
    assert capsys.readouterr().err == "zhiyin: a.csv: no column\\x00 is \\x1b[31mred\\x1b[0m\n"
