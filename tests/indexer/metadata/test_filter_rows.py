"""Columns answer every filter as the items themselves would."""

import json
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from indexer.errors import FilterError, SnapshotError
from indexer.metadata import columns_writer, field_spools
from indexer.metadata.columns_writer import ColumnsWriter
from indexer.metadata.filter_parser import parse_filter
from indexer.metadata.filter_rows import Columns
from indexer.metadata.item_matcher import collect_path_values, matches
from indexer.metadata.row_values import RowValueKind, collect_row_values
from indexer.metadata.schema import FieldType, Schema

# Imported by name: mypy would find the file a second time, as a package member.
oracle = import_module("tests.indexer.metadata.filter_oracle")

LONG = "很长的评论 " * 100
WORDS = (
    "悬疑", "懸疑", "Ｆｉｌｍ", "Caf\u00e9", "Cafe\u0301", "Film", "film", "", "1", "True",
    "' OR 1=1 --", "\ud800", LONG, LONG + "!",
)  # fmt: skip
DATES = ("2024-05-01", "2024-05-01T08:00:00+08:00", "2024-05-01T00:00:01Z", "1960-02-29 10:30")
LARGE = (2**53, 2**53 + 1, 2**53 + 2, -(2**53) - 1, 2**60, 2**60 + 1, float(2**60), 2**64 - 1)
NUMBERS = (0, -0.0, 1, 1.0, 2.5, 4, -3, *LARGE, 1e300)
EVERYTHING: dict[str, Any] = {  # fixes the type of each field
    "id": "all",
    "title": "x",
    "tags": ["悬疑"],
    "rating": 4,
    "scores": [1, 2.5],
    "available": True,
    "day": "2024-05-01",
    "days": ["2024-05-01", "1999-01-01"],
    "location": {"lat": 0, "lon": 0},
    "branches": [{"lat": 10, "lon": 10, "city": "上海"}],
    "attrs": {"color": "red", "depth": {"cm": 1}},
    "offers": [
        {"price": 1, "shop": "a", "from": "2024-05-01", "sizes": [{"cm": 1}], "x": {"y": 1}}
    ],
    "odd": [1, "1", True],
    "never": [],
}
DATE_FIELDS = ("day", "days", "offers.from")

words, numbers = st.sampled_from(WORDS), st.sampled_from(NUMBERS)
places = st.builds(
    lambda lat, lon: {"lat": lat, "lon": lon}, st.integers(-90, 90), st.integers(-180, 180)
)
odd = st.one_of(words, numbers, st.booleans())


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), values)


def lists_of(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(values, max_size=4)


items = st.fixed_dictionaries(
    {},
    optional={
        "title": maybe(words),
        "tags": maybe(lists_of(words) | words),
        "rating": maybe(numbers),
        "scores": maybe(lists_of(maybe(numbers))),
        "available": maybe(st.booleans()),
        "day": maybe(st.sampled_from(DATES)),
        "days": lists_of(st.sampled_from(DATES)),
        "location": maybe(places),
        "branches": lists_of(places),
        "attrs": maybe(
            st.fixed_dictionaries(
                {}, optional={"color": maybe(words), "depth": st.just({}) | st.just({"cm": 2})}
            )
        ),
        "offers": lists_of(
            st.fixed_dictionaries(
                {},
                optional={
                    "price": numbers,
                    "shop": lists_of(words),
                    "from": st.sampled_from(DATES),
                    "sizes": lists_of(st.fixed_dictionaries({}, optional={"cm": numbers})),
                    "x": st.just({"y": 2}),
                },
            )
        ),
        "odd": odd | lists_of(odd),
        "never": st.sampled_from([None, [], {}]),
    },
)

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "title": words,
    "tags": words,
    "rating": numbers,
    "scores": numbers,
    "available": st.booleans(),
    "day": st.sampled_from(DATES) | st.just(1714521600),
    "days": st.sampled_from(DATES),
    "branches.city": st.sampled_from(["上海", "Oslo"]),
    "attrs.color": words,
    "attrs.depth.cm": numbers,
    "offers.price": numbers,
    "offers.shop": words,
    "offers.from": st.sampled_from(DATES),
    "offers.sizes.cm": numbers,
    "offers.x.y": numbers,
    "odd": odd,
    "never": odd,
}
RANGED = (
    "rating",
    "scores",
    "day",
    "days",
    "offers.price",
    "offers.from",
    "offers.sizes.cm",
    "odd",
)
OFFERS = tuple(name for name in VALUES if name.startswith("offers."))
FIELDS = (*VALUES, "location", "branches", "attrs", "attrs.depth", "offers")


