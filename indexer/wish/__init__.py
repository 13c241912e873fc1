"""A typed wish to the filter that it plainly says, without a language model. Pure.

In: a text such as "a thriller from the 90s", the fields of a catalogue.
Out: phrases with their places in the text, and a filter for each that means one field.
"""

from indexer.wish.fields import build_phrase_filter
from indexer.wish.phrase import Subject, WishPhrase
from indexer.wish.phrases import find_phrases, remove_phrases

__all__ = ["Subject", "WishPhrase", "build_phrase_filter", "find_phrases", "remove_phrases"]
