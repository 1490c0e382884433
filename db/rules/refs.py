"""Entity references: `[kind:][namespace/]name`, and their canonical form `kind:namespace/name`."""

from __future__ import annotations

from dataclasses import dataclass

from db.rules.scalars import BrokenRuleError, check_text
from db.rules.shown import shown

DEFAULT_NAMESPACE = "default"

MAX_LENGTH = 255
"""The longest canonical ref, in characters. Three parts of 63 fit well; nothing longer can name an entity."""


class RefError(ValueError):
    """A text that is no reference; the message says which part is wrong and why."""


@dataclass(frozen=True, slots=True)
class Ref:
    """The identity of an entity, in lower case. `str(ref)` is canonical, and parses to the same ref.

    A ref need not be a valid name: a file may point at what no entity can be called. It then just dangles.
    """

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.namespace}/{self.name}"

    @classmethod
    def parse(cls, text: str, *, kind: str | None = None, namespace: str = DEFAULT_NAMESPACE) -> Ref:
        """The ref that `text` means, with `kind` and `namespace` for the parts that it leaves out.

        A colon after the first slash belongs to the name. Blanks are not trimmed.
        Raises RefError for an empty or absent part, for a character that cannot be stored (NUL, half of a surrogate
        pair), and for a ref longer than `MAX_LENGTH`.
        """
        given_kind, given_namespace, name = _split(text)
        found_kind = kind if given_kind is None else given_kind
        if found_kind is None:
            raise RefError(f"{shown(text)} has no kind: write it as kind:name or kind:namespace/name")
        found_namespace = namespace if given_namespace is None else given_namespace
        for part, value in (("kind", found_kind), ("namespace", found_namespace), ("name", name)):
            if not value:
                raise RefError(f"{shown(text)} has an empty {part}: write it as [kind:][namespace/]name")
            try:
                check_text(value)
            except BrokenRuleError as error:
                raise RefError(f"the {part} of a reference is wrong: {error.message}") from None
        ref = cls(found_kind.lower(), found_namespace.lower(), name.lower())
        if len(str(ref)) > MAX_LENGTH:
            raise RefError(f"{shown(text)} is longer than {MAX_LENGTH} characters with its kind and namespace")
        return ref


def _split(text: str) -> tuple[str | None, str | None, str]:
    """Kind, namespace and name as written; None for a part without its separator."""
    before_slash, slash, after_slash = text.partition("/")
    kind, colon, rest = before_slash.partition(":")
    given_kind = kind if colon else None
    if slash:
        return given_kind, rest if colon else before_slash, after_slash
    return given_kind, None, rest if colon else before_slash
