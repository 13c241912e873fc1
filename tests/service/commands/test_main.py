"""`zhiyin`: one command, one page of help each, nothing heavy loaded to print it."""

import json
import re
import subprocess
import sys

import pytest

from service.commands.main import COMMANDS
from tests.paths import REPOSITORY, SCRIPTS

HEAVY = ("torch", "faiss", "pyarrow", "transformers", "sentence_transformers", "pandas", "scipy")
CALLERS = sorted(path.name for path in SCRIPTS.glob("*.py") if not path.name.startswith("_"))


def loaded_after(program: str, *arguments: str) -> list[str]:
    """Modules of a new interpreter once it has run a program that may exit."""
    watched = (
        f"import json, sys\nsys.argv = {['zhiyin', *arguments]!r}\n"
        f"try:\n    {program}\n"
        "except SystemExit as ended:\n    assert not ended.code, ended.code\n"
        "print('\\n' + json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", watched], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    modules: list[str] = json.loads(done.stdout.splitlines()[-1])
    return modules


def zhiyin(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command as a user would."""
    return subprocess.run(
        [sys.executable, "-m", "service.commands", *arguments],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_printed_before_anything_heavy_is_loaded(command: str) -> None:
    program = "from service.commands.main import main; main()"
    loaded = loaded_after(program, command, "--help")
    assert set(loaded) & {*HEAVY, "numpy", "sqlalchemy", "fastapi"} == set()


@pytest.mark.parametrize(
    "program", ["import indexer", "from indexer import Index, build_index", "import service"]
)
def test_importing_loads_no_model_library_and_no_index_library(program: str) -> None:
    assert set(loaded_after(program)) & set(HEAVY) == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_a_first_line_options_and_no_traceback(command: str) -> None:
    done = zhiyin(command, "--help")
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout.startswith(f"usage: zhiyin {command} ")
    assert "--debug" in done.stdout


def test_without_a_command_all_are_named_and_it_is_bad_usage() -> None:
    done = zhiyin()
    assert done.returncode == 2
    assert [name for name in COMMANDS if f"  {name} " not in done.stdout] == []
    assert zhiyin("--help").returncode == 0


def test_a_misspelt_command_is_named_with_the_nearest() -> None:
    done = zhiyin("bild")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "zhiyin: there is no command 'bild'; did you mean 'build'?\n"


def test_the_release_is_told() -> None:
    assert re.fullmatch(r"zhiyin \d[\w.+]*\n", zhiyin("--version").stdout)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("snapshots", "--index", "/none", "list"), r"zhiyin snapshots: .*/none.*\n"),
        (
            ("import", "--index", "/none", "--interactions", "x"),
            r"zhiyin import: /none is not a .*\n",
        ),
    ],
)
def test_a_failure_is_one_line_that_names_the_command(
    arguments: tuple[str, ...], line: str
) -> None:
    done = zhiyin(*arguments)
    assert done.returncode == 1
    assert re.fullmatch(line, done.stderr), done.stderr


@pytest.mark.parametrize("caller", CALLERS)
def test_each_script_is_a_command_by_its_old_name(caller: str) -> None:
    done = subprocess.run(
        [sys.executable, SCRIPTS / caller, "--help"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"usage: {caller} ")
    text = (SCRIPTS / caller).read_text(encoding="utf-8")
    (command,) = re.findall(r'run_command\("([\w-]+)"\)', text)
    assert command in COMMANDS
