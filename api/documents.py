"""Documents that clients ask for without sending them: by an id, or by the hash of their text.

Trusted documents stand in files, and are here from the start. They are asked for as the appendix "Persisted Documents"
of GraphQL over HTTP has it: by `sha256:` and the hash of their text in hex, or by an id of their own, without a colon.

Any other document may be kept when a client sends it with its hash, by the protocol of Apollo's automatic persisted
queries: https://www.apollographql.com/docs/apollo-server/performance/apq. Its hashes lead to trusted documents, too.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from api.request_parameters import Parameters
from schema.errors import (
    BadRequest,
    DocumentNotFound,
    PersistedQueryNotFound,
    PersistedQueryNotSupported,
    UntrustedDocument,
)

SHA256 = "sha256:"

MOST_KEPT = 5_000_000  # characters of documents that clients sent with their hash


def hash_of(text: str) -> str:
    """The SHA-256 of a text in UTF-8, in lower-case hex."""
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Document:
    """The text of one or several operations, which a client may ask for by `id`."""

    id: str
    text: str
    place: Callable[[int], str]  # where people find a line of the text, from 1: `squad.graphql:3`


class Documents:
    """The documents that clients need not send."""

    def __init__(self, trusted: Iterable[Document] = (), *, required: bool = False, automatic: bool = True) -> None:
        """With `required` no others are taken; with `automatic` others are kept by the hash that clients send."""
        self._trusted = {id_: one.text for one in trusted for id_ in (one.id, SHA256 + hash_of(one.text))}
        self._texts = frozenset(self._trusted.values())
        self._required = required
        self._automatic = automatic and not required
        self._kept: OrderedDict[str, str] = OrderedDict()  # by hash; what was asked for last stands last
        self._characters = 0  # of these

    def is_trusted(self, text: str) -> bool:
        """Whether it is, character by character, a trusted document."""
        return text in self._texts

    def check(self, text: str) -> None:
        """Raises UntrustedDocument where only trusted documents are taken."""
        if self._required and not self.is_trusted(text):
            raise UntrustedDocument("Only trusted documents are taken here; ask for one by its 'documentId'")

    def text(self, asked: Parameters) -> str:
        """The text of the document that a request asks for.

        Raises DocumentNotFound, PersistedQueryNotFound, PersistedQueryNotSupported; BadRequest, where a text and a hash
        are given, and do not belong together.
        """
        match asked:
            case Parameters(document_id=str(id_)):
                return self._by_id(id_)
            case Parameters(query=str(text), sha256=str(sha256)) if hash_of(text) != sha256:
                raise BadRequest("'sha256Hash' is not the SHA-256 of 'query', in lower-case hex")
            case Parameters(query=str(text)):
                return text
            case Parameters(sha256=str(sha256)):
                return self._by_hash(sha256)
        raise ValueError("the request names no document")

    def keep(self, asked: Parameters) -> None:
        """Keep a document that came with its hash, and is known to be good."""
        text, sha256 = asked.query, asked.sha256
        if not self._automatic or text is None or sha256 is None or sha256 in self._kept:
            return
        self._kept[sha256] = text
        self._characters += len(text)
        while self._characters > MOST_KEPT:
            _, oldest = self._kept.popitem(last=False)
            self._characters -= len(oldest)

    def _by_id(self, id_: str) -> str:
        if text := self._trusted.get(id_):
            return text
        if not self._trusted:
            raise DocumentNotFound("No documents are known by an id here; send the text of yours in 'query'")
        raise DocumentNotFound("There is no document with this 'documentId'")

    def _by_hash(self, sha256: str) -> str:
        """Clients with a manifest of Apollo's send the id that it has, whether that is a hash or not."""
        if text := self._trusted.get(SHA256 + sha256) or self._trusted.get(sha256):
            return text
        if not self._automatic:
            raise PersistedQueryNotSupported
        if sha256 not in self._kept:
            raise PersistedQueryNotFound
        self._kept.move_to_end(sha256)
        return self._kept[sha256]