@st.composite
def conditions(draw: st.DrawFn, fields: Sequence[str] = FIELDS) -> dict[str, Any]:
    field = draw(st.sampled_from(fields))
    operand: dict[str, Any] = {}
    if field in VALUES and draw(st.booleans()):
        return {field: draw(VALUES[field])}
    if field in ("location", "branches"):
        operand["near"] = {**draw(places), "km": draw(st.sampled_from([1, 900, 7_000, 20_100]))}
    elif field in RANGED and draw(st.booleans()):
        bounds = VALUES[field] if field != "odd" else numbers
        for name in draw(st.sets(st.sampled_from(["gte", "gt", "lte", "lt"]), min_size=1)):
            operand[name] = draw(bounds)
    elif field in VALUES:
        listed = st.lists(VALUES[field], min_size=1, max_size=3)
        operand[draw(st.sampled_from(["any", "all", "none"]))] = draw(listed)
    if not operand or draw(st.integers(0, 9)) == 0:
        operand["exists"] = draw(st.booleans())
    return {field: operand}


def combined(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        st.builds(lambda parts: {"and": parts}, several),
        st.builds(lambda parts: {"or": parts}, several),
        st.builds(lambda part: {"not": part}, inner),
        st.builds(lambda left, right: {**left, **right}, inner, inner),
    )


@st.composite
def asked_of_one_element(draw: st.DrawFn) -> dict[str, Any]:
    """A filter of one offer, or of one size of one offer."""
    named = draw(st.recursive(conditions(OFFERS), combined, max_leaves=4))
    inner = relative(named, "offers.")
    if draw(st.booleans()):
        size = relative(draw(conditions(["offers.sizes.cm"])), "offers.sizes.")
        inner = {**inner, "sizes": {"elem": size}}
    return {"offers": {"elem": inner}}


def relative(raw: Any, prefix: str) -> Any:
    if isinstance(raw, dict):
        return {name.removeprefix(prefix): relative(part, prefix) for name, part in raw.items()}
    return [relative(part, prefix) for part in raw] if isinstance(raw, list) else raw


filters = st.recursive(conditions() | asked_of_one_element(), combined, max_leaves=5)


def written(folder: Path, catalogue: Sequence[dict[str, Any]]) -> Columns:
    with ColumnsWriter(folder) as writer:
        for item in catalogue:
            writer.add(item)
        schema = writer.finish()
    columns = Columns.open(folder)
    assert columns.schema == schema
    return columns


def rows(columns: Columns, raw: Any) -> list[int]:
    mask = columns.match_rows(parse_filter(raw, columns.schema))
    return [int(row) for row in np.flatnonzero(mask)]


