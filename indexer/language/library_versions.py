"""The installed libraries that decide about vectors to their versions.

Whatever keeps vectors keeps these beside them: an upgrade may change a token or a rounding.
"""

from importlib.metadata import version

_LIBRARIES = ("sentence-transformers", "sentencepiece", "tokenizers", "torch", "transformers")


def read_library_versions() -> dict[str, str]:
    """Return the version of each, by name."""
    return {name: version(name) for name in _LIBRARIES}
