"""File to the UTF-8 bytes of its text: unpacked, decoded, without byte order marks.

An encoding is read if there is no doubt of it: it has a byte order mark, or the text is Chinese and
charset-normalizer finds one of the Chinese encodings, or UTF-16, or its words are those of Western
Europe in Windows-1252. Bytes of any other encoding are left as they are, so that the lines that
hold them say so.
"""

import codecs
import gzip
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from typing_extensions import override

from indexer.reading.file_kinds import GZIP_MARK
from indexer.reading.rows import render_value
from indexer.reading.western_text import is_western

UTF_8_BOM = codecs.BOM_UTF8

# The longer mark first: UTF-32's begins as UTF-16's does.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# As charset-normalizer names them, and the widest encoding of the same bytes.
_SURE_ENCODINGS = {
    "gb2312": "gb18030", "gbk": "gb18030", "gb18030": "gb18030", "big5": "cp950",
    "big5hkscs": "cp950", "cp950": "cp950", "utf_16": "utf-16", "utf_16_le": "utf-16-le",
    "utf_16_be": "utf-16-be",
}  # fmt: skip
# The first bytes of the characters that a standard lists first, since they are the usual ones.
_USUAL_LEADS = {"gb18030": range(0xB0, 0xD8), "cp950": range(0xA4, 0xC7)}
_MIN_USUAL_SHARE, _MIN_LEAD_OVER_OTHER = 0.85, 0.15
_MIN_IDEOGRAPHS = 4
_WESTERN = "cp1252"
_SHOWN_NAMES = {"gb18030": "GB18030", "cp950": "Big5", _WESTERN: "Windows-1252"}
_SAMPLE_BYTES = 1 << 20
_DETECTED_BYTES = 1 << 16  # given to charset-normalizer, which reads some 100 kB a second
_CHINESE = re.compile(r"[\u3000-\u303f\u3400-\u9fff\uff00-\uffef·—…“”‘’¥×°]")
_IDEOGRAPH = re.compile(r"[\u4e00-\u9fff]")
_CHINESE_RUN = re.compile(rf"{_CHINESE.pattern}{{2,}}")
_MIN_CHINESE_SHARE = 0.95  # of the characters beyond ASCII; misread bytes are of all alphabets
_MIN_HANGUL_SHARE = 0.95
_MIN_RUN_SHARE = 0.8  # of them beside another; the accents of misread French stand alone


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file of text that can be opened more than once.

    Attributes:
        path: Where it is; it is unpacked if it is compressed by gzip.
        encoding: A codec that its bytes are decoded with first; "" for UTF-8.
        evidence: The first line that shows the encoding where it was told by words; else empty.
    """

    path: Path
    encoding: str
    evidence: str = ""

    def open(self) -> BinaryIO:
        """Return its text in UTF-8 from the start, without a byte order mark."""
        file = cast(io.BufferedReader, open_bytes(self.path))
        if self.encoding:
            return io.BufferedReader(_RecodedFile(file, self.encoding))
        if file.peek(len(UTF_8_BOM)).startswith(UTF_8_BOM):
            file.read(len(UTF_8_BOM))
        return file

    def describe(self) -> str:
        """Return the name of the encoding for people; empty for UTF-8."""
        name = _SHOWN_NAMES.get(self.encoding, self.encoding.upper())
        return f"{name}, since it is not UTF-8 (first: {self.evidence})" if self.evidence else name


def is_packed(path: Path) -> bool:
    """Whether a file is compressed by gzip, whatever its name says."""
    with path.open("rb") as file:
        return file.read(len(GZIP_MARK)) == GZIP_MARK


def open_bytes(path: Path) -> BinaryIO:
    """Open a file; its bytes are unpacked if they are compressed by gzip."""
    if is_packed(path):
        return io.BufferedReader(cast(io.RawIOBase, gzip.open(path, "rb")))
    return path.open("rb")


def inspect_text_file(path: Path) -> TextFile:
    """Return the file with its encoding, found from its first mebibyte that is not all ASCII."""
    first_line = 1  # of the sample
    with open_bytes(path) as file:
        while (sample := file.read(_SAMPLE_BYTES)) and sample.isascii() and b"\0" not in sample:
            first_line += sample.count(b"\n")
    encoding = _detect_encoding(sample)
    evidence = _find_evidence(sample, first_line) if encoding == _WESTERN else ""
    return TextFile(path, encoding, evidence)


def _find_evidence(sample: bytes, first_line: int) -> str:
    """Return the first line beyond ASCII of a sample in Windows-1252, `line 73 'Misérables'`."""
    for number, line in enumerate(sample.splitlines(), start=first_line):
        if not line.isascii():
            return f"line {number} {render_value(line.decode(_WESTERN, 'replace').strip())}"
    return ""


def _detect_encoding(sample: bytes) -> str:
    for mark, encoding in _MARKS:
        if sample.startswith(mark):
            return encoding
    if _can_decode(sample, "utf-8") and b"\0" not in sample[:_DETECTED_BYTES]:
        return ""
    lines = _select_telling_lines(sample)
    likely = _list_likely_encodings(lines)
    for encoding in likely:
        if encoding.startswith("utf-16"):  # whose commas and line ends have a zero
            return encoding if b"\0" in sample and _can_decode(sample, encoding) else ""
    return _choose_chinese(sample, lines, likely) or _choose_western(sample, lines)


def _choose_western(sample: bytes, lines: bytes) -> str:
    """Return Windows-1252 if the words of a sample are such; "" otherwise."""
    if b"\0" in sample or not _can_decode(sample, _WESTERN):
        return ""
    return _WESTERN if is_western(lines.decode(_WESTERN, "replace")) else ""


def _can_decode(sample: bytes, encoding: str) -> bool:
    """Whether a sample, whose last character may be cut, is text of an encoding."""
    try:
        codecs.getincrementaldecoder(encoding)().decode(sample, len(sample) < _SAMPLE_BYTES)
    except UnicodeDecodeError:
        return False
    return True


def _choose_chinese(sample: bytes, lines: bytes, likely: list[str]) -> str:
    """Return the Chinese encoding of a sample; "" if another is as likely, or it has too little."""
    usual = {encoding: _measure_usual(lines, encoding) for encoding in _USUAL_LEADS}
    for encoding, (share, count) in usual.items():
        others = [other for name, (other, _) in usual.items() if name != encoding]
        is_clear = share >= max(_MIN_USUAL_SHARE, *(o + _MIN_LEAD_OVER_OTHER for o in others))
        if encoding in likely and is_clear and count >= _MIN_IDEOGRAPHS and not _is_korean(lines):
            return encoding if _is_chinese(sample, encoding) else ""
    return ""


def _measure_usual(lines: bytes, encoding: str) -> tuple[float, int]:
    """Return the share of usual ones of the ideographs of a text, and how many it has."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(lines)
    except UnicodeDecodeError:
        return 0.0, 0
    ideographs = _IDEOGRAPH.findall(text)
    usual = sum(_is_usual(char, encoding) for char in ideographs)
    return usual / max(1, len(ideographs)), len(ideographs)


