"""What can go wrong with a language model. Each message says why the answer came without it.

LlmError
├── EndpointError      the endpoint could not be reached, refused, or broke off
│   └── BusyError      it asked to come back later; `retry_after_s` says when
├── RestingError       it failed so often that it is left alone for a while
├── BudgetError        there is no time left
└── AnswerError        it answered, but not what was asked
"""

from indexer.errors import IndexerError


class LlmError(IndexerError, RuntimeError):
    """The language model gave nothing that can be used."""


class EndpointError(LlmError):
    """The endpoint could not be reached, refused, or broke off."""


class BusyError(EndpointError):
    """The endpoint asked to come back later."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RestingError(LlmError):
    """The endpoint failed so often that it is left alone for a while."""


class BudgetError(LlmError):
    """There is no time left."""


class AnswerError(LlmError):
    """The model answered, but not what was asked."""
