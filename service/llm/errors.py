"""Failures of a language model's endpoint to exceptions, whose messages say what was wrong.

LlmError
├── EndpointError      the endpoint could not be reached, refused, or broke off
│   ├── BusyError      it asked to come back later; `retry_after_s` says when
│   └── RefusedError   it did not accept this request (400 or 422)
├── RestingError       it failed so often that it is not called for a while
├── BudgetError        there is no time left
└── AnswerError        it answered, but not what was asked

`outcome` of each class is the label of the counter `zhiyin_llm_calls_total`.
"""

from typing import ClassVar

from indexer.errors import IndexerError


class LlmError(IndexerError, RuntimeError):
    """The language model gave nothing that can be used."""

    outcome: ClassVar[str] = "llm"


class EndpointError(LlmError):
    """The endpoint could not be reached, refused, or broke off.

    Args:
        message: Why.
        is_unsent: Whether there was no connection, so that nothing can have been produced.
    """

    outcome = "endpoint"

    def __init__(self, message: str, *, is_unsent: bool = False) -> None:
        super().__init__(message)
        self.is_unsent = is_unsent


class BusyError(EndpointError):
    """The endpoint asked to come back later."""

    outcome = "busy"

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RefusedError(EndpointError):
    """The endpoint did not accept the request: status 400 or 422."""

    # The underscore is an accident: the label was made from the name of a class that was private.
    # It stays, because dashboards and alerts of users match it.
    outcome = "_refused"


class RestingError(LlmError):
    """The endpoint failed so often that it is not called for a while."""

    outcome = "resting"


class BudgetError(LlmError):
    """There is no time left."""

    outcome = "budget"


class AnswerError(LlmError):
    """The model answered, but not what was asked."""

    outcome = "answer"
