"""Rows to checked items. A bad row becomes a `Rejection`, never an exception.

A request can be mended at once, so that a value its field cannot hold refuses the item. A file is
what it is: there the item is kept without that field, which becomes a finding. By every door an
item without an id, without text, or beyond a limit is refused.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from indexer.errors import CatalogError
from indexer.field_names import TITLE_FIELDS
from indexer.reading.column_names import Role, SourceNames, names_titles
from indexer.reading.field_parsers import (
    BadValueError,
)
from indexer.reading.id_columns import CountKnown
from indexer.reading.item import Item
from indexer.reading.item_parser import ItemParser
from indexer.reading.memory import Source
from indexer.reading.notes import ReadingNotes
from indexer.reading.rows import (
    INTERACTION_FIELDS,
    NO_MAPPING,
    BadRow,
    Rejection,
    RequiredColumns,
    Row,
    reject,
    rename_columns,
)
from indexer.reading.tables import is_database_url, read_rows


def read_catalog(
    sources: Sequence[Source],
    *,
    query: str | None = None,
    mapping: Mapping[str, str] = NO_MAPPING,
    notes: ReadingNotes | None = None,
    count_named: CountKnown | None = None,
) -> Iterator[Item | Rejection]:
    """Return the items of all sources in order; an id may come more than once.

    Args:
        sources: Files, database URLs and rows in memory.
        query: A SELECT or the name of a table, for the databases among the sources.
        mapping: Our field names to the sources' columns, as `parse_mapping` returns it.
        notes: Where guesses about the sources are told.
        count_named: Counts the ids that interactions name; it helps to find the column of ids.

    Raises:
        CatalogError: At once if a source does not exist; while iterating if one is damaged, or has
            no column of ids; at the end if no row of any source had a mapped column.
    """
    urls = [source for source in sources if is_database_url(source)]
    if query and not urls:
        raise CatalogError("--query needs a database URL among --catalog; give one or drop --query")
    notes = ReadingNotes() if notes is None else notes
    naming = SourceNames(
        Role.CATALOGUE, mapping, notes=notes, needs_ids=True, count_known=count_named
    )
    tables = [
        read_rows(source, naming, query=query if source in urls else None) for source in sources
    ]
    return _read_items(tables, mapping, notes)


def _read_items(
    tables: Sequence[Iterator[Row | BadRow]], mapping: Mapping[str, str], notes: ReadingNotes
) -> Iterator[Item | Rejection]:
    wanted = [theirs for ours, theirs in mapping.items() if ours not in INTERACTION_FIELDS]
    required = RequiredColumns(wanted, option="--fields")
    # An earlier build may have had interactions that the option was meant for.
    others = RequiredColumns(set(mapping.values()) - set(wanted), option="--fields")
    for table in tables:
        for row in table:
            if isinstance(row, BadRow):
                yield reject(row)
            else:
                required.observe(row.values)
                others.observe(row.values)
                yield to_item(row, mapping=mapping, keep_readable=True)
    required.check()
    for sentence in others.describe_missing():
        notes.add(sentence)


def to_item(
    row: Row, *, mapping: Mapping[str, str] = NO_MAPPING, keep_readable: bool = False
) -> Item | Rejection:
    """Return the item of a row, or a `Rejection` with the reason.

    Args:
        row: The row.
        mapping: Our field names to the source's columns.
        keep_readable: Keep the item without the optional fields that cannot be read; default:
            refuse it.
    """
    parser = ItemParser(keep_readable=keep_readable)
    try:
        item = parser.parse(_map_columns(row.values, mapping) if mapping else row.values)
    except BadValueError as error:
        return reject(row, str(error))
    ours = {theirs: name for name, theirs in mapping.items()}
    earlier = [replace(one, field=ours.get(one.field, one.field)) for one in row.findings]
    findings = (*earlier, *parser.findings) if earlier else tuple(parser.findings)
    return Item(item.id, item.fields, item.vector, row.source, row.line, findings)


def _map_columns(values: Mapping[str, Any], mapping: Mapping[str, str]) -> dict[str, Any]:
    """Return a row under our names; a title that serves as the id stays the title, without another.

    Otherwise `--fields id=name` would leave items without the words they are called by.
    """
    renamed = rename_columns(values, mapping)
    theirs = mapping.get("id", "")
    if theirs in values and names_titles(theirs) and renamed.keys().isdisjoint(TITLE_FIELDS):
        renamed["title"] = values[theirs]
    return renamed
