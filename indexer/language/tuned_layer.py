"""Next-item examples to a tuned last layer of a language model.

A contrastive loss moves the mean vector of a few past items towards the item picked next and away
from the targets of the other examples in the batch. Each logit is corrected by the logarithm of the
target's frequency (sampled softmax with logQ correction: Bengio & Senécal 2008; within a batch: Yi
et al. 2019). Only the last transformer layer is trained: its input states are computed once, so a
step costs one layer, and the result is a file of a few megabytes beside the model.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.cores import count_threads
from indexer.errors import EncoderUnavailableError
from indexer.language.encoder import MAX_CHARS_PER_TOKEN
from indexer.language.fingerprint import PROBE_TEXT, hash_weights
from indexer.language.model_loading import BASE_WEIGHTS_KEY, open_model
from indexer.language.next_item_examples import NO_ITEM, NextItemExamples

if TYPE_CHECKING:  # torch takes seconds to import: only when a layer is tuned
    import torch

STEPS = 300
EXAMPLES_PER_STEP = 64
LEARNING_RATE = 5e-4
TEMPERATURE = 0.05
_MAX_TOKENS = 64  # of a text in training; encoding uses more
_WARM_UP = 0.1  # share of the steps
_STATES_BATCH_SIZE = 64
_MIN_COSINE = 0.999  # between vectors of the last layer called by itself and of the whole model

StepProgress = Callable[[int, int], None]  # called with steps done and steps in total
Tensor: TypeAlias = "torch.Tensor"


@dataclass(frozen=True, slots=True)
class TunedLayer:
    """The weights of a tuned last layer.

    Attributes:
        tensors: float32 arrays by their names in the model.
        base: `hash_weights` of the model it was tuned on.
    """

    tensors: dict[str, NDArray[np.float32]]
    base: str

    def save(self, path: Path) -> None:
        """Write the tensors as one safetensors file, with `base` in its metadata."""
        from safetensors.numpy import save_file

        save_file(self.tensors, path, metadata={BASE_WEIGHTS_KEY: self.base})


def tune_layer(
    model_name: str | None,
    texts: Sequence[str],
    examples: NextItemExamples,
    *,
    seed: int,
    progress: StepProgress,
) -> TunedLayer:
    """Train the last layer of a model for `STEPS` steps and return it.

    Args:
        model_name: As `load_encoder` takes it.
        texts: `t` item texts.
        examples: At least one; their rows are positions in `texts`.
        seed: Of the random batches.
        progress: Called after each step.

    Raises:
        EncoderUnavailableError: If the model cannot be loaded, or its last layer cannot be tuned.
    """
    trainer = _LayerTrainer(model_name, texts)
    frequency = np.bincount(examples.target, minlength=len(texts)) / len(examples)
    optimizer = trainer.build_optimizer()
    for step, batch in enumerate(_draw_batches(examples, seed)):
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * _compute_rate_factor((step + 1) / STEPS)
        optimizer.zero_grad()
        trainer.backpropagate(batch, frequency)
        optimizer.step()
        progress(step + 1, STEPS)
    return trainer.export_layer()


def _compute_rate_factor(share_done: float) -> float:
    """Return the factor of the learning rate: linear warm-up to 1, then linear decay to 0."""
    return min(share_done / _WARM_UP, (1 - share_done) / (1 - _WARM_UP))


def _draw_batches(examples: NextItemExamples, seed: int) -> Iterator[NextItemExamples]:
    rng = np.random.default_rng(seed)
    for _ in range(STEPS):
        size = min(EXAMPLES_PER_STEP, len(examples))
        yield examples.select(np.sort(rng.choice(len(examples), size, replace=False)))


@dataclass(frozen=True, slots=True)
class _HiddenStates:
    """Input states of the last layer, for the tokens of each text without padding.

    Attributes:
        states: `(tokens, width) float16`, the texts one after another.
        starts: `(t + 1,) int64`; text `i` is at `starts[i]:starts[i + 1]`.
    """

    states: NDArray[np.float16]
    starts: NDArray[np.int64]

    def pad(self, rows: NDArray[np.integer]) -> tuple[Tensor, Tensor]:
        """Return states `(b, tokens, width) float32` and their mask `(b, tokens) int64`.

        The mask is 1 for tokens and 0 for padding.
        """
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
    """A model with the input states of its last layer, which is the only part that is trained.

    Args:
        name: As `load_encoder` takes it.
        texts: Item texts; a batch refers to them by position.
    """

    def __init__(self, name: str | None, texts: Sequence[str]) -> None:
        import torch

        torch.set_num_threads(count_threads())  # an encoder in this process leaves it at one
        self._model, label, prompts = open_model(name)
        self._model.eval()  # without dropout the same seed gives the same layer
        self._model.max_seq_length = min(_MAX_TOKENS, self._model.max_seq_length or _MAX_TOKENS)
        self._base_weights = hash_weights(self._model.state_dict())
        self._prefix, self._layer = _find_last_layer(self._model, label)
        _check_layer_call(self._record_states, self._run_layer, label)
        limit = _MAX_TOKENS * MAX_CHARS_PER_TOKEN
        _, self._states = self._record_states([text[:limit] for text in texts], prompts.item)

    def build_optimizer(self) -> Any:
        """Return an AdamW optimizer of the last layer."""
        import torch

        return torch.optim.AdamW(self._layer.parameters(), lr=LEARNING_RATE, weight_decay=0.0)

    def backpropagate(self, batch: NextItemExamples, frequency: NDArray[np.float64]) -> None:
        """Add the gradient of a batch's loss to the last layer."""
        loss: Any = self.compute_loss(batch, frequency)  # torch's `backward` has no types
        loss.backward()

    def compute_loss(self, batch: NextItemExamples, frequency: NDArray[np.float64]) -> Tensor:
        """Return the mean cross entropy of each target among all targets of the batch.

        Args:
            batch: Examples over positions in the texts.
            frequency: `(t,)`, the share of all examples that have each text as target.
        """
        import torch

        rows = batch.collect_rows()
        vectors = self.encode(rows)
        targets, target_index = np.unique(batch.target, return_inverse=True)
        is_item = torch.from_numpy((batch.history != NO_ITEM).astype(np.float32))
        positions = np.searchsorted(rows, np.maximum(batch.history, rows[0]))
        # (b, HISTORY_ITEMS, d) summed to (b, d); its direction is that of the mean.
        history = (vectors[torch.from_numpy(positions)] * is_item[:, :, None]).sum(dim=1)
        similarity = (
            torch.nn.functional.normalize(history, dim=1)
            @ vectors[torch.from_numpy(np.searchsorted(rows, targets))].T
        )
        log_frequency = torch.from_numpy(np.log(frequency[targets]).astype(np.float32))
        logits = similarity / TEMPERATURE - log_frequency
        # An item of an example's own history is no negative of it, unless it is its target.
        in_history = (batch.history[:, :, None] == targets).any(axis=1)
        in_history[np.arange(len(batch)), target_index] = False
        logits = logits.masked_fill(torch.from_numpy(in_history), float("-inf"))
        return torch.nn.functional.cross_entropy(logits, torch.from_numpy(target_index))

    def encode(self, rows: NDArray[np.integer]) -> Tensor:
        """Return the vectors `(b, d)` of texts, unit length, with the last layer as it is now."""
        states, mask = self._states.pad(rows)
        return self._run_layer(states, mask)

    def export_layer(self) -> TunedLayer:
        """Return a copy of the last layer as it is now."""
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
        """Return the vectors `(t, d)` of the whole model and the input states of its last layer."""
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
                if not flat.size:  # room for the longest texts; unwritten pages take no memory
                    flat = np.empty((len(texts) * _MAX_TOKENS, states.shape[1]), np.float16)
                flat[starts[-1] : starts[-1] + len(states)] = states
                starts += (starts[-1] + np.cumsum(mask.sum(dim=1).numpy())).tolist()
        hook.remove()
        return np.concatenate(vectors), _HiddenStates(
            flat[: starts[-1]], np.array(starts, np.int64)
        )


