"""How much each caller may ask for in an hour, wherever its requests arrive.

A process counts what callers spend, and decides by its own count, without asking anybody. About once a second, and at
once when somebody has spent much, it adds what is new to the sums in the database, in one statement, and learns what
was spent at other processes.

So a caller of several processes may get more than the limit: from each one what it lets through before it learns of
the others. That is a twentieth of the limit, and what comes while a statement runs. While the database is away, each
process counts alone.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from time import monotonic

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from api.settings import COST_OF_A_POINT
from db import spending
from db.engine import failure_of
from db.spending import Spent, Total
from schema.caller import Caller
from schema.errors import RateLimited

HOUR = 3600.0  # seconds

MOST_KEPT = 50_000  # callers, of whom a process knows what they have spent: 15 MB
_LONGEST_NAME = 200  # characters; a longer one is kept as its digest

_EVERY = 1.0  # seconds between two statements
_MUCH = 20  # who has spent this part of the limit since the last statement makes the next one due
_PATIENCE = 5.0  # seconds for a statement
_FORGET_EVERY = 600.0  # seconds

_log = structlog.get_logger("catalograph.rate")

# Adds to the sums of all processes, as `db.spending.add` does.
Add = Callable[[Sequence[Spent]], Awaitable[Mapping[str, Total]]]


@dataclass(slots=True)
class _Hour:
    """An hour of one caller, as far as this process knows."""

    began: float  # by the clock
    spent: int = 0  # points
    untold: int = 0  # of these, those that no other process can know of

    @property
    def ends(self) -> float:
        return self.began + HOUR


class RateLimit:
    """The points that each caller has in an hour, which begins with its first operation.

    `limit` 0 is none. `clock` gives seconds from any start.
    """

    def __init__(self, limit: int, *, clock: Callable[[], float] = monotonic) -> None:
        self.limit = limit
        self._clock = clock
        self._hours: OrderedDict[str, _Hour] = OrderedDict()  # by identity; who asked last stands at the end
        self._untold: dict[str, _Hour] = {}  # those with points that are untold
        self.due = asyncio.Event()  # set when `settle` should not wait

    def admit(self, caller: Caller, cost: int) -> None:
        """Charge the caller for an operation. Raises RateLimited if its hour has too little left; that is free."""
        if not self.limit:
            return
        points = max(1, -(-cost // COST_OF_A_POINT))
        identity = _name(caller)
        hour = self._hour(identity)
        if hour.spent + points > self.limit:
            raise self._refusal(hour, points)
        hour.spent += points
        hour.untold += points
        self._untold[identity] = hour
        if hour.untold * _MUCH >= self.limit:
            self.due.set()

    def headers(self, caller: Caller) -> Sequence[tuple[bytes, bytes]]:
        """What the caller has left, as headers (draft-ietf-httpapi-ratelimit-headers-10)."""
        hour = self._hours.get(_name(caller)) if self.limit else None
        if hour is None:
            return ()
        return [(name.encode(), value.encode()) for name, value in self._standing(hour).items()]

    async def settle(self, add: Add) -> None:
        """Tell what was spent since the last time, and learn what was spent elsewhere; one call at a time.

        Raises what `add` does. Then all is told the next time; what `add` did all the same counts twice.
        """
        self.due.clear()
        now = self._clock()
        telling = {
            identity: hour
            for identity, hour in self._untold.items()
            if hour.ends > now and self._hours.get(identity) is hour
        }
        self._untold = {}
        spent = [Spent(identity, now - hour.began, hour.untold) for identity, hour in telling.items()]
        if not spent:
            return
        for hour in telling.values():
            hour.untold = 0
        try:
            totals = await add(spent)
        except BaseException:
            for identity, _, points in spent:
                telling[identity].untold += points
                self._untold.setdefault(identity, telling[identity])
            raise
        now = self._clock()
        for identity, total in totals.items():
            hour = telling[identity]
            hour.spent = total.points + hour.untold
            hour.began = now + total.left - HOUR

    def _hour(self, identity: str) -> _Hour:
        """The hour that the caller is in, or that begins now."""
        now = self._clock()
        hour = self._hours.get(identity)
        if hour is None or hour.ends <= now:
            hour = self._hours[identity] = _Hour(began=now)
            self._hours.move_to_end(identity)
            self._make_room(now)
        else:
            self._hours.move_to_end(identity)
        return hour

    def _make_room(self, now: float) -> None:
        """Forget who has been quiet until their hour ended, and the quietest when there are too many.

        Two at most for one that comes: that is enough to keep up.
        """
        for _ in range(2):
            identity, hour = next(iter(self._hours.items()))
            if hour.ends > now and len(self._hours) <= MOST_KEPT:
                return
            del self._hours[identity]

    def _refusal(self, hour: _Hour, points: int) -> RateLimited:
        seconds = math.ceil(hour.ends - self._clock())
        return RateLimited(
            f"This operation takes {points} of the caller's points, and of {self.limit} an hour {self._left(hour)} are "
            f"left; the next hour begins in {seconds} seconds",
            retry_after=seconds,
            standing=self._standing(hour),
        )

    def _standing(self, hour: _Hour) -> dict[str, str]:
        seconds = max(0, math.ceil(hour.ends - self._clock()))
        return {
            "ratelimit-policy": f'"hour";q={self.limit};w={HOUR:.0f}',
            "ratelimit": f'"hour";r={self._left(hour)};t={seconds}',
        }

    def _left(self, hour: _Hour) -> int:
        return max(0, self.limit - hour.spent)


async def share(rate: RateLimit, engine: AsyncEngine) -> None:
    """Settle again and again until cancelled, and once more then; keep the table small meanwhile.

    Without a limit there is nothing to do.
    """
    if not rate.limit:
        return
    settling = _Settling(rate, engine)
    try:
        while True:
            await settling.round()
    finally:
        await settling.settle()


class _Settling:
    """Settles with the database, which may be away."""

    def __init__(self, rate: RateLimit, engine: AsyncEngine) -> None:
        self._rate = rate
        self._engine = engine
        self._alone = False
        self._tidied = -math.inf

    async def round(self) -> None:
        """Wait until it is time, and settle; a failure is waited out."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_EVERY):
                await self._rate.due.wait()
        await self.settle()
        if self._alone:
            await asyncio.sleep(_EVERY)

    async def settle(self) -> None:
        """Settle once. That the database cannot do it is logged once, and so is that it can again."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._rate.settle(partial(spending.add, self._engine))
                await self._tidy()
        except Exception as error:  # noqa: BLE001 - whatever it is, callers are counted, and the next time may be better
            if not self._alone:
                unexpected = error if failure_of(error) is None and not isinstance(error, TimeoutError) else None
                _log.warning("callers are counted by this process alone", reason=str(error), exc_info=unexpected)
            self._alone = True
        else:
            if self._alone:
                _log.info("callers are counted by all processes again")
            self._alone = False

    async def _tidy(self) -> None:
        now = monotonic()
        if now - self._tidied >= _FORGET_EVERY:
            await spending.forget(self._engine)
            self._tidied = now


def _name(caller: Caller) -> str:
    """The caller's identity, as a text that Postgres can keep in an index."""
    identity = caller.identity
    if len(identity) <= _LONGEST_NAME and identity.isprintable():
        return identity
    return sha256(identity.encode(errors="surrogatepass")).hexdigest()