@settings(
    max_examples=3 * settings().max_examples,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(st.lists(items, max_size=8), st.lists(filters, min_size=1, max_size=6))
def test_columns_and_items_and_the_grammar_agree(
    drawn: list[dict[str, Any]], raws: list[dict[str, Any]]
) -> None:
    catalogue = [EVERYTHING, *drawn]
    with tempfile.TemporaryDirectory() as folder:
        columns = written(Path(folder), catalogue)
        for raw in raws:
            assume(not any(oracle.nearly_on_the_edge(raw, item) for item in catalogue))
            condition = parse_filter(raw, columns.schema)
            expected = [oracle.passes(raw, item, dates=DATE_FIELDS) for item in catalogue]
            assert [matches(condition, item) for item in catalogue] == expected
            assert columns.match_rows(condition).tolist() == expected


def test_the_bundled_form_of_each_type_is_recognised(tmp_path: Path) -> None:
    schema = written(tmp_path, [EVERYTHING, {"id": "none", "never": None}]).schema
    types = {name: info.type for name, info in schema.fields.items()}
    assert types == {
        "id": FieldType.STRING, "title": FieldType.STRING, "tags": FieldType.STRING,
        "rating": FieldType.NUMBER, "scores": FieldType.NUMBER,
        "available": FieldType.BOOLEAN, "day": FieldType.DATE, "days": FieldType.DATE,
        "location": FieldType.LOCATION, "branches": FieldType.LOCATION,
        "branches.city": FieldType.STRING, "attrs": FieldType.OBJECT,
        "attrs.color": FieldType.STRING, "attrs.depth": FieldType.OBJECT,
        "attrs.depth.cm": FieldType.NUMBER, "offers": FieldType.OBJECT,
        "offers.price": FieldType.NUMBER, "offers.shop": FieldType.STRING,
        "offers.from": FieldType.DATE, "offers.sizes": FieldType.OBJECT,
        "offers.sizes.cm": FieldType.NUMBER, "offers.x": FieldType.OBJECT,
        "offers.x.y": FieldType.NUMBER,
        "odd": FieldType.MIXED, "never": FieldType.EMPTY,
    }  # fmt: skip
    lists = {name for name, info in schema.fields.items() if info.is_list}
    assert lists == {
        "tags", "scores", "days", "branches", "branches.city", "offers", "offers.price",
        "offers.shop", "offers.from", "offers.sizes", "offers.sizes.cm", "offers.x", "offers.x.y",
        "odd", "never",
    }  # fmt: skip


def test_values_are_counted_once_an_item_and_best_first(tmp_path: Path) -> None:
    catalogue = [
        {"tags": ["b", "a", "a"], "rating": 4.5, "day": "2024-05-01"},
        {"tags": ["a", LONG], "rating": 4, "day": "2024-05-02"},
        {"tags": "c", "rating": 4.0},
    ]
    schema = written(tmp_path, catalogue).schema
    tags, rating, day = (schema.fields[name] for name in ("tags", "rating", "day"))
    assert tags.top_values == (("a", 2), ("b", 1), ("c", 1))
    assert (tags.present, tags.distinct, tags.is_list) == (3, 4, True)
    assert rating.top_values == ((4, 2), (4.5, 1))
    assert (rating.minimum, rating.maximum) == (4.0, 4.5)
    assert day.top_values == ()
    assert (day.present, day.minimum, day.maximum) == (2, 1714521600.0, 1714608000.0)


def test_only_50_values_are_counted_and_many_numbers_are_not(tmp_path: Path) -> None:
    catalogue = [{"word": f"w{row}", "number": row, "few": row % 50} for row in range(120)]
    schema = written(tmp_path, catalogue).schema
    assert [value for value, _ in schema.fields["word"].top_values] == [f"w{n}" for n in range(50)]
    assert schema.fields["number"].top_values == ()
    assert len(schema.fields["few"].top_values) == 50


def test_a_date_that_is_no_date_makes_the_field_words(tmp_path: Path) -> None:
    columns = written(tmp_path, [{"day": "2024-05-01"}, {"day": "soon"}])
    assert columns.schema.fields["day"].type is FieldType.STRING
    assert rows(columns, {"day": "2024-05-01"}) == [0]


def test_one_element_of_a_list_has_to_pass_alone(tmp_path: Path) -> None:
    red_small, blue_large = {"color": "red", "size": "S"}, {"color": "blue", "size": "L"}
    columns = written(
        tmp_path,
        [
            {"variants": [red_small, blue_large]},
            {"variants": [blue_large, {"color": "red", "size": "L", "stock": 3}]},
            {"variants": []},
            {"variants": [{}, None, "text", red_small]},
        ],
    )
    assert rows(columns, {"variants.color": "red", "variants.size": "L"}) == [0, 1]
    assert rows(columns, {"variants": {"elem": {"color": "red", "size": "L"}}}) == [1]
    assert rows(columns, {"variants": {"elem": {"stock": {"exists": False}, "size": "S"}}}) == [
        0,
        3,
    ]
    assert rows(columns, {"variants": {"elem": {"not": {"color": "blue"}}}}) == [0, 1, 3]
    assert rows(columns, {"not": {"variants": {"elem": {"color": "red"}}}}) == [2]
    assert rows(columns, {"variants": {"elem": {}}}) == [0, 1, 3]


def test_a_list_within_an_element_is_asked_by_an_elem_of_its_own(tmp_path: Path) -> None:
    shop = {"name": "a", "sizes": [{"cm": 1, "left": 0}, {"cm": 2, "left": 5}]}
    columns = written(tmp_path, [{"shops": [shop]}, {"shops": [{"name": "a", "sizes": []}]}])
    has_one = {"elem": {"cm": 2, "left": {"gt": 0}}}
    assert rows(columns, {"shops": {"elem": {"name": "a", "sizes": has_one}}}) == [0]
    assert rows(columns, {"shops": {"elem": {"sizes": {"elem": {"cm": 1, "left": 5}}}}}) == []
    with pytest.raises(FilterError, match=r"write .*shops.*elem.*sizes.*elem"):
        rows(columns, {"shops.sizes": has_one})


def test_columns_of_an_earlier_release_cannot_be_asked_for_one_element(tmp_path: Path) -> None:
    written(tmp_path, [{"tags": ["懸疑"], "offers": [{"price": 1}]}, {"tags": ["悬疑"]}])
    file = tmp_path / "columns.json"
    content = json.loads(file.read_bytes())
    del content["elements"], content["folded"]
    file.write_text(json.dumps(content))
    columns = Columns.open(tmp_path)
    with pytest.raises(FilterError, match=r"earlier release .* rebuild the index"):
        rows(columns, {"offers": {"elem": {"price": 1}}})
    assert rows(columns, {"offers.price": 1}) == [0]


def test_whole_numbers_beyond_the_exact_floats_compare_exactly(tmp_path: Path) -> None:
    barcodes = [2**53, 2**53 + 1, 2**53 + 2, 2**53 + 1]
    columns = written(tmp_path, [{"barcode": barcode} for barcode in barcodes])
    assert rows(columns, {"barcode": 9007199254740993}) == [1, 3]
    assert rows(columns, {"barcode": {"gt": 2**53, "lte": 2**53 + 1}}) == [1, 3]
    assert rows(columns, {"barcode": {"none": [2**53 + 1]}}) == [0, 2]
    assert columns.schema.fields["barcode"].distinct == 3
    small = written(tmp_path / "small", [{"barcode": 2**53}, {"barcode": 2.0**53 + 2}])
    assert rows(small, {"barcode": 2**53 + 1}) == []
    assert rows(small, {"barcode": {"gt": 2**53 + 1}}) == rows(
        small, {"barcode": {"gte": 2**53 + 1}}
    )
    assert rows(small, {"barcode": {"gte": 2**53 + 1}}) == [1]
    assert rows(small, {"barcode": {"lt": 2**53 + 1}}) == [0]


def test_spellings_of_one_word_are_one_word(tmp_path: Path) -> None:
    spelt = ["Cin\u00e9ma", "Cine\u0301ma", "懸疑", "悬疑", "ＡＢＣ", "ABC", "abc"]
    columns = written(tmp_path, [{"tags": [word]} for word in spelt])
    for raw, expected in (("Cin\u00e9ma", [0, 1]), ("懸疑", [2, 3]), ("ABC", [4, 5]), ("abc", [6])):
        assert rows(columns, {"tags": raw}) == expected
        condition = parse_filter({"tags": raw}, columns.schema)
        assert [n for n, word in enumerate(spelt) if matches(condition, {"tags": word})] == expected
    assert columns.schema.fields["tags"].top_values[:2] == (("Cin\u00e9ma", 2), ("懸疑", 2))


def test_dates_are_dates_in_every_form_that_a_source_is_read_in(tmp_path: Path) -> None:
    forms = [
        "2024-05",
        "2024-05-10 08:00:00+08",
        "2024年6月1日",
        "Jun 2 2024",
        "2024-W23-1",
        "2024",
    ]
    catalogue = [{"released": form} for form in forms]
    columns = written(tmp_path, catalogue)
    assert columns.schema.fields["released"].type is FieldType.DATE
    filters = (
        ({"released": {"gte": "2024-05-01"}}, [0, 1, 2, 3, 4]),
        ({"released": {"gte": "2024年6月"}}, [2, 3, 4]),
        ({"released": "2024-05-10T00:00:00Z"}, [1]),
        ({"released": {"any": ["2024-05-01", 2024]}}, [0, 5]),
        ({"released": {"lt": 20240502}}, [0, 5]),
    )
    for raw, expected in filters:
        assert rows(columns, raw) == expected, raw
        condition = parse_filter(raw, columns.schema)
        assert [n for n, item in enumerate(catalogue) if matches(condition, item)] == expected


def test_years_alone_are_dates_only_where_a_date_is_expected(tmp_path: Path) -> None:
    columns = written(tmp_path, [{"created_at": "2024", "room": "2024"}, {"created_at": "1999"}])
    types = {name: info.type for name, info in columns.schema.fields.items()}
    assert types == {"created_at": FieldType.DATE, "room": FieldType.STRING}
    assert rows(columns, {"created_at": {"gte": "2000-01-01"}}) == [0]


def test_a_date_beside_a_number_makes_the_field_mixed(tmp_path: Path) -> None:
    columns = written(tmp_path, [{"day": "2024-05-01"}, {"day": 5}])
    assert columns.schema.fields["day"].type is FieldType.MIXED
    assert rows(columns, {"day": {"any": ["2024-05-01", 5]}}) == [0, 1]
    assert rows(columns, {"day": {"gt": 4}}) == [1]


def test_text_of_any_length_compares_exactly(tmp_path: Path) -> None:
    columns = written(tmp_path, [{"review": LONG}, {"review": LONG + "!"}])
    assert rows(columns, {"review": LONG + "!"}) == [1]
    assert columns.schema.fields["review"].top_values == ()


def test_spools_on_disk_and_a_forgotten_word_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue = [{"tags": [f"t{row % 7}", f"t{row % 5}"], "n": row % 3} for row in range(100)]
    whole = written(tmp_path / "whole", catalogue)
    monkeypatch.setattr(field_spools, "_CHUNK_VALUES", 8)
    monkeypatch.setattr(field_spools, "_MAX_CACHED_WORDS", 3)
    pieces = written(tmp_path / "pieces", catalogue)
    assert pieces.schema == whole.schema
    for name in ("rows", "starts", "keys", "floats", "bits"):
        files = (tmp_path / folder / f"{name}.npy" for folder in ("whole", "pieces"))
        first, second = (file.read_bytes() for file in files)
        assert first == second


def test_sparse_and_full_columns_answer_alike(tmp_path: Path) -> None:
    catalogue = [{"full": row % 10, "place": {"lat": row % 60, "lon": 0}} for row in range(200)]
    catalogue[7] |= {"rare": 7, "rare_place": {"lat": 7, "lon": 0}}
    columns = written(tmp_path, catalogue)
    assert rows(columns, {"rare": {"gt": 6, "lt": 8}}) == [7]
    assert rows(columns, {"rare": {"gte": 8, "lte": 6}}) == []
    assert rows(columns, {"rare": {"exists": True}}) == [7]
    assert rows(columns, {"full": {"gt": 8}}) == list(range(9, 200, 10))
    near = {"near": {"lat": 7, "lon": 0, "km": 50}}
    assert rows(columns, {"rare_place": near}) == [7]
    assert rows(columns, {"place": near}) == [7, 67, 127, 187]


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({"gt": 5}, [2]),
        ({"gte": 5}, [1, 2]),
        ({"lt": 5}, [0, 1]),
        ({"lte": 5}, [0, 1]),
        ({"lt": 1}, []),
        ({"gt": 1, "lt": 5}, []),
        ({"gt": 9}, []),
    ],
)
def test_an_open_bound_leaves_out_its_own_number_in_lists(
    tmp_path: Path, bounds: dict[str, int], expected: list[int]
) -> None:
    columns = written(tmp_path, [{"n": [1, 1]}, {"n": [1, 5]}, {"n": [9]}])
    assert rows(columns, {"n": bounds}) == expected


