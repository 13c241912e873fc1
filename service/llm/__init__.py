"""A language model at an endpoint: understands, imagines, re-ranks, explains; never required.

In: a request and the candidates that were found.
Out: a request read, an order of the same candidates, sentences checked against the reasons.
"""

from service.llm.assistant import Assistant, Event
from service.llm.client import LanguageModel
from service.llm.config import MODEL_VARIABLE, URL_VARIABLE, LlmConfig
from service.llm.endpoint import Endpoint
from service.llm.options import (
    DEFAULT_BUDGET_MS,
    DEFAULT_CANDIDATES,
    MAX_BUDGET_MS,
    MAX_CANDIDATES,
    NOT_IN_BATCHES,
    PARTS,
    Asked,
    Mode,
    parse_asked,
)

__all__ = [
    "DEFAULT_BUDGET_MS",
    "DEFAULT_CANDIDATES",
    "MAX_BUDGET_MS",
    "MAX_CANDIDATES",
    "MODEL_VARIABLE",
    "NOT_IN_BATCHES",
    "PARTS",
    "URL_VARIABLE",
    "Asked",
    "Assistant",
    "Endpoint",
    "Event",
    "LanguageModel",
    "LlmConfig",
    "Mode",
    "parse_asked",
]
