"""Serve a chat model of this machine as an OpenAI-compatible endpoint: no account is needed.

POST /v1/chat/completions with streaming, structured output (json_schema) and log-probabilities;
GET /v1/models. One answer at a time; a client that leaves stops its answer. Loopback only.

The default is SmolLM2-135M from a package (English, weak: it shows that everything works, not how
good it can be). Bigger ones by name, folder or GGUF file.

Examples:
  zhiyin serve-llm
  zhiyin serve-llm --model HuggingFaceTB/SmolLM2-1.7B-Instruct --port 8090
  ZHIYIN_LLM_URL=http://127.0.0.1:8090/v1 zhiyin serve --index data/index
"""

import argparse

from service.commands.console import Parser
from service.local_llm import DEFAULT_MODEL


def add_arguments(parser: Parser) -> None:
    """Add the model and where it is served."""
    add = parser.add_argument
    add("--model", default=DEFAULT_MODEL, help=f"default {DEFAULT_MODEL}")
    add("--port", type=int, default=8090, help="default 8090; 0: any free one")
    add("--threads", type=int, default=1, help="of the processor (default 1)")


def run(arguments: argparse.Namespace) -> int:
    """Load the model, then serve until stopped."""
    if not 0 <= arguments.port < 1 << 16:
        arguments.refuse(f"--port is {arguments.port}; use a number from 0 to 65535")
    if arguments.threads < 1:
        arguments.refuse(f"--threads is {arguments.threads}; use 1 or more")
    from service.local_llm import serve_chat_model

    return serve_chat_model(arguments.model, port=arguments.port, threads=arguments.threads)
