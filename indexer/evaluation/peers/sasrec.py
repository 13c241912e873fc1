"""Item sequences to a causal transformer (SASRec) in torch, trained until it gets no better.

Kang & McAuley 2018, "Self-attentive sequential recommendation", with a softmax loss over the whole
catalogue, or over a sample with logQ correction (Yi et al. 2019) where the catalogue is large.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from indexer.cores import count_threads
from indexer.evaluation.cases import Cases
from indexer.evaluation.peers.protocol import (
    ALL_EVENTS,
    NO_DECAY,
    POSITIVE_EVENTS,
    Params,
    Scores,
    TrainingData,
    collect_entries,
)

WINDOW_LENGTH = 50
WIDTH, LAYERS, HEADS = 64, 2, 2
BATCH_SIZE = 32
LEARNING_RATE = 1e-3
# For many epochs it recommends no better than popularity does, before it improves.
MIN_EPOCHS, MAX_EPOCHS, PATIENCE = 30, 300, 10
MAX_FULL_LOSS_ITEMS, SAMPLED_NEGATIVES = 20_000, 4_096

Evaluate = Callable[["SasRecModel", Params], float]


@dataclass(frozen=True, slots=True)
class SasRec:
    """SASRec."""

    name: str = "sasrec"

    @property
    def fit_grid(self) -> Mapping[str, tuple[Any, ...]]:
        """Rows used, dropout, and epochs, which `converge` finds."""
        return {
            "use": (POSITIVE_EVENTS, ALL_EVENTS),
            "dropout": (0.3, 0.5),
            "epochs": (MAX_EPOCHS,),
        }

    @property
    def score_grid(self) -> Mapping[str, tuple[Any, ...]]:
        """None."""
        return {}

    def fit(self, training: TrainingData, params: Params) -> "SasRecModel":
        """Train for the number of epochs in the parameters."""
        trained = list(_train_epochs(training, params, params["epochs"]))
        return trained[-1]

    def converge(
        self, training: TrainingData, params: Params, evaluate: Evaluate
    ) -> tuple[Params, float]:
        """Train until `PATIENCE` epochs bring no gain; return the best epoch and its NDCG@10."""
        best, best_epoch = -1.0, 1
        for epoch, model in enumerate(_train_epochs(training, params, MAX_EPOCHS), start=1):
            ndcg10 = evaluate(model, params)
            if ndcg10 > best:
                best, best_epoch = ndcg10, epoch
            if epoch >= MIN_EPOCHS and epoch - best_epoch >= PATIENCE:
                break
        return {**params, "epochs": best_epoch}, best


@dataclass(frozen=True, slots=True)
class SasRecModel:
    """A trained network over `n_items` items."""

    network: Any
    n_items: int

    def score(self, cases: Cases, params: Params) -> Scores:
        """Return `(c, n)`; zeros for a case without a history."""
        import torch

        entries = collect_entries(cases, use=params["use"], decay=NO_DECAY)
        rows = np.full((len(cases), WINDOW_LENGTH), self.n_items, np.int64)
        for case in range(len(cases)):
            first, last = np.searchsorted(entries.case, [case, case + 1])
            latest = entries.item[max(first, last - WINDOW_LENGTH) : last]
            rows[case, : len(latest)] = latest
        filled = (rows < self.n_items).sum(axis=1)
        self.network.eval()
        with torch.no_grad():
            states = self.network(torch.from_numpy(rows))
            state = states[torch.arange(len(cases)), torch.from_numpy(np.maximum(filled - 1, 0))]
            scores: Scores = (state @ self.network.items.weight[: self.n_items].T).numpy()
        scores[filled == 0] = 0
        return scores


def _train_epochs(training: TrainingData, params: Params, count: int) -> Iterator[SasRecModel]:
    """Yield the same network after each epoch."""
    import torch

    torch.set_num_threads(count_threads())  # an encoder in this process leaves it at one
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        network = _build_network(training.n_items, params["dropout"])
        state = torch.random.get_rng_state()
    rows = cut_windows(training, params["use"])
    popularity = np.bincount(rows[rows < training.n_items], minlength=training.n_items) + 1.0
    share = torch.from_numpy(popularity / popularity.sum()).float()
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98))
    rng = np.random.default_rng(training.seed)
    for _ in range(count):
        with torch.random.fork_rng(devices=[]):  # evaluation in between must not change the draws
            torch.random.set_rng_state(state)
            network.train()
            for batch in np.array_split(rng.permutation(len(rows)), -(-len(rows) // BATCH_SIZE)):
                loss = _compute_loss(network, torch.from_numpy(rows[batch]), share)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            state = torch.random.get_rng_state()
        yield SasRecModel(network, training.n_items)


def cut_windows(training: TrainingData, use: str) -> NDArray[np.int64]:
    """Cut every user's items into windows, `(w, WINDOW_LENGTH + 1)`, padded with `n_items`.

    Neighbouring windows share one item, so that each item but the first is predicted once.
    """
    log, padding = training.log, training.n_items
    rows = training.select_rows(use)
    rows = rows[np.lexsort((log.step[rows], log.user[rows]))]
    user, item = log.user[rows], log.item[rows]
    is_first = np.r_[np.ones(min(len(rows), 1), bool), user[1:] != user[:-1]]
    starts = np.flatnonzero(is_first).tolist()
    windows = []
    for start, end in zip(starts, [*starts[1:], len(rows)], strict=True):
        for last in range(end - 1, start, -WINDOW_LENGTH):
            window = item[max(start, last - WINDOW_LENGTH) : last + 1]
            pad_width = (0, WINDOW_LENGTH + 1 - len(window))
            windows.append(np.pad(window, pad_width, constant_values=padding))
    if not windows:
        return np.full((1, WINDOW_LENGTH + 1), padding, np.int64)
    return np.stack(windows)


def _compute_loss(network: Any, rows: Any, share: Any) -> Any:
    import torch
    from torch.nn.functional import cross_entropy

    n_items = len(share)
    states, targets = network(rows[:, :-1]), rows[:, 1:]
    known = targets < n_items
    state, target = states[known], targets[known]
    if len(target) == 0:
        return states.sum() * 0
    table = network.items.weight
    if n_items <= MAX_FULL_LOSS_ITEMS:
        return cross_entropy(state @ table[:n_items].T, target)
    sampled = torch.multinomial(share, SAMPLED_NEGATIVES, replacement=True)
    target_logits = (state * table[target]).sum(dim=1, keepdim=True) - share[target].log()[:, None]
    sampled_logits = state @ table[sampled].T - share[sampled].log()[None, :]
    sampled_logits = sampled_logits.masked_fill(target[:, None] == sampled[None, :], -torch.inf)
    return cross_entropy(
        torch.cat([target_logits, sampled_logits], dim=1), torch.zeros_like(target)
    )


def _build_network(n_items: int, dropout: float) -> Any:
    import torch
    from torch import nn

    class Network(nn.Module):
        """Item positions `(b, l)` to states `(b, l, d)`, each to predict the next item."""

        def __init__(self) -> None:
            super().__init__()
            self.items = nn.Embedding(n_items + 1, WIDTH, padding_idx=n_items)
            self.places = nn.Embedding(WINDOW_LENGTH, WIDTH)
            nn.init.normal_(self.items.weight, std=0.02)
            layer = nn.TransformerEncoderLayer(
                WIDTH, HEADS, WIDTH, dropout, batch_first=True, norm_first=True
            )
            self.layers = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
            self.norm, self.dropout = nn.LayerNorm(WIDTH), nn.Dropout(dropout)
            self.register_buffer(
                "mask", nn.Transformer.generate_square_subsequent_mask(WINDOW_LENGTH)
            )

        @override
        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            length = rows.shape[1]
            embedded = self.items(rows) * WIDTH**0.5 + self.places.weight[:length]
            mask = self.get_buffer("mask")[:length, :length]
            seen: torch.Tensor = self.norm(self.layers(self.dropout(embedded), mask=mask))
            return seen

    return Network()
