"""An index directory to txtai's own server over the same texts and the same language model.

Prints how many seconds txtai takes to encode and index the texts, when it is about to serve them.
"""

import os
import sys
import time
from pathlib import Path

import uvicorn
from txtai import Embeddings  # type: ignore[import-not-found, unused-ignore]

from indexer import Index

_TEXT_FIELDS = ("title", "genres", "tags", "description")


def main() -> None:
    """Build txtai's index in a folder and serve it."""
    index, folder = Index.open(sys.argv[1]), Path(sys.argv[2])
    model = index.manifest.encoder_source
    texts = [_join(item) for item in index.items(range(index.count))]
    started = time.perf_counter()
    embeddings = Embeddings({"path": model})
    embeddings.index(list(enumerate(texts)))
    seconds = time.perf_counter() - started
    embeddings.save(str(folder / "index"))
    config = folder / "config.yml"
    config.write_text(f"path: {folder / 'index'}\nembeddings:\n  path: {model}\n", encoding="utf-8")
    os.environ["CONFIG"] = str(config)
    print(f"{seconds:.1f}", flush=True)
    uvicorn.run("txtai.api:app", port=int(sys.argv[3]), log_level="warning")


def _join(item: dict[str, object]) -> str:
    values = [item[name] for name in _TEXT_FIELDS if item.get(name)]
    return ". ".join(", ".join(map(str, v)) if isinstance(v, list) else str(v) for v in values)


if __name__ == "__main__":
    main()
