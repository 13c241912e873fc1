"""The meaning space against its formulas written out again, and its limits."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from indexer.errors import SnapshotError
from indexer.language import whitening
from indexer.language.encoder_background import (
    Background,
    BackgroundTexts,
    MeasuredBackground,
    load_background,
    load_background_texts,
    measure_background,
)
from indexer.language.whitening import (
    MeaningSpace,
    Moments,
    build_identity_space,
    fit_meaning_space,
)
from tests.fakes import WordEncoder
from tests.oracle import shrunk_space, stored

RNG = np.random.default_rng(3)


def crowded(count: int, dim: int = 8) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Unit vectors in a narrow cone, stretched along one direction, like raw BERT vectors."""
    rng = np.random.default_rng(count)
    rows = rng.normal(size=(count, dim)) * np.linspace(0.1, 1.0, dim) + 3.0
    unit = stored(rows).astype(np.float32)
    return unit.reshape(count, dim)


def test_moments_are_those_of_all_chunks_together() -> None:
    rows = crowded(50)
    moments = Moments.from_chunks([rows[:7], rows[7:7], rows[7:]], 8)
    assert moments.count == 50
    np.testing.assert_allclose(moments.mean, rows.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(moments.covariance, np.cov(rows.T, bias=True), atol=1e-6)


def test_a_fitted_space_equals_the_formula() -> None:
    encoder = WordEncoder(dim=8)
    raw = crowded(120)
    texts = load_background_texts()
    items, queries = encoder.encode_items(texts.items), encoder.encode_queries(texts.queries)
    space = fit_meaning_space(Moments.from_chunks([raw], 8), load_background(encoder))
    truth = shrunk_space(raw.astype(np.float64), items, queries, whitening.WHITENING_POWER)
    np.testing.assert_allclose(space.map_items(raw), truth.items(raw), atol=1e-4)
    np.testing.assert_allclose(space.map_queries(raw), truth.queries(raw), atol=1e-4)
    meaning = space.map_items(raw)
    images = space.map_similar(meaning)
    np.testing.assert_allclose(images, truth.alike(truth.items(raw)), atol=1e-3)
    np.testing.assert_allclose((images * meaning).sum(axis=1), 1, atol=1e-5)


def test_power_zero_only_centres() -> None:
    raw = crowded(80)
    background = Background(raw.mean(axis=0), raw.mean(axis=0), np.eye(8, dtype=np.float32))
    space = fit_meaning_space(Moments.from_chunks([raw], 8), background, power=0.0)
    centred = raw - raw.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    np.testing.assert_allclose(space.map_items(raw), centred, atol=1e-5)


def test_meaning_vectors_are_unit_float32_and_less_crowded() -> None:
    raw = crowded(200)
    background = measure_background(
        WordEncoder(dim=8), BackgroundTexts(["a b", "c"], ["d", "e f"], [])
    )
    background = Background(raw.mean(axis=0), background.query_mean, background.covariance)
    meaning = fit_meaning_space(Moments.from_chunks([raw], 8), background).map_items(raw)
    assert meaning.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(meaning, axis=1), 1, atol=1e-5)
    assert np.mean(raw @ raw.T) > 0.9
    assert abs(np.mean(meaning @ meaning.T)) < 0.3


def test_a_catalogue_of_one_item_does_not_centre_to_nothing() -> None:
    encoder = WordEncoder(dim=16)
    raw = encoder.encode_items(["悬疑 电影"])
    space = fit_meaning_space(Moments.from_chunks([raw], 16), load_background(encoder))
    item = space.map_items(raw)[0]
    assert np.linalg.norm(item) == pytest.approx(1, abs=1e-5)
    said, other = space.map_queries(encoder.encode_queries(["悬疑", "garden"]))
    assert item @ said > 0.3 > item @ other


def test_an_empty_catalogue_has_the_space_of_the_background() -> None:
    background = load_background(WordEncoder(dim=8))
    space = fit_meaning_space(Moments.from_chunks([], 8), background)
    np.testing.assert_allclose(space.item_mean, background.item_mean, atol=1e-6)
    np.testing.assert_allclose(space.query_mean, background.query_mean, atol=1e-6)


def test_a_vector_that_is_the_mean_has_no_direction_and_no_nan() -> None:
    raw = crowded(3)
    eye = np.eye(8, dtype=np.float32)
    space = MeaningSpace(raw[0], raw[0], eye, eye, eye)
    np.testing.assert_array_equal(space.map_items(raw[:1]), np.zeros((1, 8)))


def test_ready_made_vectors_are_only_brought_to_unit_length() -> None:
    space = build_identity_space(3)
    np.testing.assert_allclose(space.map_items(np.array([[0, 3, 4]], np.float32)), [[0, 0.6, 0.8]])


