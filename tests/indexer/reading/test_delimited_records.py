"""Records that are read many lines at once are those that are read one by one."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.reading import delimited_records
from indexer.reading.delimited_records import read_chunks
from indexer.reading.dialect import Dialect
from indexer.reading.rows import BadRow
from indexer.reading.value_column import ValueColumn

COMMAS = Dialect(",")
pieces = st.sampled_from(
    ["a", "1", ",", '"', "\n", "\r\n", "\ufeff", "é", " ", "", ",b\n", "x,y\n"]
)


def read(text: str) -> list[object]:
    chunks = read_chunks("a.csv", io.StringIO(text, newline=""), COMMAS)
    return [record for chunk in chunks for record in chunk]


@given(st.lists(pieces, max_size=40).map("".join), st.integers(1, 4))
def test_many_lines_at_once_are_the_records_of_single_lines(body: str, chunk_lines: int) -> None:
    text = "id,title\n" + body
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited_records, "_CHUNK_LINES", chunk_lines)
        quick = read(text)
        patch.setattr(delimited_records, "_MAX_FAILED_CHUNKS", -1_000_000)
        assert quick == read(text)


def test_a_cell_of_several_lines_over_the_end_of_a_chunk_is_one_record() -> None:
    lines = [f"{n},t{n}" for n in range(510)]
    text = "\n".join(["id,title", *lines, 'x,"two\nlines"', "y,z"]) + "\n"
    records = read(text)
    assert records[511] == (512, ["x", "two\nlines"])
    assert records[512] == (514, ["y", "z"])
    assert not any(isinstance(record, BadRow) for record in records)


def test_bad_lines_far_apart_cost_themselves_and_keep_their_numbers() -> None:
    lines = [f"{n},t" if n % 700 else "only one cell" for n in range(1, 5_000)]
    records = read("\n".join(["id,title", *lines]) + "\n")
    bad = [record.line for record in records if isinstance(record, BadRow)]
    assert bad == [n + 1 for n in range(700, 5_000, 700)]
    assert len(records) == 5_000


cells = st.lists(
    st.sampled_from(["1", "2.5", "-3", "", "x", "NA", "true", "1,299", "1,5", "45321", "12.50",
                     "2024-01-30", "2024-01-30T10:00:00Z", "05/04/2024", "1e-05", "a|b", "1\n2"]),
    max_size=40,
)  # fmt: skip


@given(cells, st.sampled_from([",", ";"]), st.sampled_from(["", "amount", "date"]))
def test_a_column_is_inferred_and_converted_at_once_as_cell_by_cell(
    column_cells: list[str],
    delimiter: str,
    kind: str,
) -> None:
    def make() -> ValueColumn:
        return ValueColumn(
            has_parser=kind == "amount",
            is_date=kind == "date",
            is_amount=kind == "amount",
            has_commas=delimiter == ";",
        )

    at_once, one_by_one = make(), make()
    at_once.observe_all(column_cells, range(len(column_cells)))
    for line, cell in enumerate(column_cells):
        one_by_one.observe(cell, line)
    assert at_once.describe() == one_by_one.describe()
    convert = one_by_one.conversion
    expected = [convert(cell) for cell in column_cells]
    found = at_once.convert_all(column_cells)
    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in expected]


def test_long_records_are_not_gathered_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells of several lines make records be read one by one, of which a chunk holds few."""
    monkeypatch.setattr(delimited_records, "_CHUNK_CHARS", 1_000)
    cell = "\n".join(["x" * 50] * 6)
    text = "a,b\n" + f'1,"{cell}"\n' * 300
    chunks = list(read_chunks("a.csv", io.StringIO(text, newline=""), COMMAS))
    assert sum(map(len, chunks)) == 301
    records = [[row[1] for row in chunk if isinstance(row, tuple)] for chunk in chunks]
    sizes = [sum(len("".join(cells)) for cells in chunk) for chunk in records]
    assert max(sizes) < 1_000 + len(cell) + 2
