"""An index directory to an HTTP server that only searches: an item's number to ten ids."""

import sys

import faiss
import numpy as np
import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from indexer import Index


class _Body(BaseModel):
    number: int


def main() -> None:
    """Load an HNSW index over the same vectors and serve it."""
    index = Index.open(sys.argv[1])
    vectors = index.item_vectors(np.arange(index.count))
    ids = index.ids(range(index.count))
    graph = faiss.index_factory(vectors.shape[1], "HNSW32", faiss.METRIC_INNER_PRODUCT)
    graph.add(vectors)
    app = FastAPI()

    @app.post("/")
    async def search(body: _Body) -> JSONResponse:
        _, rows = graph.search(vectors[body.number : body.number + 1], 10)
        return JSONResponse([ids[row] for row in rows[0]])

    print("ready", flush=True)
    uvicorn.run(app, port=int(sys.argv[2]), log_level="warning")


if __name__ == "__main__":
    main()
