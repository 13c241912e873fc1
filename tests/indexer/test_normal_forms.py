"""Normal forms are those of Python, and cost no more for texts that are nothing but marks."""

import sys
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.normal_forms import _LAST_MARK, NormalForm, normalize

FORMS: tuple[NormalForm, ...] = ("NFC", "NFD", "NFKC", "NFKD")
# Marks above and below, some of which decompose; voice marks; letters that compose.
_MARKS = "\u0301\u0316" * 20
_SIGNS = (
    "\u0301\u0316\u0344\u0315\u0f73\u0f81\uff9e\uff9f\u3099\u0345\u1dce" + "aéか가ﷺﾊ\u1100\u1161"
)


@pytest.mark.parametrize("form", FORMS)
@given(
    parts=st.lists(st.tuples(st.text(alphabet=_SIGNS, max_size=4), st.integers(1, 40)), max_size=12)
)
def test_is_what_python_says(form: NormalForm, parts: list[tuple[str, int]]) -> None:
    text = "".join(part * count for part, count in parts)
    assert normalize(form, text) == unicodedata.normalize(form, text)


@pytest.mark.parametrize("form", FORMS)
def test_every_character_among_many_marks_is_what_python_says(form: NormalForm) -> None:
    chars = [
        char
        for char in map(chr, range(sys.maxunicode + 1))
        if unicodedata.combining(char) or unicodedata.decomposition(char)
    ]
    text = "a".join(f"{_MARKS}{char}{_MARKS}" for char in chars)
    assert normalize(form, text) == unicodedata.normalize(form, text)
    beginnings = [char for char in chars if unicodedata.combining(normalize(form, char)[0])]
    assert max(beginnings) <= chr(_LAST_MARK)


@pytest.mark.parametrize("form", FORMS)
def test_python_never_gets_a_long_run_of_marks_that_it_would_have_to_order(
    form: NormalForm, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[str] = []
    python = unicodedata.normalize

    def note(form: NormalForm, text: str) -> str:
        given.append(text)
        return python(form, text)

    monkeypatch.setattr(unicodedata, "normalize", note)
    for marks in ("\u0301\u0316", "\u0344\u0316", "\u0f73", "\u0f81\u0301", "\u1dce\u0315"):
        normalize(form, f"a{marks * 500}b{marks * 500}")
    for text in given:
        classes = list(map(unicodedata.combining, python("NFD", text)))
        falls = sum(one > other > 0 for one, other in pairwise(classes))
        assert falls == 0 or len(text) < 64
