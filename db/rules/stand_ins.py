r"""Characters that YAML 1.2 allows, or Backstage's parser lets pass, and libyaml refuses or takes for a line break.

Before parsing, each of them is replaced by a private-use character that the file does not use; afterwards each scalar
gets its own back. So are escaped halves of surrogate pairs (`"\ud83d\ude00"`), as JSON writes an emoji. Blank lines
that start with a tab are emptied.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_MISREAD = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]|\r(?!\n)")
_SURROGATE_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)\\u(?=[dD][89a-fA-F][0-9a-fA-F]{2})")
_TABBED_BLANK = re.compile(r"^\t[ \t]*(?=\r?$)", re.MULTILINE)
_PRIVATE_USE = range(0xE000, 0xF900)


class NoStandInLeftError(ValueError):
    """The file uses every private-use character itself."""


@dataclass(frozen=True, slots=True)
class StandIns:
    """What stands in for what, in one file."""

    originals: dict[int, str]
    escape: str  # stands in for `\u` before half of a surrogate pair

    def restored(self, text: str, *, escaped: bool) -> str:
        """A scalar as the file has it; `escaped`: backslashes have a meaning in it. May contain halves of pairs."""
        if self.escape in text:
            text = self._unescaped(text) if escaped else text.replace(self.escape, "\\u")
        return text.translate(self.originals)

    def _unescaped(self, text: str) -> str:
        first, *rest = text.split(self.escape)
        halves = first + "".join(chr(int(part[:4], 16)) + part[4:] for part in rest)
        return halves.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def with_stand_ins(text: str) -> tuple[str, StandIns | None]:
    """`text` for libyaml, and how to get its scalars back; None where nothing had to be replaced."""
    if "\t" in text:
        text = _TABBED_BLANK.sub("", text)
    if not _MISREAD.search(text) and ("\\u" not in text or not _SURROGATE_ESCAPE.search(text)):
        return text, None
    text = text.replace("\r\n", "\n")  # so that every other carriage return stands alone
    used = set(text)
    misread = sorted(char for char in used if _MISREAD.match(char))
    free = [char for char in map(chr, _PRIVATE_USE) if char not in used]
    if len(free) <= len(misread):
        raise NoStandInLeftError
    escape, *others = free[: len(misread) + 1]
    stand_ins = dict(zip(misread, others, strict=True))
    text = text.translate({ord(original): stand_in for original, stand_in in stand_ins.items()})
    text = _SURROGATE_ESCAPE.sub(rf"\g<1>{escape}", text)
    return text, StandIns({ord(stand_in): original for original, stand_in in stand_ins.items()}, escape)
