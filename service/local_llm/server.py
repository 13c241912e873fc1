"""HTTP requests of OpenAI's chat completions to the answers of a chat model of this machine.

POST /v1/chat/completions with streaming, structured output (json_schema) and log-probabilities;
GET /v1/models. One answer at a time; a client that leaves stops its answer. Loopback only.
"""

import json
import math
import signal
import time
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import override

from service.local_llm.chat_model import ChatModel, ModelError, Token
from service.local_llm.conversations import (
    BadChatRequestError,
    Chat,
    ChatRequest,
    parse_chat_request,
)
from service.process import exit_on_signal
from service.websites import WebsitePolicy

_MAX_BODY = 1 << 20
_WEBSITES = WebsitePolicy()  # none


def serve_chat_model(name: str, *, port: int, threads: int) -> int:
    """Load a model, serve it until stopped, and return the exit code.

    Args:
        name: What `ChatModel.load` takes.
        port: TCP port; 0: any free one.
        threads: Threads of the processor that the model uses.

    Raises:
        ModelError: If the port is taken, or the model cannot be loaded.
    """
    signal.signal(signal.SIGTERM, exit_on_signal)
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), _Handler)
    except OSError as error:
        raise ModelError(f"cannot listen on port {port} ({error.strerror})") from error
    with server:
        server.daemon_threads = True
        server.chat = Chat(ChatModel.load(name, threads=threads))  # type: ignore[attr-defined]  # for the handler
        print(f"serving {name} on http://127.0.0.1:{server.server_address[1]}/v1", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def _chat(self) -> Chat:
        chat: Chat = self.server.chat  # type: ignore[attr-defined]
        return chat

    def do_GET(self) -> None:  # the name http.server calls
        """List the one model."""
        if self._refuses_website():
            return
        if self.path != "/v1/models":
            self._refuse(HTTPStatus.NOT_FOUND, f"there is nothing at {self.path[:100]}")
            return
        model = {"id": self._chat.model.name, "object": "model", "owned_by": "local"}
        self._send(HTTPStatus.OK, {"object": "list", "data": [model]})

    def do_POST(self) -> None:  # the name http.server calls
        """Answer a conversation."""
        if self._refuses_website():
            return
        try:
            if self.path != "/v1/chat/completions":
                self._refuse(HTTPStatus.NOT_FOUND, f"there is nothing at {self.path[:100]}")
                return
            request = parse_chat_request(self._read_body())
            self._stream(request) if request.stream else self._answer_whole(request)
        except BadChatRequestError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client left: the answer stops here

    def _refuses_website(self) -> bool:
        """Whether a page of a website asked; then it is told so."""
        hosts, origins = (self.headers.get_all(name) or [] for name in ("host", "origin"))
        site = self.headers.get("sec-fetch-site")
        refusal = _WEBSITES.find_refusal(
            hosts, origins, site, is_page=False, needs_host=self.request_version == "HTTP/1.1"
        )
        if refusal is not None:
            self.close_connection = True  # its body is not read
            self._refuse(refusal.status, refusal.detail)
        return refusal is not None

    def _read_body(self) -> Any:
        length = self.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > _MAX_BODY:
            raise BadChatRequestError(
                f"send a body of at most {_MAX_BODY} bytes with its Content-Length"
            )
        try:
            return json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError) as error:
            raise BadChatRequestError("the body is not JSON") from error

    def _answer_whole(self, request: ChatRequest) -> None:
        counts: dict[str, int] = {}
        tokens = list(self._chat.generate_tokens(request, counts))
        choice: dict[str, Any] = {
            "index": 0,
            "message": {"role": "assistant", "content": "".join(t.text for t in tokens)},
            "finish_reason": _find_finish_reason(request, counts),
        }
        if request.top_tokens is not None:
            choice["logprobs"] = {"content": list(map(_describe_logprobs, tokens))}
        content = self._build_answer("chat.completion", [choice])
        self._send(HTTPStatus.OK, {**content, "usage": _count_usage(counts)})

    def _stream(self, request: ChatRequest) -> None:
        counts: dict[str, int] = {}
        tokens = self._chat.generate_tokens(request, counts)
        first = next(tokens, None)  # here an error still gets status 400
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            for token in [first] if first else []:
                self._write_token(request, token)
            for token in tokens:
                self._write_token(request, token)
        finally:
            tokens.close()  # releases the model for the next request
        end = {"index": 0, "delta": {}, "finish_reason": _find_finish_reason(request, counts)}
        self._write_event(self._build_answer("chat.completion.chunk", [end]))
        if request.usage:
            last = self._build_answer("chat.completion.chunk", [])
            self._write_event({**last, "usage": _count_usage(counts)})
        self.wfile.write(b"data: [DONE]\n\n")

    def _write_token(self, request: ChatRequest, token: Token) -> None:
        choice: dict[str, Any] = {
            "index": 0, "delta": {"content": token.text}, "finish_reason": None,
        }  # fmt: skip
        if request.top_tokens is not None:
            choice["logprobs"] = {"content": [_describe_logprobs(token)]}
        self._write_event(self._build_answer("chat.completion.chunk", [choice]))

    def _build_answer(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "object": kind,
            "created": int(time.time()),
            "model": self._chat.model.name,
            "choices": choices,
        }

    def _write_event(self, content: dict[str, Any]) -> None:
        self.wfile.write(b"data: " + json.dumps(content, ensure_ascii=False).encode() + b"\n\n")
        self.wfile.flush()

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self._send(status, {"error": {"message": why, "type": "invalid_request_error"}})

    def _send(self, status: HTTPStatus, body: dict[str, Any]) -> None:
        content = json.dumps(body, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


def _find_finish_reason(request: ChatRequest, counts: Mapping[str, int]) -> str:
    cut = request.schema is None and counts["completion_tokens"] >= request.limit
    return "length" if cut else "stop"


def _count_usage(counts: Mapping[str, int]) -> dict[str, int]:
    return {**counts, "total_tokens": sum(counts.values())}


def _describe_logprobs(token: Token) -> dict[str, Any]:
    top = [{"token": text, "logprob": _finite(value)} for text, value in token.top]
    return {"token": token.text, "logprob": _finite(token.logprob), "top_logprobs": top}


def _finite(value: float) -> float:
    return value if math.isfinite(value) else -9_999.0
