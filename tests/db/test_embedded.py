"""The embedded Postgres on the real thing: processes are started, shared and killed, and counted by their pids."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg
import pytest

from db import embedded
from db.embedded import EmbeddedPostgresError, running

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc"),
]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

CLIENT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from db.embedded import EmbeddedPostgresError, running
try:
    with running(Path(sys.argv[2]), bin_dir=Path(sys.argv[3]) if sys.argv[3:] else None, fsync=False) as server:
        print(server.dsn, flush=True)
        sys.stdin.read()
except EmbeddedPostgresError as error:
    print(error)
"""
ROOT = Path(embedded.__file__).parents[1]


@pytest.fixture
def empty_dir() -> Iterator[Path]:
    """A directory that every user can reach; pytest's own is closed to Postgres when root runs the tests."""
    with reachable_directory() as directory:
        yield directory


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    """A data directory that the tests use one after the other, which saves each of them the first start."""
    with reachable_directory() as directory:
        yield directory


@contextmanager
def reachable_directory() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="embedded-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@contextmanager
def client(
    data_dir: Path,
    *,
    python: str = sys.executable,
    source: Path = ROOT,
    bin_dir: Path | None = None,
    user: pwd.struct_passwd | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """Another process that uses the Postgres of `data_dir` until its input ends."""
    with subprocess.Popen(
        [python, "-c", CLIENT, source, data_dir, *filter(None, [bin_dir])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        cwd="/",
        user=user.pw_uid if user else None,
        group=user.pw_gid if user else None,
        extra_groups=[] if user else None,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def stranger(user: int) -> Iterator[subprocess.Popen[bytes]]:
    """A process of that user that has nothing to do with Postgres."""
    with subprocess.Popen(["sleep", "60"], user=user) as process:
        yield process
        process.kill()


@contextmanager
def without_privilege() -> Iterator[None]:
    """As a normal user, whom permissions keep out."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(pwd.getpwnam("nobody").pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)


def first_line(process: subprocess.Popen[str]) -> str:
    """What a client says when Postgres answers: the DSN."""
    assert process.stdout
    return process.stdout.readline().rstrip("\n")


async def value_of(dsn: str, sql: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def wait_for_value(dsn: str, sql: str, wanted: object) -> None:
    """Return when Postgres answers (again), and answers that."""
    answer: object = None
    deadline = time.monotonic() + 15
    while answer != wanted:
        assert time.monotonic() < deadline, f"15 seconds long: {answer!r}"
        try:
            answer = await value_of(dsn, sql)
        except (OSError, asyncpg.PostgresError) as error:
            answer = error
            await asyncio.sleep(0.02)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within 15 seconds"
        time.sleep(0.02)


def parent_and_state(pid: int) -> tuple[int, str]:
    state, parent = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split()[:2]
    return int(parent), state


def lives(pid: int) -> bool:
    try:
        return parent_and_state(pid)[1] != "Z"  # whoever adopts orphans may be slow to bury them
    except (FileNotFoundError, ProcessLookupError):
        return False


def postmaster_of(home: Path) -> int:
    return int((home / "data" / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])


def guard_of(home: Path) -> int:
    return parent_and_state(postmaster_of(home))[0]


def all_processes(home: Path) -> list[int]:
    """The guard, the postmaster and its children."""
    postmaster = postmaster_of(home)
    found = [guard_of(home), postmaster]
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if parent_and_state(int(entry.name))[0] == postmaster:
                found.append(int(entry.name))
    assert len(found) > 4
    return found


def uids(pid: int) -> set[int]:
    """Real, effective, saved and file system user id; of a process that has just ended, none."""
    with suppress(FileNotFoundError, ProcessLookupError):
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        return {int(uid) for line in status.split("\n") if line.startswith("Uid:") for uid in line.split()[1:]}
    return set()


def home_in(data_dir: Path) -> Path:
    return next(data_dir.glob("postgres-*"))


async def commit(dsn: str, word: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE TABLE IF NOT EXISTS memory (word text)")
    await connection.execute("INSERT INTO memory VALUES ($1)", word)
    await connection.close()


def committed(word: str) -> str:
    return f"SELECT count(*) FROM memory WHERE word = '{word}'"


async def test_data_survives_from_the_first_start_to_a_later_one(data_dir: Path) -> None:
    for fsync in (False, True):
        with running(data_dir, fsync=fsync) as server:
            await commit(server.dsn, "kept")
            assert await value_of(server.dsn, "SHOW fsync") == ("on" if fsync else "off")
    with running(data_dir) as server:
        assert await value_of(server.dsn, committed("kept")) == 2
        assert (
            await value_of(server.dsn, "SELECT current_database() || ' ' || current_user") == "catalograph catalograph"
        )
        assert await value_of(server.dsn, "SHOW server_encoding") == "UTF8"
        assert await value_of(server.dsn, "SHOW listen_addresses") == ""


async def test_the_end_of_the_last_block_leaves_no_process_and_no_socket(data_dir: Path) -> None:
    with running(data_dir, fsync=False) as server:
        processes = all_processes(server.home)
        assert lives(guard_of(server.home))
        assert lives(postmaster_of(server.home))  # its children come and go
        assert server.home.stat().st_mode & 0o777 == 0o700
    assert [pid for pid in processes if lives(pid)] == []
    assert not server.socket.exists()
    assert sorted(path.name for path in server.home.iterdir()) == ["data", "guard", "lease", "postgres.log"]


@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt])
async def test_it_has_stopped_too_when_the_block_ends_as_a_server_does(
    data_dir: Path, end: type[BaseException]
) -> None:
    processes: list[int] = []

    def serve() -> None:
        with running(data_dir, fsync=False) as server:
            processes.extend(all_processes(server.home))
            raise end

    with pytest.raises(end):
        serve()
    assert len(processes) > 1
    assert [pid for pid in processes if lives(pid)] == []


async def test_two_processes_share_one_postgres_and_the_first_may_leave(data_dir: Path) -> None:
    with client(data_dir) as other:
        dsn = first_line(other)
        postmaster = postmaster_of(home_in(data_dir))
        with running(data_dir) as server:
            assert server.dsn == dsn
            output, _ = other.communicate("", timeout=10)  # its output ends with it: nobody else keeps it open
            assert (output, other.returncode) == ("", 0)
            assert await value_of(server.dsn, "SELECT 1") == 1
            assert postmaster_of(server.home) == postmaster
    assert not lives(postmaster)


async def test_four_first_starts_at_once_make_one_postgres(empty_dir: Path) -> None:
    with client(empty_dir) as one, client(empty_dir) as two, client(empty_dir) as three, client(empty_dir) as four:
        answers = [first_line(process) for process in (one, two, three, four)]
        starts = {await value_of(dsn, "SELECT pg_postmaster_start_time()") for dsn in answers}
        processes = all_processes(home_in(empty_dir))
    assert len(starts) == 1
    wait_until(lambda: not any(map(lives, processes)))
    assert list(home_in(empty_dir).glob("initdb-*")) == []


async def test_kill_9_of_the_only_client_stops_postgres(data_dir: Path) -> None:
    with client(data_dir) as other:
        assert first_line(other).startswith("postgresql://")
        processes = all_processes(home_in(data_dir))
        said_before = (home_in(data_dir) / "postgres.log").stat().st_size
        other.kill()
        wait_until(lambda: not any(map(lives, processes)))
    said = (home_in(data_dir) / "postgres.log").read_bytes()[said_before:].decode()
    assert said.endswith("LOG:  database system is shut down\n"), "orderly, nothing to recover"


async def test_kill_9_of_one_client_does_not_disturb_the_other(data_dir: Path) -> None:
    with client(data_dir) as other:
        first_line(other)
        with running(data_dir) as server:
            connection = await asyncpg.connect(server.dsn)
            other.kill()
            other.wait()
            await asyncio.sleep(0.5)  # more than two looks of the guard at the lease
            assert await connection.fetchval("SELECT 1") == 1
            await connection.close()


async def test_what_ends_the_starter_s_terminal_and_sigterm_do_not_reach_postgres(data_dir: Path) -> None:
    with client(data_dir) as other:
        first_line(other)
        with running(data_dir) as server:
            postmaster = postmaster_of(server.home)
            connection = await asyncpg.connect(server.dsn)
            os.killpg(other.pid, signal.SIGKILL)
            other.wait()
            os.kill(guard_of(server.home), signal.SIGTERM)
            await asyncio.sleep(0.5)  # more than two looks of the guard at its signals and locks
            assert await connection.fetchval("SELECT 1") == 1
            assert postmaster_of(server.home) == postmaster
            await connection.close()


@pytest.mark.parametrize("victims", ["postmaster", "guard", "guard and postmaster"])
async def test_a_server_recovers_by_itself_from_kill_9_of(victims: str, data_dir: Path) -> None:
    with running(data_dir, fsync=False) as server:
        await commit(server.dsn, f"before the kill of {victims}")
        before = all_processes(server.home)
        targets = {"guard": guard_of(server.home), "postmaster": postmaster_of(server.home)}
        for name in victims.split(" and "):
            os.kill(targets[name], signal.SIGKILL)
        wait_until(lambda: not any(map(lives, before)))
        await wait_for_value(server.dsn, committed(f"before the kill of {victims}"), 1)
        after = all_processes(server.home)
    assert set(before).isdisjoint(after)
    assert [pid for pid in after if lives(pid)] == []


async def test_a_busy_child_of_a_killed_postgres_does_not_hold_up_the_recovery(data_dir: Path) -> None:
    with running(data_dir, fsync=False) as server:
        connection = await asyncpg.connect(server.dsn)
        busy = connection.get_server_pid()
        endless = asyncio.create_task(connection.execute("SELECT count(*) FROM generate_series(1, 1e15) n"))
        await wait_for_value(server.dsn, f"SELECT state FROM pg_stat_activity WHERE pid = {busy}", "active")
        os.kill(postmaster_of(server.home), signal.SIGKILL)
        wait_until(lambda: not lives(busy))
        await wait_for_value(server.dsn, "SELECT 1", 1)
        with pytest.raises(asyncpg.PostgresConnectionError):
            await endless


@pytest.mark.parametrize("and_what", ["nothing else", "postmaster"])
async def test_kill_9_of_client_and_guard_loses_nothing_and_leaves_nothing(and_what: str, data_dir: Path) -> None:
    word = f"before the kill of client, guard and {and_what}"
    with client(data_dir) as other:
        dsn = first_line(other)
        home = home_in(data_dir)
        await commit(dsn, word)
        processes = all_processes(home)
        for pid in (other.pid, guard_of(home), *([postmaster_of(home)] if and_what == "postmaster" else [])):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(map(lives, processes)))
    with running(data_dir, fsync=False) as server:
        assert await value_of(server.dsn, committed(word)) == 1
        processes = all_processes(home)
    assert [pid for pid in processes if lives(pid)] == []


@pytest.mark.parametrize("content", ["{pid}\n", "", "x"])
async def test_a_stale_pid_file_that_names_a_stranger_does_not_stop_the_start(content: str, data_dir: Path) -> None:
    with running(data_dir, fsync=False) as server:
        user = server.data.stat().st_uid
    with stranger(user) as alive:
        for lock in (server.data / "postmaster.pid", server.home / ".s.PGSQL.5432.lock"):
            lock.write_text(content.format(pid=alive.pid), encoding="utf-8")
            os.chown(lock, user, -1)
        with running(data_dir, fsync=False) as server:
            assert await value_of(server.dsn, "SELECT 1") == 1
        assert alive.poll() is None


async def test_remains_of_an_interrupted_first_start_are_cleared(empty_dir: Path) -> None:
    home = embedded._server(empty_dir, embedded._wheel_bin_dir(), fsync=False).home
    remains = home / "initdb-1"
    remains.mkdir()
    os.chown(remains, home.stat().st_uid, -1)
    with running(empty_dir, fsync=False) as server:
        assert await value_of(server.dsn, "SELECT 1") == 1
        assert not remains.exists()


@pytest.mark.parametrize("name", ["x" * 120, "with, comma", "with space + 100% ünicode?&#"])
async def test_any_directory_name_will_do(name: str, empty_dir: Path) -> None:
    with running(empty_dir / name, fsync=False) as server:
        assert await value_of(server.dsn, "SELECT 1") == 1
        assert len(os.fsencode(server.socket)) <= 100
        assert server.socket_dir.stat().st_mode & 0o777 == 0o700
        assert (server.socket_dir == server.home) is name.startswith("with space")
        with client(empty_dir / name) as other:
            assert first_line(other) == server.dsn
    wait_until(lambda: not server.socket.exists())
    assert server.socket_dir == server.home or not server.socket_dir.exists()


async def test_a_port_in_the_environment_means_nothing(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "6000")
    monkeypatch.setenv("PGDATA", "/nowhere")
    with running(data_dir, fsync=False) as server:
        assert await value_of(server.dsn, "SELECT 1") == 1


@as_root
async def test_a_normal_user_runs_it_too(empty_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = next(filter(None, map(shutil.which, ("/usr/bin/python3", "/usr/local/bin/python3"))), None)
    if python is None:
        pytest.skip("no Python that all users can run")
    user = next(user for user in pwd.getpwall() if user.pw_uid not in {0, pwd.getpwnam("nobody").pw_uid})
    shutil.copytree(ROOT / "db", empty_dir / "source" / "db", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(embedded, "_CACHE", empty_dir / "cache")
    bin_dir = embedded._copied(embedded._wheel_bin_dir())
    data_dir = empty_dir / "data"
    data_dir.mkdir()
    os.chown(data_dir, user.pw_uid, user.pw_gid)
    with client(data_dir, python=python, source=empty_dir / "source", bin_dir=bin_dir, user=user) as other:
        assert await value_of(first_line(other), "SELECT 1") == 1
        processes = all_processes(home_in(data_dir))
        assert set().union(*map(uids, processes)) == {user.pw_uid}
        other.communicate("")
    assert [pid for pid in processes if lives(pid)] == []


@as_root
async def test_for_root_nothing_runs_as_root(data_dir: Path) -> None:
    with running(data_dir, fsync=False) as server:
        assert set().union(*map(uids, all_processes(server.home))) == {pwd.getpwnam("nobody").pw_uid}


@as_root
def test_programs_that_nobody_cannot_reach_are_copied_once(empty_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_CACHE", empty_dir / "cache")
    bin_dir = embedded._wheel_bin_dir()
    copy = embedded._copied(bin_dir)
    for program in ("postgres", "initdb"):
        answer = subprocess.run(
            [copy / program, "--version"], user="nobody", group=65534, check=True, capture_output=True
        )
        assert answer.stdout.startswith(program.encode())
    made = copy.stat().st_mtime_ns
    assert embedded._copied(bin_dir).stat().st_mtime_ns == made
    assert len(list((empty_dir / "cache").iterdir())) == 1


@as_root
def test_a_directory_closed_to_nobody_is_an_error_that_says_what_to_do(empty_dir: Path) -> None:
    closed = empty_dir / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(EmbeddedPostgresError) as raised, running(closed / "data"):
        pytest.fail("it started")
    assert f"runs as the user nobody, who cannot reach {closed}/data/postgres-18" in str(raised.value)
    assert "Set CATALOGRAPH_DATA_DIR to a directory that all users can reach" in str(raised.value)


@as_root
def test_data_of_another_user_are_refused_and_not_touched(empty_dir: Path) -> None:
    home = empty_dir / "postgres-18"
    home.mkdir(mode=0o755)
    os.chown(home, 4321, 4321)
    with (
        pytest.raises(EmbeddedPostgresError, match=r"postgres-18 belongs to another user \(4321\)\.\nRun as"),
        running(empty_dir),
    ):
        pytest.fail("it started")
    assert (home.stat().st_uid, home.stat().st_mode & 0o777, list(home.iterdir())) == (4321, 0o755, [])


@as_root
def test_a_full_disk_is_an_error_that_says_so(empty_dir: Path) -> None:
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", empty_dir], check=False).returncode:
        pytest.skip("no mounts here")
    try:
        empty_dir.chmod(0o755)
        with pytest.raises(EmbeddedPostgresError) as raised, running(empty_dir):
            pytest.fail("it started")
    finally:
        subprocess.run(["umount", empty_dir], check=True)
    assert str(raised.value).startswith(
        "Postgres did not start.\nFree space on the disk that holds the data directory."
    )
    assert "No space left on device" in str(raised.value)


def test_data_of_another_major_version_are_not_silently_left_behind(empty_dir: Path) -> None:
    (empty_dir / "postgres-17").mkdir()
    with (
        pytest.raises(
            EmbeddedPostgresError, match=r"holds the data of postgres-17, and the binaries are of postgres-18"
        ),
        running(empty_dir),
    ):
        pytest.fail("it started")
    assert [path.name for path in empty_dir.iterdir()] == ["postgres-17"]


def test_a_place_that_cannot_hold_a_directory_is_an_error(empty_dir: Path) -> None:
    (empty_dir / "file").touch()
    with (
        pytest.raises(
            EmbeddedPostgresError, match=r"file/data cannot be used: Not a directory\.\nSet CATALOGRAPH_DATA"
        ),
        running(empty_dir / "file" / "data"),
    ):
        pytest.fail("it started")


def test_a_platform_without_binaries_is_an_error(empty_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        pytest.raises(
            EmbeddedPostgresError, match=r"postgres does not run here: .*\nSet DATABASE_URL to a Postgres 15"
        ),
        running(empty_dir, bin_dir=empty_dir),
    ):
        pytest.fail("it started")
    monkeypatch.setattr(embedded, "find_spec", lambda _: None)
    with pytest.raises(EmbeddedPostgresError, match=r"no Postgres binaries for this platform"), running(empty_dir):
        pytest.fail("it started")


async def test_a_failing_start_ends_with_the_last_words_of_postgres(data_dir: Path) -> None:
    with running(data_dir, fsync=False) as server:
        assert await value_of(server.dsn, "SELECT 1") == 1
    settings = server.data / "postgresql.conf"
    good = settings.read_text(encoding="utf-8")
    settings.write_text(good + "no_such_setting = 1\n", encoding="utf-8")
    with pytest.raises(EmbeddedPostgresError) as raised, running(data_dir):
        pytest.fail("it started")
    settings.write_text(good, encoding="utf-8")
    assert str(raised.value).startswith(f"Postgres did not start.\nIts log is {server.log}.\n")
    assert 'unrecognized configuration parameter "no_such_setting"' in str(raised.value)
    assert "ready to accept connections" not in str(raised.value), "that was the start before"


def test_the_log_keeps_its_end_when_it_grows_too_long(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"a" * 10_000_000)
    with embedded._opened(log) as descriptor:
        embedded._bound(descriptor)
        assert log.stat().st_size == 10_000_000
        os.write(descriptor, b"last words")
        embedded._bound(descriptor)
        os.write(descriptor, b" and more")
    assert log.read_bytes() == b"a" * 999_990 + b"last words and more"


def test_a_place_that_does_not_open_is_an_error(empty_dir: Path) -> None:
    closed, programs = empty_dir / "closed", empty_dir / "programs"
    closed.mkdir(mode=0o000)
    programs.mkdir()
    (programs / "postgres").write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 18.0'\n")
    for program in (programs, programs / "postgres"):
        program.chmod(0o755)
    with (
        without_privilege(),
        pytest.raises(EmbeddedPostgresError, match=r"closed/data cannot be used: Permission denied\.\nSet CATALOGRAPH"),
        running(closed / "data", bin_dir=programs),
    ):
        pytest.fail("it started")
    closed.chmod(0o700)
