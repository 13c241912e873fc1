"""What every command shares: its parser, one plain line on failure, progress on stderr.

Nothing heavy is imported here: `zhiyin COMMAND --help` answers before torch, faiss or pyarrow would
have been loaded.
"""

import argparse
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, Self, TypeVar

from typing_extensions import override

from indexer.durations import describe_duration
from indexer.errors import IndexerError
from indexer.terminal_text import escape_controls

if TYPE_CHECKING:  # loaded when a bar is drawn
    from tqdm import tqdm

_T = TypeVar("_T")
_LINE_EVERY_S = 30.0  # between two lines of progress where there is no terminal

# The unit that a stage of a build counts; a stage that is not named here counts steps.
_UNITS = {
    "read": " rows",
    "store": " items",
    "encode": " texts",
    "index": " vectors",
    "measure": " kinds of request",
    "ask": " cases",
    "recommend": " requests",
    "import": " events",
    "replay": " events",
    "visitors": " visitors",
}


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line and exit with 2."""

    @override
    def error(self, message: str) -> NoReturn:
        """Print what is wrong and where to read more; exit with 2."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def create_parser(description: str, prog: str | None = None) -> Parser:
    """Return a parser with `--debug`; the description is shown as it is written."""
    parser = Parser(
        prog=prog,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of a failure")
    return parser


def as_option(parse: Callable[[str], _T]) -> Callable[[str], _T]:
    """Turn what `parse` refuses into a usage error of the command line."""

    def parse_option(text: str) -> _T:
        try:
            return parse(text)
        except IndexerError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parse_option


def parse_share(text: str) -> float:
    """Read "1%" or "0.01" as a share between 0 and 1."""
    try:
        number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share; use 1% or 0.01")
    return number


def parse_columns(text: str) -> tuple[str, ...]:
    """Read "a, b" as the names of columns."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def parse_rating_scale(text: str) -> tuple[float, float]:
    """Read "1-5" as the lowest and the highest possible rating."""
    match = re.fullmatch(r"(-?[\d.]+)-(-?[\d.]+)", text.strip())
    try:
        low, high = (float(match[1]), float(match[2])) if match else (0.0, 0.0)
    except ValueError:  # as of "1.2.3"
        low = high = 0.0
    if not low < high:
        raise argparse.ArgumentTypeError(f"{text!r} is no rating scale; use LOW-HIGH such as 1-5")
    return low, high


def parse_field_mapping(text: str) -> Mapping[str, str]:
    """Read "title=name,id=movieId" as our field to the name of a column."""
    from indexer.reading import parse_mapping

    return as_option(parse_mapping)(text)


def add_interactions(parser: Parser, *, is_alone: bool, required: bool = True) -> None:
    """Add a source of interactions, and how it is read.

    Args:
        parser: Of a command.
        is_alone: Whether the command reads no catalogue, so that `--fields` and `--query` mean the
            interactions, too.
        required: Whether the command needs them.
    """
    add = parser.add_argument
    add(
        "--interactions",
        required=required,
        metavar="FILE|URL",
        help="what users did: JSON, CSV, TSV or Parquet, plain or .gz, or a SQLAlchemy URL",
    )
    add(
        "--interactions-query",
        *(["--query"] if is_alone else []),
        dest="interactions_query",
        metavar="SQL",
        help="SELECT statement or table name for a URL of interactions",
    )
    add(
        "--interaction-fields",
        *(["--fields"] if is_alone else []),
        dest="interaction_fields",
        type=parse_field_mapping,
        default={},
        metavar="OURS=THEIRS,…",
        help="names of the interactions' columns, such as user_id=who,item_id=what",
    )
    _add_event_reading(parser)


def _add_event_reading(parser: Parser) -> None:
    """Add what a caller may say of the events of a source."""
    add = parser.add_argument
    add(
        "--context",
        type=parse_columns,
        metavar="COL,…",
        help="columns that are known when asking (default: daytime, place, weather …)",
    )
    add(
        "--event",
        metavar="NAME",
        help="the event of all interactions, such as play (default: as each says, or as its value "
        "shows)",
    )
    add(
        "--value-is",
        choices=("rating", "count", "money"),
        help="what the values of interactions are (default: inferred and told)",
    )


def add_catalogue_fields(parser: Parser) -> None:
    """Add how the columns of a catalogue are called, where interactions may come beside it."""
    parser.add_argument(
        "--fields",
        type=parse_field_mapping,
        default={},
        metavar="OURS=THEIRS,…",
        help="names of the catalogue's columns, such as title=name,tags=genres,id=movieId; without "
        "--interaction-fields also those of the interactions",
    )


def run_and_exit(call: Callable[[], int | None], prog: str | None = None) -> NoReturn:
    """Run a command and exit: 0 on success, 1 with one plain line on failure.

    Args:
        call: Returns the exit code; None is 0.
        prog: Name of the command in that line; default: how the program was called.
    """
    try:
        sys.exit(call() or 0)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(1)
    except (IndexerError, OSError) as error:
        if "--debug" in sys.argv:
            raise
        line = escape_controls(" ".join(str(error).split()))
        print(f"{prog or sys.argv[0].rpartition('/')[2]}: {line}", file=sys.stderr)
        sys.exit(1)


class Progress:
    """Progress of named stages, one after another, on stderr.

    On a terminal each stage has a bar. Elsewhere a stage that takes long writes a line now and
    then, so that a log tells that the program lives; a short one writes nothing.
    """

    def __init__(self) -> None:
        self._bar: tqdm[NoReturn] | None = None
        self._stage = ""
        self._spoke_at = self._began_at = time.monotonic()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Move a stage on; a new stage closes the one before.

        Args:
            stage: Its name.
            done: Units that are done.
            total: Units in all; 0: unknown.
        """
        if sys.stderr.isatty():
            self._draw(stage, done, total)
        else:
            self._write_line(stage, done, total)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def _draw(self, stage: str, done: int, total: int) -> None:
        if stage != self._stage or self._bar is None:
            from tqdm import tqdm

            self._close()
            self._stage = stage
            self._bar = tqdm(
                desc=stage,
                unit=_UNITS.get(stage, " steps"),
                total=total or None,
                # A stage that counts nothing shows how long it has taken, and no rate.
                bar_format=None if total or done else "{desc} [{elapsed}]",
            )
        if total or done:
            self._bar.bar_format = None
        self._bar.total = total or None
        self._bar.update(max(0, done - self._bar.n))

    def _write_line(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._began_at = stage, now
        if now - self._spoke_at < _LINE_EVERY_S:
            return
        self._spoke_at = now
        print(_describe_progress(stage, done, total, now - self._began_at), file=sys.stderr)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _describe_progress(stage: str, done: int, total: int, seconds: float) -> str:
    """A line such as "encode: 1,200 of 20,000 texts, about 4 min left"."""
    unit = _UNITS.get(stage, " steps")
    if not done:
        return f"{stage} …"
    if not total:
        return f"{stage}: {done:,}{unit}"
    line = f"{stage}: {done:,} of {total:,}{unit}"
    if seconds < 1 or done >= total:
        return line
    return f"{line}, about {describe_duration(seconds * (total - done) / done)} left"


def find_nearest(name: str, known: Sequence[str]) -> str:
    """Return "did you mean …?" for a misspelt name, or the names there are."""
    from difflib import get_close_matches

    near = get_close_matches(name, known, 1)
    return f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(known)}"
