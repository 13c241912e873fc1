"""What the wheel holds is enough: in an environment of its own, away from the checkout."""

import json
import os
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
import venv
from pathlib import Path
from typing import Any

import pytest

from tests.paths import REPOSITORY

pytestmark = [pytest.mark.slow, pytest.mark.model]

CATALOG = """movieId,name,genres,plot
1,Rear Window,mystery|thriller,A photographer with a broken leg suspects a neighbour of murder.
2,喜剧之王,喜剧|爱情,一个跑龙套的小演员坚持梦想，也遇见了爱情。
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel; its dependencies are those of this interpreter."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", folder, REPOSITORY], check=True)
    (wheel,) = folder.glob("zhiyin-*.whl")
    made = folder / "venv"
    venv.create(made, with_pip=True)
    # In an environment without a path to the checkout, which would count as installed.
    subprocess.run(
        [made / "bin" / "pip", "install", "--quiet", "--no-deps", wheel],
        env=clean(made), check=True,
    )  # fmt: skip
    # Paths named in a .pth file are not searched for further .pth files, so the checkout that is
    # installed here for editing is not found through them.
    (site,) = made.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return made


def run(environment: Path, folder: Path, *arguments: str) -> str:
    """Run zhiyin of the environment in an empty folder; return what it prints."""
    done = subprocess.run(
        [environment / "bin" / "zhiyin", *arguments],
        cwd=folder, env=clean(environment), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def clean(environment: Path) -> dict[str, str]:
    """Variables without anything that leads to the checkout."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**kept, "PATH": f"{environment / 'bin'}:{kept['PATH']}"}


def test_the_wheel_is_used_and_not_the_checkout(environment: Path, tmp_path: Path) -> None:
    code = "import indexer, service; print(indexer.__file__); print(service.__file__)"
    done = subprocess.run(
        [environment / "bin" / "python", "-c", code],
        cwd=tmp_path, env=clean(environment), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert all(line.startswith(str(environment)) for line in done.stdout.split())


def test_build_and_serve_work_from_the_wheel_alone(environment: Path, tmp_path: Path) -> None:
    (tmp_path / "films.csv").write_text(CATALOG, encoding="utf-8")
    fields = "id=movieId,title=name,tags=genres"
    built = run(
        environment, tmp_path,
        "build", "--catalog", "films.csv", "--fields", fields, "--out", "index", "--json",
    )  # fmt: skip
    assert json.loads(built)["items"] == 2
    assert "sound" in run(environment, tmp_path, "snapshots", "--index", "index", "verify")
    with subprocess.Popen(
        [environment / "bin" / "zhiyin", "serve", "--index", "index", "--port", "0"],
        cwd=tmp_path, env=clean(environment), stdout=subprocess.PIPE, text=True,
    ) as service:  # fmt: skip
        try:
            line = service.stdout.readline() if service.stdout else ""
            address = line.split(" on ")[1].split()[0]
            answer = ask(f"{address}/v1/search", {"query": "想看搞笑的爱情片", "k": 1})
        finally:
            service.terminate()
    assert [hit["id"] for hit in answer["items"]] == ["2"]


def ask(url: str, body: dict[str, Any]) -> dict[str, Any]:
    """Post until the service is ready."""
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"content-type": "application/json"}
    )
    for _ in range(600):
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                answer: dict[str, Any] = json.load(response)
                return answer
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
            time.sleep(0.1)
    raise AssertionError("the service was never ready")
