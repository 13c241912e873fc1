"""Vectors are kept only as long as the libraries stay that they were made with."""

from importlib.metadata import version
from pathlib import Path

import pytest

from indexer.language import library_versions
from indexer.language.encoder_identity import compute_model_stamp
from indexer.language.linear import Arithmetic, describe_arithmetic

LIBRARIES = ["sentence-transformers", "sentencepiece", "tokenizers", "torch", "transformers"]


@pytest.mark.parametrize("upgraded", LIBRARIES)
def test_an_upgrade_of_any_library_changes_the_key_of_queries_and_the_stamp_of_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, upgraded: str
) -> None:
    key, stamp = describe_arithmetic(Arithmetic.FLOAT32), compute_model_stamp(str(tmp_path))
    assert stamp
    assert describe_arithmetic(Arithmetic.FLOAT32) == key
    assert compute_model_stamp(str(tmp_path)) == stamp
    monkeypatch.setattr(
        library_versions,
        "version",
        lambda name: "999.0" if name == upgraded else version(name),
    )
    assert describe_arithmetic(Arithmetic.FLOAT32) != key
    assert compute_model_stamp(str(tmp_path)) != stamp