def _is_usual(char: str, encoding: str) -> bool:
    # Rare characters have a first byte of the same range in GB18030, and a lower second one.
    written = char.encode(encoding)
    second_starts = 0xA1 if encoding == "gb18030" else 0x40
    return written[0] in _USUAL_LEADS[encoding] and written[1] >= second_starts


def _is_korean(lines: bytes) -> bool:
    """Whether a text makes sense in Korean: the same bytes are Hangul there, and no ideographs."""
    text = codecs.getincrementaldecoder("cp949")(errors="replace").decode(lines)
    foreign = [char for char in text if not char.isascii()]
    hangul = sum(1 for char in foreign if "\uac00" <= char <= "\ud7a3")
    return hangul >= _MIN_HANGUL_SHARE * len(foreign)


def _is_chinese(sample: bytes, encoding: str) -> bool:
    """Whether all of a sample can be decoded, and what is beyond ASCII in it is Chinese."""
    if not _can_decode(sample, encoding):
        return False
    text = codecs.getincrementaldecoder(encoding)().decode(sample)
    foreign = [char for char in text if not char.isascii()]
    chinese = sum(1 for char in foreign if _CHINESE.match(char))
    in_runs = sum(map(len, _CHINESE_RUN.findall(text)))
    is_mostly = chinese >= _MIN_CHINESE_SHARE * len(foreign)
    return bool(foreign) and is_mostly and in_runs >= _MIN_RUN_SHARE * chinese


def _select_telling_lines(sample: bytes) -> bytes:
    """The lines that have bytes beyond ASCII, up to what is given to charset-normalizer."""
    if b"\0" in sample:  # UTF-16 has no lines to be cut at
        return sample[:_DETECTED_BYTES]
    lines = sample.splitlines(keepends=True)
    if len(sample) == _SAMPLE_BYTES:
        lines = lines[:-1] or lines
    return b"".join(line for line in lines if not line.isascii())[:_DETECTED_BYTES]


def _list_likely_encodings(sample: bytes) -> list[str]:
    """Return the encodings in which a sample is least of a mess, the best first."""
    from charset_normalizer import from_bytes  # slow to import, and seldom needed

    matches = list(from_bytes(sample))
    least = min((match.chaos for match in matches), default=0.0)
    found = [match.encoding for match in matches if match.chaos == least]
    return [_SURE_ENCODINGS[name] for name in found if name in _SURE_ENCODINGS]


class _RecodedFile(io.RawIOBase):
    """The bytes of a text in another encoding as UTF-8; what cannot be decoded stays as it is."""

    def __init__(self, file: BinaryIO, encoding: str) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder(encoding)(errors="surrogateescape")
        self._ready = b""
        self._is_done = False

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer))
        while not self._ready and not self._is_done:
            packed = self._file.read(io.DEFAULT_BUFFER_SIZE)
            self._is_done = not packed
            try:
                text = self._decoder.decode(packed, final=self._is_done)
            except UnicodeDecodeError as error:  # of UTF-16 and UTF-32, which have no lines
                raise EOFError(f"its {error.encoding} is damaged: {error.reason}") from error
            self._ready = text.removeprefix("\ufeff").encode("utf-8", "surrogateescape")
        taken, self._ready = self._ready[: len(view)], self._ready[len(view) :]
        view[: len(taken)] = taken
        return len(taken)

    @override
    def close(self) -> None:
        self._file.close()
        super().close()
