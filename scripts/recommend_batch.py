#!/usr/bin/env python3
"""The same as `zhiyin recommend`."""

from service.commands import run_command

if __name__ == "__main__":
    run_command("recommend")
