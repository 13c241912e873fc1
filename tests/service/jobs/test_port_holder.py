"""Who listens on a port is found in /proc."""

import os
import socket
from pathlib import Path

from service.jobs.port_holder import describe_port_holder


def test_the_process_that_listens_is_named_with_its_command() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        said = describe_port_holder(port) or ""
        assert said.startswith(f"process {os.getpid()} (")
        assert "python" in said
    assert describe_port_holder(port) is None


def test_where_nothing_can_be_seen_nothing_is_said(tmp_path: Path) -> None:
    assert describe_port_holder(80, tmp_path) is None
    (tmp_path / "net").mkdir()
    line = "0: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 77 1\n"
    (tmp_path / "net" / "tcp").write_text("header\n" + line)
    assert describe_port_holder(80, tmp_path) is None
    (tmp_path / "12" / "fd").mkdir(parents=True)
    (tmp_path / "12" / "fd" / "3").symlink_to("socket:[77]")
    assert describe_port_holder(80, tmp_path) == "process 12 (unknown)"
    assert describe_port_holder(81, tmp_path) is None