def _find_last_layer(model: Any, label: str) -> tuple[str, Any]:
    """Return the name and the module of the last layer of the longest `ModuleList`."""
    import torch

    stacks = [
        (name, stack) for name, stack in model.named_modules()
        if isinstance(stack, torch.nn.ModuleList) and len(stack) > 1
    ]  # fmt: skip
    if not stacks:
        raise EncoderUnavailableError(_describe_refusal(label))
    name, stack = max(stacks, key=lambda named_stack: len(named_stack[1]))
    return f"{name}.{len(stack) - 1}", stack[-1]


def _check_layer_call(
    record_states: Callable[[Sequence[str], str], tuple[NDArray[np.float32], _HiddenStates]],
    run_layer: Callable[[Tensor, Tensor], Tensor],
    label: str,
) -> None:
    """Refuse a model whose last layer, called by itself, does not give the model's vectors."""
    import torch

    try:
        texts = [PROBE_TEXT, PROBE_TEXT[:9]]  # of two lengths, so that the shorter one is padded
        model_vectors, states = record_states(texts, "")
        with torch.inference_mode():
            layer_vectors = run_layer(*states.pad(np.arange(2))).numpy()
    except (TypeError, RuntimeError, ValueError, LookupError, AttributeError) as error:
        raise EncoderUnavailableError(_describe_refusal(label)) from error
    lengths = np.linalg.norm(model_vectors, axis=1)
    if not ((layer_vectors * model_vectors).sum(axis=1) / lengths).min() >= _MIN_COSINE:
        raise EncoderUnavailableError(_describe_refusal(label))


def _describe_refusal(label: str) -> str:
    return (
        f"the last layer of {label!r} cannot be tuned: it is not built like BERT; build without "
        f"--tune-encoder, or give a BERT-like --model"
    )
