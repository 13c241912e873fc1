"""What users pick one after another, to the last layer of a language model.

A contrastive loss brings the mean vector of a few past items near the item that was picked next,
and away from what others in the batch picked, less the logarithm of how often each is drawn
(sampled softmax with logQ correction: Bengio & Senécal 2008; within a batch: Yi et al. 2019). Only
the last transformer layer moves: the states below it are computed once, so a step costs one layer,
and what is kept is a few megabytes beside the model they belong to.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.errors import EncoderUnavailableError
from indexer.language.encoder import BASE_WEIGHTS_KEY, MAX_CHARS_PER_TOKEN, open_model
from indexer.language.fingerprint import PROBE_TEXT, hash_weights
from indexer.language.sequels import NO_ITEM, NextItemExamples

if TYPE_CHECKING:  # torch takes seconds to import
    import torch

STEPS = 300
PAIRS_PER_STEP = 64  # in each step
LEARNING_RATE = 5e-4
TEMPERATURE = 0.05
_MAX_TOKENS = 64  # learned from; encoding reads on
_WARM_UP = 0.1  # of the steps
_STATES_BATCH_SIZE = 64
_MIN_COSINE = 0.999  # of a layer called by itself against the model as a whole

StepProgress = Callable[[int, int], None]
Tensor: TypeAlias = "torch.Tensor"


@dataclass(frozen=True, slots=True)
class TunedLayer:
    """A tuned last layer.

    Attributes:
        tensors: By their names in the model, `float32`.
        base: Hash of the weights of the model it was tuned on.
    """

    tensors: dict[str, NDArray[np.float32]]
    base: str

    def save(self, path: Path) -> None:
        """Write it as safetensors."""
        from safetensors.numpy import save_file

        save_file(self.tensors, path, metadata={BASE_WEIGHTS_KEY: self.base})


def tune_layer(
    model_name: str | None,
    texts: Sequence[str],
    sequels: NextItemExamples,
    *,
    seed: int,
    progress: StepProgress,
) -> TunedLayer:
    """Return the last layer as it is when it has learned.

    Args:
        model_name: As `load_encoder` takes it.
        texts: `t` item texts.
        sequels: Of rows in `[0, t)`, at least one.
        seed: Draws the batches.
        progress: Called with steps done and steps in all.

    Raises:
        EncoderUnavailableError: If the model is not there, or its last layer cannot be tuned.
    """
    trainer = _LayerTrainer(model_name, texts)
    frequency = np.bincount(sequels.target, minlength=len(texts)) / len(sequels)
    optimizer = trainer.build_optimizer()
    for step, batch in enumerate(_draw_batches(sequels, seed)):
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * _compute_rate_factor((step + 1) / STEPS)
        optimizer.zero_grad()
        trainer.backpropagate(batch, frequency)
        optimizer.step()
        progress(step + 1, STEPS)
    return trainer.export_layer()


def _compute_rate_factor(share_done: float) -> float:
    """Linear warm-up, then linear decay to nothing."""
    return min(share_done / _WARM_UP, (1 - share_done) / (1 - _WARM_UP))


def _draw_batches(sequels: NextItemExamples, seed: int) -> Iterator[NextItemExamples]:
    rng = np.random.default_rng(seed)
    for _ in range(STEPS):
        size = min(PAIRS_PER_STEP, len(sequels))
        yield sequels.select(np.sort(rng.choice(len(sequels), size, replace=False)))


@dataclass(frozen=True, slots=True)
class _HiddenStates:
    """What enters the last layer, of the real tokens of each text.

    Attributes:
        states: `(tokens, width) float16`.
        starts: `(t + 1,) int64`.
    """

    states: NDArray[np.float16]
    starts: NDArray[np.int64]

    def pad(self, rows: NDArray[np.integer]) -> tuple[Tensor, Tensor]:
        """Return `(b, tokens, width)` states and the `(b, tokens) int64` mask of real tokens."""
        import torch

        lengths = self.starts[rows + 1] - self.starts[rows]
        states = np.zeros((len(rows), int(lengths.max()), self.states.shape[1]), np.float32)
        for position, row in enumerate(rows):
            states[position, : lengths[position]] = self.states[
                self.starts[row] : self.starts[row + 1]
            ]
        mask = np.arange(states.shape[1]) < lengths[:, None]
        return torch.from_numpy(states), torch.from_numpy(mask.astype(np.int64))


class _LayerTrainer:
    """A model of which the last layer learns."""

    def __init__(self, name: str | None, texts: Sequence[str]) -> None:
        self._model, label, prompts = open_model(name)
        self._model.eval()  # without dropout the same seed gives the same layer
        self._model.max_seq_length = min(_MAX_TOKENS, self._model.max_seq_length or _MAX_TOKENS)
        self._base_weights = hash_weights(self._model)
        self._prefix, self._layer = _find_last_layer(self._model, label)
        _check_layer(self._record_states, self._run_layer, label)
        limit = _MAX_TOKENS * MAX_CHARS_PER_TOKEN
        _, self._states = self._record_states([text[:limit] for text in texts], prompts.item)

    def build_optimizer(self) -> Any:
        import torch

        return torch.optim.AdamW(self._layer.parameters(), lr=LEARNING_RATE, weight_decay=0.0)

    def backpropagate(self, batch: NextItemExamples, frequency: NDArray[np.float64]) -> None:
        loss: Any = self.compute_loss(batch, frequency)  # torch's `backward` has no types
        loss.backward()

    def compute_loss(self, batch: NextItemExamples, frequency: NDArray[np.float64]) -> Tensor:
        """Cross entropy of the item picked next among those picked next in the batch."""
        import torch

        rows = batch.collect_rows()
        vectors = self.encode(rows)
        targets, target_index = np.unique(batch.target, return_inverse=True)
        is_item = torch.from_numpy((batch.history != NO_ITEM).astype(np.float32))
        positions = np.searchsorted(rows, np.maximum(batch.history, rows[0]))
        past = (vectors[torch.from_numpy(positions)] * is_item[:, :, None]).sum(dim=1)
        similarity = (
            torch.nn.functional.normalize(past, dim=1)
            @ vectors[torch.from_numpy(np.searchsorted(rows, targets))].T
        )
        log_frequency = torch.from_numpy(np.log(frequency[targets]).astype(np.float32))
        logits = similarity / TEMPERATURE - log_frequency
        is_past_item = (batch.history[:, :, None] == targets).any(axis=1)
        is_past_item[np.arange(len(batch)), target_index] = False
        logits = logits.masked_fill(torch.from_numpy(is_past_item), float("-inf"))
        return torch.nn.functional.cross_entropy(logits, torch.from_numpy(target_index))

    def encode(self, rows: NDArray[np.integer]) -> Tensor:
        """`(b, d)`, unit length, through the last layer."""
        states, mask = self._states.pad(rows)
        return self._run_layer(states, mask)

    def export_layer(self) -> TunedLayer:
        """The layer as it is now."""
        tensors = {
            f"{self._prefix}.{name}": tensor.detach().float().numpy().copy()
            for name, tensor in self._layer.state_dict().items()
        }
        return TunedLayer(tensors, self._base_weights)

    def _run_layer(self, states: Tensor, mask: Tensor) -> Tensor:
        import torch

        attention_mask = mask[:, None, None, :].bool().expand(-1, 1, states.shape[1], -1)
        out: Any = self._layer(states, attention_mask=attention_mask)
        features: Any = {
            "token_embeddings": out[0] if isinstance(out, tuple) else out,
            "attention_mask": mask,
        }
        for module in list(self._model.children())[1:]:
            features = module(features)
        return torch.nn.functional.normalize(features["sentence_embedding"], dim=1)

    def _record_states(
        self, texts: Sequence[str], prompt: str
    ) -> tuple[NDArray[np.float32], _HiddenStates]:
        """Return the vectors `(t, d)` of the whole model, and what enters its last layer."""
        import torch

        layer_inputs: list[Tensor] = []
        hook = self._layer.register_forward_pre_hook(
            lambda _, args, named: layer_inputs.append(args[0] if args else named["hidden_states"]),
            with_kwargs=True,
        )
        vectors: list[NDArray[np.float32]] = []
        flat = np.empty((0, 0), np.float16)
        starts = [0]
        with torch.inference_mode():
            for first in range(0, len(texts), _STATES_BATCH_SIZE):
                batch_texts = list(texts[first : first + _STATES_BATCH_SIZE])
                features: Any = self._model.preprocess(batch_texts, prompt=prompt or None)
                mask = features["attention_mask"]
                vectors.append(self._model(features)["sentence_embedding"].float().numpy())
                states = layer_inputs.pop()[mask.bool()].numpy()
                if not flat.size:  # room for the longest texts; what is not filled takes no memory
                    flat = np.empty((len(texts) * _MAX_TOKENS, states.shape[1]), np.float16)
                flat[starts[-1] : starts[-1] + len(states)] = states
                starts += (starts[-1] + np.cumsum(mask.sum(dim=1).numpy())).tolist()
        hook.remove()
        return np.concatenate(vectors), _HiddenStates(
            flat[: starts[-1]], np.array(starts, np.int64)
        )


def _find_last_layer(model: Any, label: str) -> tuple[str, Any]:
    """The end of the longest stack of layers, and its name in the model."""
    import torch

    stacks = [
        (name, stack) for name, stack in model.named_modules()
        if isinstance(stack, torch.nn.ModuleList) and len(stack) > 1
    ]  # fmt: skip
    if not stacks:
        raise EncoderUnavailableError(_build_refusal(label))
    name, stack = max(stacks, key=lambda found: len(found[1]))
    return f"{name}.{len(stack) - 1}", stack[-1]


def _check_layer(
    below: Callable[[Sequence[str], str], tuple[NDArray[np.float32], _HiddenStates]],
    above: Callable[[Tensor, Tensor], Tensor],
    label: str,
) -> None:
    """Refuse a model whose last layer, called by itself, does not give the model's vectors."""
    import torch

    try:
        model_vectors, states = below([PROBE_TEXT, PROBE_TEXT[:9]], "")  # the shorter one is padded
        with torch.inference_mode():
            layer_vectors = above(*states.pad(np.arange(2))).numpy()
    except (TypeError, RuntimeError, ValueError, LookupError, AttributeError) as error:
        raise EncoderUnavailableError(_build_refusal(label)) from error
    lengths = np.linalg.norm(model_vectors, axis=1)
    if not ((layer_vectors * model_vectors).sum(axis=1) / lengths).min() >= _MIN_COSINE:
        raise EncoderUnavailableError(_build_refusal(label))


def _build_refusal(label: str) -> str:
    return (
        f"the last layer of {label!r} cannot be tuned: it is not built like BERT; build without "
        f"--tune-encoder, or give a BERT-like --model"
    )
