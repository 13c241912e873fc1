"""Vectors of two languages in a world where what is said and in which language are known."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.language.encoder_background import Background, MeasuredBackground
from indexer.language.language_axis import fit_language_axis
from indexer.language.whitening import Moments, fit_meaning_space

DIM, SUBJECTS = 24, 12
RNG = np.random.default_rng(5)
SUBJECT = RNG.normal(size=(SUBJECTS, DIM))
LANGUAGE = RNG.normal(size=DIM) * 3
COMMON = RNG.normal(size=DIM) * 4


def speak(
    subjects: NDArray[np.int64], is_chinese: NDArray[np.bool_], *, noise: float = 0.2
) -> NDArray[np.float32]:
    """Vectors `(n, d) float32` of texts: their subject, their language, what all share, noise."""
    rng = np.random.default_rng(len(subjects))
    said = SUBJECT[subjects] + is_chinese[:, None] * LANGUAGE + COMMON
    return (said + noise * rng.normal(size=said.shape)).astype(np.float32)


def background_of_both() -> Background:
    subjects = RNG.integers(SUBJECTS, size=600)
    is_chinese = np.arange(600) % 2 == 0
    raw = speak(subjects, is_chinese)
    axis = fit_language_axis(raw, is_chinese)
    covariance = np.cov(raw.T).astype(np.float32)
    return Background(raw.mean(axis=0), raw.mean(axis=0), covariance, None, axis, axis)


@pytest.mark.parametrize("chinese_share", [0.5, 0.1, 0.0])
def test_a_query_finds_its_subject_in_either_language_alike(chinese_share: float) -> None:
    subjects = np.repeat(np.arange(SUBJECTS), 20)
    is_chinese = np.tile(np.arange(20) < 20 * chinese_share, SUBJECTS)
    raw = speak(subjects, is_chinese)
    moments = Moments.from_chunks([raw], DIM)
    asked = np.arange(SUBJECTS)
    for in_chinese in (False, True):
        queries = speak(asked, np.full(SUBJECTS, in_chinese))
        space = fit_meaning_space(moments, background_of_both())
        scores = space.map_queries(queries) @ space.map_items(raw).T
        best = np.argsort(-scores, axis=1)[:, :20]
        assert (subjects[best] == asked[:, None]).mean() > 0.95
        # Without the axis it finds above all what is written in its own language.
        plain = background_of_both()
        plain = Background(plain.item_mean, plain.query_mean, plain.covariance)
        space = fit_meaning_space(moments, plain)
        scores = space.map_queries(queries) @ space.map_items(raw).T
        if chinese_share == 0.5:
            ten = np.argsort(-scores, axis=1)[:, :10]
            assert (is_chinese[ten] == in_chinese).mean() > 0.85


def test_the_axis_is_one_longer_for_chinese_and_its_projection_takes_just_that_away() -> None:
    is_chinese = np.arange(600) % 2 == 0
    raw = speak(RNG.integers(SUBJECTS, size=600), is_chinese)
    axis = fit_language_axis(raw, is_chinese)
    assert axis is not None
    along = raw @ axis.weights
    assert along[is_chinese].mean() - along[~is_chinese].mean() == pytest.approx(1, abs=1e-3)
    projected = raw @ axis.build_projection()
    np.testing.assert_allclose(
        projected[is_chinese].mean(axis=0), projected[~is_chinese].mean(axis=0), atol=1e-3
    )


def test_where_languages_are_not_told_apart_there_is_no_axis() -> None:
    is_chinese = np.arange(600) % 2 == 0
    raw = speak(RNG.integers(SUBJECTS, size=600), np.zeros(600, np.bool_))
    assert fit_language_axis(raw, is_chinese) is None
    assert fit_language_axis(raw, np.zeros(600, np.bool_)) is None
    assert fit_language_axis(np.ones((4, DIM), np.float32), np.arange(4) < 2) is None
    assert fit_language_axis(np.zeros((0, DIM), np.float32), np.zeros(0, np.bool_)) is None


def test_a_measured_axis_is_read_from_the_space_as_it_was_written(tmp_path: Path) -> None:
    background = background_of_both()
    measured = MeasuredBackground(
        background.item_mean, background.query_mean, 1.0, background.item_axis, None
    )
    stored = Background(
        background.item_mean, background.query_mean, background.covariance, measured
    )
    fit_meaning_space(Moments.from_chunks([], DIM), stored).save(tmp_path / "space.safetensors")
    again = MeasuredBackground.read(tmp_path / "space.safetensors")
    assert again is not None
    assert background.item_axis is not None
    assert again.item_axis is not None
    np.testing.assert_array_equal(again.item_axis.weights, background.item_axis.weights)
    np.testing.assert_array_equal(again.item_axis.step, background.item_axis.step)
    assert again.query_axis is None
