"""Root fields that do something other than read rows: follow what changes, or write.

    entity_changes: AsyncIterator[EntityEvent] = stream(_entity_changes, "Entities as they come and go.")

The function gets the context, and its keyword-only parameters are the field's arguments, as in `schema.levels.edge`: a
dataclass of `db.rules` is a GraphQL input. What it is given has been checked.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from strawberry.types.field import StrawberryField

from db.rules.scopes import Scope
from schema.access import requires
from schema.inputs import DESCRIPTIONS, arguments_of
from schema.levels import alone
from schema.levels.edge import NONE, Descriptions, argument, keywords_of


def call(function: Callable[..., Awaitable[Any]], description: str, *, arguments: Descriptions = NONE) -> Any:
    """A field of the query root: `function` gives its value."""
    return CallField(function, description, arguments=arguments)


def stream(function: Callable[..., AsyncIterator[Any]], description: str, *, arguments: Descriptions = NONE) -> Any:
    """A field of the subscription root: `function` gives its events."""
    return CallField(function, description, arguments=arguments, is_subscription=True)


def write(function: Callable[..., Awaitable[Any]], description: str, *, scope: Scope, or_owner: bool = False) -> Any:
    """A field of the mutation root: `function` does what `input` says, and gives the payload.

    Callers need the scope; with `or_owner` those without are let in, and `function` has to ask `Context.may`.
    """
    field = CallField(function, description, arguments={"input": "What to do."})
    return requires(scope, field, or_owner=or_owner)


class CallField(StrawberryField):
    """A field that a function of the context answers."""

    def __init__(
        self, function: Callable[..., Any], description: str, *, arguments: Descriptions, is_subscription: bool = False
    ) -> None:
        super().__init__(description=description, is_subscription=is_subscription)
        self.init = self.repr = self.compare = False
        self._function = function
        self._hints, named = keywords_of(function)
        descriptions = {**DESCRIPTIONS, **arguments}
        self.arguments = [argument(name, hint, named[name], descriptions[name]) for name, hint in self._hints.items()]

    @property
    def is_basic_field(self) -> bool:
        """It is no attribute of its parent."""
        return False

    def get_result(self, source: Any, info: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """What the function gives. Raises `BadUserInput`."""
        return self._function(info.context, **arguments_of(self._hints, alone.arguments(info), kind=None))
