"""Items to the columns of their fields on disk, one item at a time.

Values are first written to small temporary files, then turned into columns field by field. Memory
at the peak is the values of one field plus a cache of words: about 60 bytes for each value of the
largest field (60 MB for a million titles, 300 MB for a million items with five tags) and at most
80 MB besides.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from indexer.metadata.close_on_exit import CloseOnExit
from indexer.metadata.field_columns import write_field
from indexer.metadata.field_spools import MAX_FIELDS, FieldSpool, SpoolFolder
from indexer.metadata.flat_arrays import FlatArraysWriter
from indexer.metadata.schema import Schema
from indexer.metadata.values import NonValue, collect_elements, collect_leaves

COLUMNS_VERSION = 1


class ColumnsWriter(CloseOnExit):
    """Writes the columns of rows 0, 1, … to a folder; use it as a context manager.

    Leaving the context without `finish` removes the temporary files.
    """

    def __init__(self, folder: Path | str) -> None:
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._spool_folder = SpoolFolder(self._folder)
        self._rows = TableSpool(self._spool_folder)

    def add(self, fields: Mapping[str, Any]) -> None:
        """Add the values of the item of the next row."""
        self._rows.add(fields)
        self._spool_folder.limit_word_caches()

    def finish(self) -> Schema:
        """Write the columns and return the schema of their fields."""
        files = FlatArraysWriter(self._folder)
        try:
            table, schema = self._rows.write(files, Schema({}))
            files.finish()
        finally:
            files.close()
        content = {"version": COLUMNS_VERSION, "folded": True, **table, **schema.to_json()}
        encoded = json.dumps(content, ensure_ascii=True)
        (self._folder / "columns.json").write_text(encoded, encoding="ascii")
        self.close()
        return schema

    def close(self) -> None:
        """Remove the temporary files."""
        self._spool_folder.close()


class TableSpool:
    """The values of rows so far by field, and of the objects in their lists as tables of their own.

    In the table of a list each object is a row, so that a filter can ask for one of them.
    """

    def __init__(self, spool_folder: SpoolFolder, *, is_nested: bool = False) -> None:
        self._spool_folder = spool_folder
        self._is_nested = is_nested
        self._spools: dict[str, FieldSpool] = {}
        self._elements: dict[str, TableSpool] = {}
        self._owner_rows = spool_folder.make_spool("i")
        self._count = 0

    def add(self, fields: Mapping[str, Any], owner_row: int = 0) -> None:
        """Add the values of the next row, which belongs to a row of the table that holds it."""
        leaves = collect_leaves(fields)
        if self._is_nested:
            if all(value is NonValue.MISSING for _, value, _ in leaves):
                return
            self._owner_rows.append(owner_row)
        for path, value, in_list in leaves:
            spool = self._spools.get(path) or self._add_field(path)
            if spool is not None:
                self._spool_folder.cached_word_count += spool.add(self._count, value)
                spool.is_list |= in_list
        for path, element in collect_elements(fields):
            table = self._elements.get(path)
            if table is None:
                table = self._elements[path] = TableSpool(self._spool_folder, is_nested=True)
            table.add(element, self._count)
        self._count += 1

    def write(self, files: FlatArraysWriter, outer: Schema) -> tuple[dict[str, Any], Schema]:
        """Append the columns to the files.

        Args:
            files: Where they are appended.
            outer: Of a table of objects the fields of the table that holds it, under the path of
                these objects: a field is of dates in both or in neither.

        Returns:
            Where the columns of each field and table lie, and the fields.
        """
        infos, parts, elements = {}, {}, {}
        for name, spool in self._spools.items():
            values = spool.read(name)
            if self._is_nested:
                is_date = name in outer.fields and outer.fields[name].is_date
                values = replace(values, may_be_date=is_date)
            infos[name], parts[name] = write_field(
                values, self._count, files, self._spool_folder.texts.file
            )
        schema = Schema(infos)
        known = outer if self._is_nested else schema
        for path, table in self._elements.items():
            elements[path], _ = table.write(files, known.select_within(path))
        content: dict[str, Any] = {"count": self._count, "parts": parts, "elements": elements}
        if self._is_nested:
            content["owners"] = files.append("rows", self._owner_rows.read())
        return content, schema

    def _add_field(self, path: str) -> FieldSpool | None:
        if self._is_nested:
            spool = self._spool_folder.add_nested_field(path)
        else:
            spool = self._spool_folder.add_field(path) if len(self._spools) < MAX_FIELDS else None
        if spool is not None:
            self._spools[path] = spool
        return spool