def test_an_empty_catalogue_has_no_rows_and_no_fields(tmp_path: Path) -> None:
    columns = written(tmp_path, [])
    assert len(columns) == columns.count == 0
    assert columns.match_rows(parse_filter({}, columns.schema)).tolist() == []
    assert columns.schema == Schema({})


def test_paths_beyond_the_limit_are_not_filterable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns_writer, "MAX_FIELDS", 2)
    assert list(written(tmp_path, [{"a": 1, "b": 2, "c": 3}]).schema.fields) == ["a", "b"]


def test_values_nested_too_deep_are_left_alone(tmp_path: Path) -> None:
    deep: Any = "x"
    for _ in range(900):
        deep = [deep]
    columns = written(tmp_path, [{"deep": deep, "nan": float("nan"), "huge": 10**400}])
    assert [info.type for info in columns.schema.fields.values()] == [FieldType.EMPTY] * 3


def test_a_mask_is_kept_and_cannot_be_changed(tmp_path: Path) -> None:
    columns = written(tmp_path, [{"rating": 4}, {"rating": 5}])
    condition = parse_filter({"rating": {"gt": 4}}, columns.schema)
    mask = columns.match_rows(condition)
    assert columns.match_rows(parse_filter({"rating": {"gt": 4.0}}, columns.schema)) is mask
    with pytest.raises(ValueError, match="read-only"):
        mask[0] = True
    for number in range(400):
        columns.match_rows(parse_filter({"rating": number}, columns.schema))
    again = columns.match_rows(condition)
    assert again is not mask
    np.testing.assert_array_equal(again, mask)