def test_a_space_is_read_as_it_was_written(tmp_path: Path) -> None:
    encoder = WordEncoder(dim=8)
    space = fit_meaning_space(Moments.from_chunks([crowded(40)], 8), load_background(encoder))
    space.save(tmp_path / "space.safetensors")
    again = MeaningSpace.load(tmp_path / "space.safetensors")
    np.testing.assert_array_equal(again.map_items(crowded(5)), space.map_items(crowded(5)))
    np.testing.assert_array_equal(again.map_queries(crowded(5)), space.map_queries(crowded(5)))


@pytest.mark.parametrize("content", [None, b"", b"nonsense " * 9])
def test_a_damaged_space_is_refused_by_name(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "space.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SnapshotError, match=r"space\.safetensors cannot be read"):
        MeaningSpace.load(path)


def test_a_model_that_borrows_a_bundled_name_is_measured_itself() -> None:
    """A folder may be called like a bundled model and hold one of another size."""
    background = load_background(WordEncoder(dim=8, name="all-MiniLM-L6-v2"))
    assert background.item_mean.shape == (8,)


@pytest.mark.parametrize("name", ["multilingual-e5-small", "all-MiniLM-L6-v2"])
def test_the_shipped_backgrounds_fit_their_models(name: str) -> None:
    background = load_background(WordEncoder(dim=384, name=name))
    assert background.item_mean.shape == background.query_mean.shape == (384,)
    assert np.linalg.norm(background.item_mean) < 1
    eigenvalues = np.linalg.eigvalsh(background.covariance.astype(np.float64))
    assert eigenvalues.min() > -1e-6
    # The second moment of unit vectors is 1: what is not mean is variance.
    total = np.linalg.norm(background.item_mean) ** 2 + np.trace(background.covariance)
    assert total == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"projection": None}, "it has no 'projection'"),
        ({"likeness": np.zeros((3, 4), np.float32)}, "its shapes are"),
        ({"item_mean": np.zeros(5, np.float32)}, "its shapes are"),
    ],
)
def test_a_space_without_its_parts_is_refused_by_name(
    tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    file = tmp_path / "space.safetensors"
    build_identity_space(4).save(file)
    tensors = {**load_file(file), **change}
    save_file({name: part for name, part in tensors.items() if part is not None}, file)
    with pytest.raises(SnapshotError, match=rf"space.safetensors cannot be read \({sentence}"):
        MeaningSpace.load(file)


@pytest.mark.parametrize("name", ["multilingual-e5-small", "all-MiniLM-L6-v2"])
def test_the_shipped_backgrounds_tell_the_languages_apart(name: str) -> None:
    background = load_background(WordEncoder(dim=384, name=name))
    for axis in (background.item_axis, background.query_axis):
        assert axis is not None
        assert axis.weights @ axis.step == pytest.approx(1, abs=1e-3)
    # What was measured of item texts lies halfway between the languages, half of them are Chinese.
    assert background.item_axis is not None
    assert 0.3 < np.linalg.norm(background.item_axis.step) < 1


def test_a_space_of_an_earlier_release_is_read_with_one_projection(tmp_path: Path) -> None:
    file = tmp_path / "space.safetensors"
    space = build_identity_space(4)
    space.save(file)
    tensors = load_file(file)
    del tensors["query_projection"]
    tensors["projection"] = 2 * tensors["projection"]
    save_file(tensors, file)
    np.testing.assert_array_equal(MeaningSpace.load(file).query_projection, 2 * np.eye(4))


def test_a_measured_background_is_stored_with_the_space_and_not_measured_again(
    tmp_path: Path,
) -> None:
    encoder = WordEncoder(dim=8)
    background = load_background(encoder)
    fit_meaning_space(Moments.from_chunks([], 8), background).save(tmp_path / "space.safetensors")
    known = MeasuredBackground.read(tmp_path / "space.safetensors")
    asked = encoder.encoded
    again = load_background(encoder, known)
    assert encoder.encoded == asked
    np.testing.assert_array_equal(again.item_mean, background.item_mean)
    np.testing.assert_array_equal(again.query_mean, background.query_mean)
    np.testing.assert_array_equal(again.covariance, background.covariance)
    assert (again.item_axis, again.query_axis) == (None, None)


def test_a_space_without_a_measured_background_has_none(tmp_path: Path) -> None:
    build_identity_space(8).save(tmp_path / "space.safetensors")
    assert MeasuredBackground.read(tmp_path / "space.safetensors") is None
    assert MeasuredBackground.read(tmp_path / "missing.safetensors") is None
