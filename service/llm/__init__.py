"""An optional language model: understands the query, describes an ideal item, re-ranks, explains.

In: a request and the candidates of its list.
Out: fields added to the request, a new order of the same candidates, sentences checked against
the reasons.
"""

from service.llm.assistant import Assistant, AssistantEvent
from service.llm.client import LlmClient
from service.llm.config import MODEL_VARIABLE, URL_VARIABLE, LlmConfig
from service.llm.endpoint import Endpoint
from service.llm.options import (
    DEFAULT_BUDGET_MS,
    DEFAULT_CANDIDATES,
    MAX_BUDGET_MS,
    MAX_CANDIDATES,
    PART_NAMES,
    UNUSED_IN_BATCH,
    LlmOptions,
    RerankMode,
    parse_llm_options,
)

__all__ = [
    "DEFAULT_BUDGET_MS",
    "DEFAULT_CANDIDATES",
    "MAX_BUDGET_MS",
    "MAX_CANDIDATES",
    "MODEL_VARIABLE",
    "PART_NAMES",
    "UNUSED_IN_BATCH",
    "URL_VARIABLE",
    "Assistant",
    "AssistantEvent",
    "Endpoint",
    "LlmClient",
    "LlmConfig",
    "LlmOptions",
    "RerankMode",
    "parse_llm_options",
]
