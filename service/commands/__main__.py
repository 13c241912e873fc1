"""`python -m service.commands`: the same as `zhiyin`."""

from service.commands.main import main

main()
