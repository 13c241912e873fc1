#!/usr/bin/env python3
"""Serve a chat model of this machine as an OpenAI-compatible endpoint: no account is needed.

POST /v1/chat/completions with streaming, structured output (json_schema) and log-probabilities;
GET /v1/models. One answer at a time; a client that leaves stops its answer. Loopback only.

The default is SmolLM2-135M from a package (English, weak: it shows that everything works, not how
good it can be). Bigger ones by name, folder or GGUF file.

Examples:
  serve_llm.py
  serve_llm.py --model HuggingFaceTB/SmolLM2-1.7B-Instruct --port 8090
  ZHIYIN_LLM_URL=http://127.0.0.1:8090/v1 serve.py --index data/index
"""

import json
import math
import signal
import sys
import time
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType
from typing import Any, NoReturn

from _chat_model import DEFAULT_MODEL, ChatModel, ModelError, Token
from _cli import parser, run
from _conversations import Chat, RefusedError, Wanted, wanted
from typing_extensions import override

_MAX_BODY = 1 << 20


def main() -> int:
    """Load the model, then serve until stopped."""
    made = parser(__doc__ or "")
    made.add_argument("--model", default=DEFAULT_MODEL, help=f"default {DEFAULT_MODEL}")
    made.add_argument("--port", type=int, default=8090, help="default 8090; 0: any free one")
    made.add_argument("--threads", type=int, default=1, help="of the processor (default 1)")
    given = made.parse_args()
    if not 0 <= given.port < 1 << 16:
        made.error(f"--port is {given.port}; use a number from 0 to 65535")
    if given.threads < 1:
        made.error(f"--threads is {given.threads}; use 1 or more")
    signal.signal(signal.SIGTERM, _stopped)
    try:
        server = ThreadingHTTPServer(("127.0.0.1", given.port), _Handler)
    except OSError as error:
        raise ModelError(f"cannot listen on port {given.port} ({error.strerror})") from error
    with server:
        server.daemon_threads = True
        server.chat = Chat(ChatModel.load(given.model, threads=given.threads))  # type: ignore[attr-defined]  # for the handler
        port = server.server_address[1]
        print(f"serving {given.model} on http://127.0.0.1:{port}/v1", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def _chat(self) -> Chat:
        found: Chat = self.server.chat  # type: ignore[attr-defined]
        return found

    def do_GET(self) -> None:  # the name http.server calls
        """List the one model."""
        if self.path != "/v1/models":
            self._refuse(HTTPStatus.NOT_FOUND, f"there is nothing at {self.path[:100]}")
            return
        model = {"id": self._chat.model.name, "object": "model", "owned_by": "local"}
        self._send(HTTPStatus.OK, {"object": "list", "data": [model]})

    def do_POST(self) -> None:  # the name http.server calls
        """Answer a conversation."""
        try:
            if self.path != "/v1/chat/completions":
                self._refuse(HTTPStatus.NOT_FOUND, f"there is nothing at {self.path[:100]}")
                return
            asked = wanted(self._body())
            self._stream(asked) if asked.stream else self._whole(asked)
        except RefusedError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client left: the answer stops here

    def _body(self) -> Any:
        length = self.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > _MAX_BODY:
            raise RefusedError(f"send a body of at most {_MAX_BODY} bytes with its Content-Length")
        try:
            return json.loads(self.rfile.read(int(length)))
        except ValueError as error:
            raise RefusedError("the body is not JSON") from error

    def _whole(self, asked: Wanted) -> None:
        counts: dict[str, int] = {}
        tokens = list(self._chat.tokens(asked, counts))
        choice: dict[str, Any] = {
            "index": 0,
            "message": {"role": "assistant", "content": "".join(t.text for t in tokens)},
            "finish_reason": _finished(asked, counts),
        }
        if asked.told is not None:
            choice["logprobs"] = {"content": list(map(_logprobs, tokens))}
        told = self._told("chat.completion", [choice])
        self._send(HTTPStatus.OK, {**told, "usage": _usage(counts)})

    def _stream(self, asked: Wanted) -> None:
        counts: dict[str, int] = {}
        tokens = self._chat.tokens(asked, counts)
        first = next(tokens, None)  # a refusal is still a plain answer
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            for token in [first] if first else []:
                self._piece(asked, token)
            for token in tokens:
                self._piece(asked, token)
        finally:
            tokens.close()  # frees the model for the next in line
        end = {"index": 0, "delta": {}, "finish_reason": _finished(asked, counts)}
        self._event(self._told("chat.completion.chunk", [end]))
        if asked.usage:
            last = self._told("chat.completion.chunk", [])
            self._event({**last, "usage": _usage(counts)})
        self.wfile.write(b"data: [DONE]\n\n")

    def _piece(self, asked: Wanted, token: Token) -> None:
        choice: dict[str, Any] = {
            "index": 0, "delta": {"content": token.text}, "finish_reason": None,
        }  # fmt: skip
        if asked.told is not None:
            choice["logprobs"] = {"content": [_logprobs(token)]}
        self._event(self._told("chat.completion.chunk", [choice]))

    def _told(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "object": kind,
            "created": int(time.time()),
            "model": self._chat.model.name,
            "choices": choices,
        }

    def _event(self, told: dict[str, Any]) -> None:
        self.wfile.write(b"data: " + json.dumps(told, ensure_ascii=False).encode() + b"\n\n")
        self.wfile.flush()

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self._send(status, {"error": {"message": why, "type": "invalid_request_error"}})

    def _send(self, status: HTTPStatus, told: dict[str, Any]) -> None:
        content = json.dumps(told, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Silence."""


def _finished(asked: Wanted, counts: Mapping[str, int]) -> str:
    cut = asked.schema is None and counts["completion_tokens"] >= asked.limit
    return "length" if cut else "stop"


def _usage(counts: Mapping[str, int]) -> dict[str, int]:
    return {**counts, "total_tokens": sum(counts.values())}


def _logprobs(token: Token) -> dict[str, Any]:
    top = [{"token": text, "logprob": _finite(value)} for text, value in token.top]
    return {"token": token.text, "logprob": _finite(token.logprob), "top_logprobs": top}


def _finite(value: float) -> float:
    return value if math.isfinite(value) else -9_999.0


def _stopped(number: int, frame: FrameType | None) -> NoReturn:
    """Being told to stop is a success."""
    sys.exit(0)


if __name__ == "__main__":
    run(main)
