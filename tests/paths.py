"""Where things lie in the checkout."""

from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
SCRIPTS = REPOSITORY / "scripts"
SAMPLE = SCRIPTS / "sample"
