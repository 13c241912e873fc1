#!/usr/bin/env python3
"""The same as `zhiyin build`."""

from service.commands import run_command

if __name__ == "__main__":
    run_command("build")
