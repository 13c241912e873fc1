"""Directions of context words, worked by hand."""

import numpy as np
import pytest

from indexer.taste.context_directions import find_word_rows, fit_context_directions
from indexer.taste.events import build_events
from tests.indexer.taste.worlds import interaction


def test_a_word_points_from_the_usual_to_what_is_liked_under_it() -> None:
    home, bus = {"place": "home"}, {"place": "bus"}
    rows = [interaction("a", "x", context=home)] * 20 + [interaction("a", "y", context=bus)] * 20
    rows += [interaction("a", "y", event="dislike", context=home)]
    events = build_events(rows, ["x", "y"])
    fitted = fit_context_directions(events, np.eye(2, dtype=np.float32))
    assert fitted.names == (("place", "bus"), ("place", "home"))
    # 20 of 20 + 20 is half of the way from the mean (.5, .5) to the item.
    np.testing.assert_allclose(fitted.vectors, [[-0.25, 0.25], [0.25, -0.25]])
    found = fitted.find_directions({"place": "home", "mood": "calm"})
    assert list(found) == ["place"]
    np.testing.assert_allclose(found["place"], [0.25, -0.25])
    assert fitted.find_directions({"place": "moon"}) == {}


def test_words_are_numbered_across_columns() -> None:
    rows = [
        interaction("a", "x", context={"mood": "calm", "place": "home"}),
        interaction("a", "x", context={"place": "bus"}),
    ]
    events = build_events(rows, ["x"])
    assert find_word_rows(events, events.context_words).tolist() == [[0, 2], [-1, 1]]


@pytest.mark.parametrize("rows", [0, 3])
def test_without_context_columns_there_are_no_directions(rows: int) -> None:
    events = build_events([interaction("a", "x")] * rows, ["x"])
    fitted = fit_context_directions(events, np.eye(1, dtype=np.float32))
    assert fitted.vectors.shape == (0, 1)
