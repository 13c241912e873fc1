"""A strict OpenAI-compatible endpoint over real sockets: it checks requests and answers what a
test has scripted.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import override

from service.llm.config import LlmConfig

KNOWN = {
    "model", "messages", "max_tokens", "temperature", "stream", "stream_options",
    "response_format", "logprobs", "top_logprobs",
}  # fmt: skip


@dataclass(frozen=True)
class Reply:
    """What the endpoint does with one call.

    `cut_after`: pieces until the connection breaks. `wait_s`: before each piece.
    `first`: log-probabilities of the first token.
    """

    text: str = ""
    status: int = 200
    wait_s: float = 0.0
    cut_after: int | None = None
    whole: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    first: dict[str, float] = field(default_factory=dict)


Script = Callable[[dict[str, Any]], Reply]


@dataclass
class Endpoint:
    """A running one.

    `calls`: bodies as they came. `left`: how many clients hung up before their answer was whole.
    """

    config: LlmConfig
    calls: list[dict[str, Any]] = field(default_factory=list)
    left: int = 0

    def prompts(self, part: str) -> list[dict[str, Any]]:
        """The data of the prompts of one part."""
        return [prompt_of(call) for call in self.calls if part_of(call) == part]


def part_of(body: dict[str, Any]) -> str:
    """Which part of the product asks; only by what it asks for."""
    system = body["messages"][0]["content"]
    marks = {
        "You order a shortlist": "rerank",
        "You choose from a shortlist": "likelihood",
        "You tell somebody": "explain",
        "You imagine": "generate",
        "You turn what somebody says": "understand",
    }
    return next(part for mark, part in marks.items() if system.startswith(mark))


def prompt_of(body: dict[str, Any]) -> dict[str, Any]:
    """The JSON inside the user's message."""
    prompt: dict[str, Any] = json.loads(body["messages"][1]["content"].split("\n")[0])
    return prompt


@contextmanager
def endpoint(script: Script, key: str | None = "secret-key") -> Iterator[Endpoint]:
    """Serve a script on a free port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    running = Endpoint(LlmConfig(url, "fake-model", key))
    server.script, server.running = script, running  # type: ignore[attr-defined]  # for the handler
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:  # the name http.server calls
        running: Endpoint = self.server.running  # type: ignore[attr-defined]
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        trouble = self._trouble(body, running.config)
        if trouble:
            self._send(Reply(status=400, whole=json.dumps({"error": trouble}).encode()))
            return
        running.calls.append(body)
        try:
            self._answer(body, self.server.script(body))  # type: ignore[attr-defined]
        except (BrokenPipeError, ConnectionResetError):
            running.left += 1
            self.close_connection = True

    def _trouble(self, body: dict[str, Any], config: LlmConfig) -> str | None:
        if self.path != "/v1/chat/completions":
            return f"no such path {self.path}"
        if config.key and self.headers["authorization"] != f"Bearer {config.key}":
            return "wrong key"
        if unknown := set(body) - KNOWN:
            return f"unknown fields {unknown}"
        if [message["role"] for message in body["messages"]] != ["system", "user"]:
            return "wrong roles"
        if body.get("logprobs") and not 1 <= body.get("top_logprobs", 0) <= 20:
            return "top_logprobs is out of range"
        if "stream_options" in body and not body.get("stream"):
            return "stream_options without stream"
        return None

    def _answer(self, body: dict[str, Any], reply: Reply) -> None:
        if reply.whole is not None or reply.status != 200:
            time.sleep(reply.wait_s)
            self._send(reply)
        elif body.get("stream"):
            self._stream(body, reply)
        else:
            time.sleep(reply.wait_s)
            self._send(Reply(whole=json.dumps(_whole(reply)).encode()))

    def _send(self, reply: Reply) -> None:
        content = reply.whole or b"{}"
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, body: dict[str, Any], reply: Reply) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        pieces = [reply.text[n : n + 7] for n in range(0, len(reply.text), 7)]
        for place, piece in enumerate(pieces):
            if reply.cut_after == place:
                return
            self._wait(reply.wait_s)
            self._event({"choices": [{"index": 0, "delta": {"content": piece}}]})
        self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        if body.get("stream_options"):
            self._event({"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 5}})
        self.wfile.write(b"data: [DONE]\n\n")

    def _wait(self, seconds: float) -> None:
        """A model that takes time notices when nobody listens any more."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            time.sleep(0.02)
            self.wfile.write(b": thinking\n\n")
            self.wfile.flush()

    def _event(self, told: dict[str, Any]) -> None:
        self.wfile.write(b"data: " + json.dumps(told, ensure_ascii=False).encode() + b"\n\n")
        self.wfile.flush()

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Silence."""


def _whole(reply: Reply) -> dict[str, Any]:
    top = [{"token": token, "logprob": value} for token, value in reply.first.items()]
    choice: dict[str, Any] = {
        "index": 0,
        "message": {"role": "assistant", "content": reply.text},
        "finish_reason": "stop",
    }
    if top:
        choice["logprobs"] = {"content": [{"token": top[0]["token"], "top_logprobs": top}]}
    return {"choices": [choice], "usage": {"prompt_tokens": 13, "completion_tokens": 1}}


def said(**told: Any) -> Reply:
    """An answer in JSON."""
    return Reply(json.dumps(told, ensure_ascii=False))
