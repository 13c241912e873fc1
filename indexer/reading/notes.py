"""Guesses about sources to sentences for whoever reads the summary of a build."""

from collections.abc import Callable

from indexer.terminal_text import escape_controls

_MAX_SENTENCES = 100  # sources may be many; the summary is read by a person


class ReadingNotes:
    """What was guessed about sources: their encoding, delimiter, column names and types.

    Attributes:
        sentences: In the order in which they were added; each is there once.
        id_column: That of the catalogue which was recognised by its name; "" if none was.
    """

    def __init__(self, tell: Callable[[str], None] | None = None) -> None:
        """Take what is called with every new sentence at once; None: they are kept only."""
        self.sentences: list[str] = []
        self.id_column = ""
        self._tell = tell

    def add(self, sentence: str) -> None:
        """Keep and tell a sentence, unless it is known already or there are too many.

        Control characters of names and cells are escaped.
        """
        sentence = escape_controls(sentence)
        if sentence in self.sentences or len(self.sentences) >= _MAX_SENTENCES:
            return
        self.sentences.append(sentence)
        if self._tell is not None:
            self._tell(sentence)
