"""The part of quickstart that needs the packages: build, serve, ask, show."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from indexer import build_index
from indexer.errors import IndexerError
from service.commands import Progress, run_and_exit

SAMPLE = Path(__file__).parent / "sample"
INDEX = Path("data") / "quickstart"
START_LIMIT_S = 180
QUESTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "Someone who liked Casablanca and Vertigo, on a rainy evening at home",
        {
            "history": [
                {"item_id": "film-casablanca", "event": "like"},
                {"item_id": "film-vertigo", "event": "like"},
            ],
            "context": {"weather": "rain", "place": "home", "daytime": "evening"},
        },
    ),
    (
        "“我最近喜欢看悬疑片”，明天晚上有空",
        {"history": [{"text": "我最近喜欢看悬疑片"}], "query": "明天晚上有空，想看点刺激的"},
    ),
    (
        "Interests: cooking and 茶, only things to buy",
        {"interests": ["cooking", "茶"], "filter": {"kind": "product"}},
    ),
)


def main() -> int:
    """Build the sample index, start the service, print recommendations, serve until Ctrl-C."""
    port = _free_port()
    print("Building an index over the bundled sample catalogue …", flush=True)
    with Progress() as progress:
        summary = build_index(sorted(SAMPLE.glob("*.jsonl")), INDEX, report=progress)
    print(f"{summary.items} items, {summary.seconds:.0f} s ({summary.encoded} texts encoded)")
    command = [sys.executable, "-m", "service.commands", "serve"]
    service = subprocess.Popen([*command, "--index", str(INDEX), "--port", str(port)])
    try:
        _wait_until_ready(service, port)
        for title, body in QUESTIONS:
            _show(title, _ask(port, {**body, "k": 5}))
        print(f"\nOpen {_page(port)} to try it; the same over HTTP:")
        print(f"  curl -s http://127.0.0.1:{port}/v1/recommend \\")
        print(
            """    -H 'content-type: application/json' -d '{"query": "a cosy mystery", "k": 3}'"""
        )
        if "--once" not in sys.argv:
            print("Ctrl-C stops it.", flush=True)
            return service.wait()
    except KeyboardInterrupt:
        print()
    finally:
        service.send_signal(signal.SIGINT)
        service.wait(timeout=30)
    return 0


def _free_port() -> int:
    text = os.environ.get("PORT", "8000")
    if not text.isdecimal() or not 0 < int(text) < 65_536:
        raise IndexerError(f"PORT is {text!r}; set it to a number from 1 to 65535")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(text)))
        except OSError as error:
            raise IndexerError(
                f"port {text} is in use; stop what uses it, or choose another: "
                f"PORT=8001 scripts/quickstart"
            ) from error
    return int(text)


def _wait_until_ready(service: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        if service.poll() is not None:
            raise IndexerError("the service stopped while starting; its reason stands above")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    raise IndexerError(f"the service was not ready after {START_LIMIT_S} s; see its log above")


def _ask(port: int, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/recommend",
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


def _show(title: str, answer: dict[str, Any]) -> None:
    print(f"\n{title}")
    for hit in answer["items"]:
        told = "; ".join(_told(reason) for reason in hit["reasons"][:3])
        print(f"  {hit['rank']}. {hit['item']['title']}  {hit['score']:.2f}   ({told})")


def _told(reason: dict[str, Any]) -> str:
    words = reason.get("item_id") or reason.get("text") or reason.get("value") or ""
    return f"{reason['kind']} {words} {reason['share']:+.2f}".replace("  ", " ")


def _page(port: int) -> str:
    home = f"http://127.0.0.1:{port}/"
    try:
        with urllib.request.urlopen(home, timeout=5):
            return home
    except urllib.error.HTTPError:
        return f"{home}docs"


if __name__ == "__main__":
    run_and_exit(main)