def test_threads_get_the_same_masks(tmp_path: Path) -> None:
    columns = written(tmp_path, [{"n": row, "tags": [f"t{row % 9}"]} for row in range(500)])

    def ask(bound: int) -> list[int]:
        return rows(columns, {"n": {"lt": bound}, "tags": f"t{bound % 9}"})

    bounds = [*range(100)] * 4
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, bounds))
    assert answers == [[row for row in range(bound) if row % 9 == bound % 9] for bound in bounds]


def test_only_flat_files_remain_and_no_spool(tmp_path: Path) -> None:
    folder = tmp_path / "odd ?#%41 名字"
    written(folder, [EVERYTHING])
    names = {"rows.npy", "starts.npy", "keys.npy", "floats.npy", "bits.npy", "columns.json"}
    assert {file.name for file in folder.iterdir()} == names
    with ColumnsWriter(tmp_path / "given up") as writer:
        writer.add(EVERYTHING)
    assert list((tmp_path / "given up").iterdir()) == []


@pytest.mark.parametrize("name", ["rows.npy", "keys.npy", "floats.npy", "columns.json"])
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, name: str) -> None:
    written(tmp_path, [EVERYTHING])
    file = tmp_path / name
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(SnapshotError, match=name):
        Columns.open(tmp_path)
    file.unlink()
    with pytest.raises(SnapshotError, match=name):
        Columns.open(tmp_path)


