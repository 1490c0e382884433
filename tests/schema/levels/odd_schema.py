"""The roots of the odd schema: its queries, mutations and subscriptions."""

from collections.abc import AsyncGenerator
from decimal import Decimal
from typing import Any

import strawberry
from strawberry.schema.config import StrawberryConfig

from tests.schema.levels.chance import Thing
from tests.schema.levels.oddities import (
    Api,
    Asked,
    Choice,
    Circle,
    Component,
    ComponentOrApi,
    Info,
    Life,
    Money,
    Node,
    Shape,
    Square,
    Tribe,
    Wish,
    component_or_api,
    node_of,
    turns,
)
from tests.schema.levels.values import Drawers

DRAWERS: Drawers = {
    "first": lambda random: random.randrange(4),
    "keys": lambda random: [random.randrange(40) for _ in range(random.randrange(4))],
    # It takes one of them; it says so to itself only, and refuses the last when it is run.
    "Choice": lambda random: random.choice([{"byNumber": 1}, {"byWords": ["a"]}, {"byWords": []}, {"byNumber": None}]),
    "Money": lambda random: random.choice(["1.50", "0", "-2"]),
    "__Type.fields.includeDeprecated": lambda random: random.random() < 0.5,
    "Query.__type.name": lambda random: random.choice(["Component", "Shape", "Life", "Wish", "Nothing"]),
}


def _root(info: Info, name: str, *arguments: Any) -> Thing:
    info.context.play.calls[f"{name} {arguments}"] += 1
    return Thing(info.context.play, info.context.play.draw(10**6, name, arguments))


@strawberry.type
class Query:
    @strawberry.field
    def nodes(self, info: Info, first: int = 3) -> list[Node]:
        thing = _root(info, "nodes", first)
        return [node_of(thing.other(place)) for place in range(max(first, 0))]

    @strawberry.field
    def maybe_nodes(self, info: Info) -> list[Node | None] | None:
        return _root(info, "maybe_nodes").several("maybe nodes", node_of, null=8, error=5)

    @strawberry.field
    async def components(self, info: Info) -> list[Component] | None:
        thing = _root(info, "components")
        await turns(1)
        return [Component(thing=thing.other(place)) for place in range(3)]

    @strawberry.field
    def component(self, info: Info, number: int = 1) -> Component | None:
        return Component(thing=_root(info, "component", number)) if number >= 0 else None

    @strawberry.field
    async def either(self, info: Info, life: Life = Life.PROD) -> ComponentOrApi | None:
        return component_or_api(_root(info, "either", life))  # type: ignore[no-any-return]

    @strawberry.field
    async def tribe(self, info: Info, name: str = "players", key: strawberry.ID | None = None) -> Tribe | None:
        return Tribe(thing=_root(info, "tribe", name, key))

    @strawberry.field
    def shape(self, info: Info) -> Shape | None:
        return _root(info, "shape").gives("shape", lambda _: None, error=9)  # type: ignore[no-any-return]

    @strawberry.field
    def echo(
        self, info: Info, wish: Wish, choice: Choice | None = None, ids: list[strawberry.ID] | None = None
    ) -> str | None:
        return repr((_root(info, "echo").number, wish, choice, ids))

    @strawberry.field
    def money(self, info: Info, amounts: list[Money] | None = None, rate: float = 1) -> list[Money | None]:
        _root(info, "money", amounts, rate)
        return [Money(amount * int(rate)) for amount in amounts or []]

    @strawberry.field
    async def strict(self, info: Info) -> str:
        return _root(info, "strict").gives("strict", lambda _: "s", null=8, error=8)  # type: ignore[no-any-return]


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def add(self, info: Info, number: int) -> Component | None:
        thing = await _effect(info, "add", number)
        return thing.gives("add", lambda thing: Component(thing=thing), null=10, error=15)  # type: ignore[no-any-return]

    @strawberry.mutation
    def remove(self, info: Info, number: int = 1) -> Api:
        info.context.play.effects.append(("remove", number, info.path.key))
        return Api(thing=_root(info, "remove", number))

    @strawberry.mutation
    async def strike(self, info: Info, wish: Wish | None = None) -> Node:
        thing = await _effect(info, "strike", wish)
        return thing.gives("strike", node_of, null=10, error=15)  # type: ignore[no-any-return]


async def _effect(info: Info, name: str, argument: Any) -> Thing:
    effects, key = info.context.play.effects, info.path.key
    effects.append((name, argument, key, "begins"))
    await turns(3)
    effects.append((name, argument, key, "ends"))
    return _root(info, name, argument)


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def components(self, info: Info, to: int = 3) -> AsyncGenerator[Component | None, None]:
        thing = _root(info, "components", to)
        for place in range(max(to, 0)):
            await turns(1)
            yield thing.gives(f"event {place}", lambda thing: Component(thing=thing), null=9)

    @strawberry.subscription
    async def strict(self, info: Info, wish: Wish | None = None) -> AsyncGenerator[Node, None]:
        thing = _root(info, "strict", wish)
        for place in range(3):
            yield thing.gives(f"event {place}", node_of, null=9)

    @strawberry.subscription
    async def numbers(self, info: Info) -> AsyncGenerator[list[int | None], None]:
        thing = _root(info, "numbers")
        if thing.draw(3, "refuses") == 0:
            raise ValueError("no numbers today")
        yield [1, None]
        yield thing.gives("second event", lambda thing: [thing.number], wrong=["text"])
        yield ["bad"]  # type: ignore[list-item]
        if thing.draw(3, "breaks") == 0:
            raise ValueError("no more numbers")

    @strawberry.subscription
    async def nothing(self, info: Info) -> AsyncGenerator[int, None]:
        if _root(info, "nothing").draw(2, "refuses"):
            raise ValueError("no stream")
        return 3  # type: ignore[return-value]


def odd_schema() -> strawberry.Schema:
    """The schema; objects of it are attributes, or a dict's items."""
    return strawberry.Schema(
        Query,
        Mutation,
        Subscription,
        types=[Circle, Square],
        config=StrawberryConfig(
            default_resolver=lambda source, name: source[name] if isinstance(source, dict) else getattr(source, name),
            scalar_map={Money: strawberry.scalar(name="Money", serialize=_written_money, parse_value=Decimal)},
        ),
    )


def _written_money(value: Decimal) -> str | None:
    if value < 0:
        raise ValueError(f"{value} is a debt")
    return str(value) if value else None  # a scalar that gives null is an error, too


__all__ = ["DRAWERS", "Asked", "odd_schema"]
