"""A TCP port to the process that listens on it, as far as /proc tells."""

from collections.abc import Iterator
from pathlib import Path

_LISTENS = "0A"  # the state of a socket in /proc/net/tcp
_MAX_COMMAND_CHARS = 120


def describe_port_holder(port: int, proc: Path = Path("/proc")) -> str | None:
    """Return "process 12 (python serve.py)"; None if nobody listens, or it cannot be seen."""
    inodes = {f"socket:[{inode}]" for inode in _list_listening_inodes(port, proc)}
    for pid in _list_pids(proc) if inodes else ():
        if _holds(proc / str(pid) / "fd", inodes):
            command = _read(proc / str(pid) / "cmdline").replace("\0", " ").strip()
            return f"process {pid} ({command[:_MAX_COMMAND_CHARS] or 'unknown'})"
    return None


def _list_listening_inodes(port: int, proc: Path) -> Iterator[str]:
    for name in ("tcp", "tcp6"):
        for line in _read(proc / "net" / name).splitlines()[1:]:
            columns = line.split()
            is_port = columns[1].rpartition(":")[2] == f"{port:04X}"
            if is_port and columns[3] == _LISTENS:
                yield columns[9]


def _list_pids(proc: Path) -> list[int]:
    """Return the ids of all processes, ascending: a parent mostly comes before its workers."""
    try:
        return sorted(int(path.name) for path in proc.iterdir() if path.name.isdecimal())
    except OSError:
        return []


def _holds(descriptors: Path, targets: set[str]) -> bool:
    try:
        return any(str(link.readlink()) in targets for link in descriptors.iterdir())
    except OSError:  # of another user, or it has ended
        return False


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
