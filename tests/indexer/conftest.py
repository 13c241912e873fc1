"""Small worlds, built once: their raw rows, their brute-force answers, their index."""

from pathlib import Path

import numpy as np
import pytest

from indexer import Index, build_index
from indexer.language.encoder import TextEncoder, load_encoder
from indexer.language.item_text import describe_item
from tests.fakes import WordEncoder
from tests.oracle import World, space_of, stored, write_rows
from tests.worlds import Built, described_rows


@pytest.fixture(scope="session")
def worded(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """300 items whose vectors come from their words."""
    root = tmp_path_factory.mktemp("worded")
    rows = described_rows(300, seed=1)
    encoder = WordEncoder(dim=32)
    build_index(write_rows(root / "items.jsonl", rows), root / "index", encoder=encoder)
    texts = {row["id"]: describe_item(row, rating_scale=(1, 5)) for row in rows}
    vectors = {item_id: encoder.encode_items([text])[0] for item_id, text in texts.items()}
    raw = stored(np.stack([vectors[item_id] for item_id in sorted(vectors)]))
    world = World(rows, vectors, space=space_of(encoder, raw), encode=encoder.encode_queries)
    index = Index.open(root / "index", encoder=encoder)
    world.take_representatives(index)
    return Built(index, world, root)


@pytest.fixture(scope="session")
def plain_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random BERT with a WordPiece vocabulary and nothing of sentence-transformers."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("models") / "tiny-bert"
    letters = [*"abcdefghijklmnopqrstuvwxyz", *"雨天悬疑片喜剧爱情"]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocab = [*special, *letters, *(f"##{letter}" for letter in letters)]
    numbered = {word: number for number, word in enumerate(vocab)}
    BertTokenizer(vocab=numbered).save_pretrained(folder)
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=len(vocab), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=48, max_position_embeddings=64,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def multilingual() -> TextEncoder:
    """The bundled default model as users get it; loading takes seconds."""
    return load_encoder("multilingual-e5-small")


@pytest.fixture(scope="session")
def english() -> TextEncoder:
    """The bundled English model."""
    return load_encoder("all-MiniLM-L6-v2")


@pytest.fixture(scope="module")
def large_boosted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Index, World]:
    """4,000 items with ready-made vectors."""
    rng = np.random.default_rng(8)
    root = tmp_path_factory.mktemp("boosted")
    vectors = rng.normal(size=(4_000, 16)).round(3)
    rows = [
        {"id": f"x{n}", "title": f"t {n}", "pages": int(rng.integers(500)), "vector": v.tolist()}
        for n, v in enumerate(vectors)
    ]
    # The other kinds store numbers of 16 bits, too coarse for scores within 2e-6.
    build_index(write_rows(root / "items.jsonl", rows), root / "index", model="none", index="flat")
    world = World(rows, {f"x{n}": v for n, v in enumerate(vectors)})
    index = Index.open(root / "index")
    world.take_representatives(index)
    return index, world
