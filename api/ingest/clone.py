"""Git repositories behind URLs: a shallow bare clone on disk, into which what is new is fetched.

All goes through `api.ingest.web`, with its list of hosts and its checks of addresses.
"""

from __future__ import annotations

import fcntl
import io
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from shutil import rmtree
from typing import Any

from dulwich.client import AbstractHttpGitClient
from dulwich.errors import GitProtocolError
from dulwich.objects import ObjectID
from dulwich.refs import HEADREF, Ref
from dulwich.repo import Repo

from api.ingest.errors import SourceError
from api.ingest.web import Answer, Host, Place, Web, shown

# What one request of a fetch may take.
_MAX_BYTES = 1_000_000_000
_SECONDS = 600

# Each fetch leaves a pack; a clone of more is made anew.
_MAX_PACKS = 50

# The one branch of a clone: what was read last, from which the server can tell what is new.
_READ = Ref(b"refs/heads/read")


def fetched(url: str, ref: Ref, folder: Path, hosts: Iterable[Host], opened: ExitStack) -> tuple[Repo, ObjectID]:
    """The clone in `folder`, and the commit that `ref` is at behind the URL now.

    The clone is closed with `opened`, and until then nobody else reads or writes it. Raises SourceError.
    """
    place = shown(url)
    wanted: list[ObjectID] = []

    def wants(refs: Mapping[Ref, ObjectID], depth: int | None = None) -> list[ObjectID]:  # noqa: ARG001 - dulwich's
        if ref not in refs:
            raise SourceError(f"{place}: it has no {_name(ref)}")
        wanted.append(refs[ref])
        return [] if refs[ref] in repository.object_store else [refs[ref]]

    with in_words(f"{place}: it cannot be fetched"):
        opened.enter_context(_alone(folder))
        repository = opened.enter_context(closing(_clone(folder)))
        web = opened.enter_context(Web(hosts))
        _Client(web, url).fetch("", repository, determine_wants=wants, depth=1)
        repository.refs[_READ] = wanted[0]
    return repository, wanted[0]


@contextmanager
def in_words(message: str) -> Iterator[None]:
    """Turn what goes wrong with a repository into a SourceError."""
    try:
        yield
    except SourceError:
        raise
    except Exception as error:  # dulwich raises whatever damaged data lead it to
        reason = f": {error}" if isinstance(error, GitProtocolError | OSError) else ""
        raise SourceError(message + reason) from error


class _Client(AbstractHttpGitClient):
    """Git's smart protocol over pages of the web."""

    def __init__(self, web: Web, url: str) -> None:
        super().__init__(Place.of(url).url)
        self._web = web

    def _http_request(
        self,
        url: str,
        headers: dict[str, str] | None = None,
        data: bytes | Iterator[bytes] | None = None,
        raise_for_status: bool = True,  # noqa: FBT001, FBT002 - dulwich's
    ) -> tuple[Any, Callable[[int], bytes]]:
        """As dulwich has it. Raises WebError, also for an answer that is not of git's smart protocol."""
        content = data if data is None or isinstance(data, bytes) else b"".join(data)
        answer = self._web.open(
            "GET" if content is None else "POST",
            url,
            headers={**(headers or {}), **_basic(self._web.host(Place.of(url)))},
            content=content,
            most=_MAX_BYTES,
            within=_SECONDS,
        )
        response = _Response(answer, url)
        if "/info/refs" in url and not response.content_type.startswith("application/x-git-"):
            answer.close()
            raise SourceError(f"{shown(url)}: no git repository answers there")
        return response, io.BufferedReader(_Body(answer.chunks)).read


class _Response:
    """What dulwich wants to know of an answer."""

    def __init__(self, answer: Answer, url: str) -> None:
        self.content_type = answer.headers.get("content-type", "")
        self.redirect_location = answer.url if answer.url != Place.of(url).url else ""
        self.close = answer.close


class _Body(io.RawIOBase):
    """Chunks as a file, so that they can be read in other pieces."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest and (chunk := next(self._chunks, None)) is not None:
            self._rest = chunk
        length = min(len(buffer), len(self._rest))
        buffer[:length] = self._rest[:length]
        self._rest = self._rest[length:]
        return length


def _clone(folder: Path) -> Repo:
    """The clone that is there; a new one in place of none, of a damaged one, and of one in too many pieces."""
    try:
        repository = Repo(str(folder))
        if repository.object_store.count_pack_files() <= _MAX_PACKS:
            return repository
        repository.close()
    except Exception:  # noqa: BLE001, S110 - whatever is wrong with it, it is made anew
        pass
    rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return Repo.init_bare(str(folder))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Raises SourceError while another process has the clone, which another catalog may have asked for."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SourceError(f"{folder}: another process reads this clone") from error
        yield


def _basic(host: Host) -> dict[str, str]:
    """Git hosts take a token as a password; its user's name matters to few, and `user:password` gives one."""
    if host.token is None:
        return {}
    token = host.token.get_secret_value()
    user = token if ":" in token else f"x-access-token:{token}"
    return {"Authorization": f"Basic {b64encode(user.encode()).decode()}"}


def _name(ref: Ref) -> str:
    return "commit" if ref == HEADREF else f"branch {ref.decode().removeprefix('refs/heads/')}"
