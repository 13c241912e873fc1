"""What every command shares: one plain line on failure, a progress bar on a terminal only."""

import argparse
import sys
from collections.abc import Callable
from types import TracebackType
from typing import NoReturn, Self, TypeVar

from tqdm import tqdm
from typing_extensions import override

from indexer.errors import IndexerError

_T = TypeVar("_T")


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line and exit with 2."""

    @override
    def error(self, message: str) -> NoReturn:
        """Print what is wrong and where to read more; exit with 2."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def parser(description: str) -> Parser:
    """Return a parser with `--debug`."""
    made = Parser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--debug", action="store_true", help="show the traceback of a failure")
    return made


def option(parse: Callable[[str], _T]) -> Callable[[str], _T]:
    """Make a parser's refusal a usage error of the command line."""

    def checked(text: str) -> _T:
        try:
            return parse(text)
        except IndexerError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return checked


def share(text: str) -> float:
    """Read "1%" or "0.01" as a share between 0 and 1."""
    try:
        number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share; use 1% or 0.01")
    return number


def run(main: Callable[[], int | None]) -> NoReturn:
    """Run a command and exit: 0 on success, 1 with one plain line on failure."""
    try:
        sys.exit(main() or 0)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(1)
    except (IndexerError, OSError) as error:
        if "--debug" in sys.argv:
            raise
        line = " ".join(str(error).split())
        print(f"{sys.argv[0].rpartition('/')[2]}: {line}", file=sys.stderr)
        sys.exit(1)


class Bars:
    """Progress of named stages, one bar after another; silent when stderr is no terminal."""

    def __init__(self) -> None:
        self._bar: tqdm[NoReturn] | None = None
        self._stage = ""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Move the bar of a stage; a new stage closes the one before."""
        if not sys.stderr.isatty():
            return
        if stage != self._stage or self._bar is None:
            self._close()
            self._stage = stage
            self._bar = tqdm(desc=stage, unit=" items", total=total or None)
        self._bar.total = total or None
        self._bar.update(max(0, done - self._bar.n))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
