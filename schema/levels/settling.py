"""Waiting for what resolvers return, lists of awaitables and asynchronous iterators included."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from types import NoneType
from typing import Any

from graphql.pyutils import is_awaitable, is_iterable
from graphql.pyutils.is_awaitable import is_async_iterable

from schema.levels.tables import attempt

# None of these is awaitable; most values are of such a type.
_PLAIN = {str, int, float, bool, NoneType, dict, list, tuple}


def listed(value: Any, depth: int) -> Any:
    """`value` with every iterable down to this depth of lists as a list; the error, where iterating fails."""
    if depth == 0 or is_awaitable(value) or not is_iterable(value):
        return value
    items = value if type(value) is list else attempt(list, value)
    if depth == 1 or isinstance(items, Exception):
        return items
    return [listed(item, depth - 1) for item in items]


def must_wait(values: Sequence[Any], depth: int) -> bool:
    """Whether anything in these values, lists down to this depth, has to be awaited."""
    if any(_is_late(value) for value in values if type(value) not in _PLAIN):
        return True
    return depth > 0 and any(must_wait(value, depth - 1) for value in values if type(value) is list)


def _is_late(value: Any) -> bool:
    return is_awaitable(value) or is_async_iterable(value)


def close(values: Sequence[Any]) -> None:
    """End the coroutines among these values, lists included, none of which was begun; Python complains of others."""
    for value in values:
        if type(value) is list:
            close(value)
        elif isinstance(value, Coroutine):
            value.close()


async def settled(values: list[Any], depth: int) -> list[Any]:
    """The values, each awaited, side by side; one that fails is its exception."""
    tasks = {
        at: asyncio.ensure_future(value if is_awaitable(value) and depth == 0 else _settled(value, depth))
        for at, value in enumerate(values)
        if must_wait([value], depth)
    }
    try:
        for at, task in tasks.items():
            try:
                values[at] = await task
            except Exception as error:  # noqa: BLE001 - it becomes the value
                values[at] = error
    finally:
        for task in tasks.values():
            task.cancel()  # only when this was cancelled is one still running
    return values


async def _settled(value: Any, depth: int) -> Any:
    if is_awaitable(value):
        value = await value
    if depth and is_async_iterable(value):
        value = [item async for item in value]
    value = listed(value, depth)
    if type(value) is list and must_wait(value, depth - 1):
        return await settled(value, depth - 1)
    return value