def test_a_file_of_another_kind_or_version_is_refused(tmp_path: Path) -> None:
    written(tmp_path, [EVERYTHING])
    np.save(tmp_path / "rows.npy", np.zeros(3))
    with pytest.raises(SnapshotError, match="holds float64 in 1 dimensions, not one of <i4"):
        Columns.open(tmp_path)
    content = json.loads((tmp_path / "columns.json").read_text())
    (tmp_path / "columns.json").write_text(json.dumps({**content, "version": 99}))
    with pytest.raises(SnapshotError, match="of version 99, this program reads 1"):
        Columns.open(tmp_path)


def test_a_field_that_no_row_ever_had_matches_nothing(tmp_path: Path) -> None:
    columns = written(tmp_path / "one", [{"a": 1}])
    other = written(tmp_path / "two", [{"b": 1}]).schema
    assert columns.match_rows(parse_filter({"b": 1}, other)).tolist() == [False]


def test_keys_of_whole_numbers_tell_neighbours_apart_in_columns_and_single_items(
    tmp_path: Path,
) -> None:
    numbers = [2**53, 2**53 + 1, 2**53 + 2, 2**53 + 1, -(2**53) - 1, 2**64 - 1, 2**64 - 2, 7]
    items = [{"barcode": number} for number in numbers]
    columns = written(tmp_path, items)
    stored = columns.read_values("barcode", RowValueKind.KEYS)
    by_row = dict(zip(stored.rows.tolist(), stored.values.tolist(), strict=True))
    assert len(set(by_row.values())) == len(set(numbers))
    assert by_row[1] == by_row[3]
    info = columns.schema.fields["barcode"]
    paths = [(row, collect_path_values(item)) for row, item in enumerate(items)]
    single = collect_row_values(paths, info, RowValueKind.KEYS)
    assert dict(zip(single.rows.tolist(), single.values.tolist(), strict=True)) == by_row


@pytest.mark.parametrize("number", [2**64, -(2**64), 10**30])
@pytest.mark.parametrize("form", ["equal", "any", "gte"])
def test_a_whole_number_of_more_than_64_bits_is_refused(
    tmp_path: Path, number: int, form: str
) -> None:
    columns = written(tmp_path, [{"barcode": 1}, {"barcode": 2.0**64}])
    condition = {"equal": number, "any": {"any": [number]}, "gte": {"gte": number}}[form]
    with pytest.raises(FilterError, match=r"'barcode' is compared .* more than 64 bits"):
        rows(columns, {"barcode": condition})
