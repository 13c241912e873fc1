"""A chat model of this machine behind OpenAI's HTTP interface: small, slow, no account needed.

In: bodies of POST /v1/chat/completions.
Out: answers, whole or streamed, free or after a JSON schema, with log-probabilities.
"""

from service.local_llm.chat_model import DEFAULT_MODEL
from service.local_llm.server import serve_chat_model

__all__ = [
    "DEFAULT_MODEL",
    "serve_chat_model",
]
