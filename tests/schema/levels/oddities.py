"""A schema of ordinary resolvers that do everything a resolver can do, right or wrong; chance decides when.

Every way to write a field with Strawberry is here once at least: with and without a resolver, sync and async, with
awaitables and loaders, `info` and `Parent`, permissions and extensions, over objects, dicts and Strawberry types.
"""

import asyncio
import enum
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Annotated, Any, NewType, Optional

import strawberry
from aiodataloader import DataLoader
from graphql import GraphQLError
from strawberry.extensions import FieldExtension
from strawberry.permission import BasePermission, PermissionExtension

from tests.schema.levels.chance import Play, Thing

Money = NewType("Money", Decimal)


class Asked:
    """The context of one execution."""

    def __init__(self, play: Play) -> None:
        self.play = play
        self.tribes = TribeLoader(play)


Info = strawberry.Info[Asked, None]


def odd(
    good: Callable[[Thing], Any], *, null: int = 0, error: int = 0, wrong: Sequence[Any] = (), how: str = "at once"
) -> Any:
    """A field that gives something good unless chance is against it: `at once`, `later`, or as a `promise`."""

    def now(self: Any) -> Any:
        return self.thing.gives(made.python_name, good, null=null, error=error, wrong=wrong)

    async def later(self: Any) -> Any:
        await turns(self.thing.draw(3, made.python_name, "turns"))
        return now(self)

    def promise(self: Any) -> Any:
        return asyncio.ensure_future(later(self)) if self.thing.draw(2, made.python_name, "task") else later(self)

    made: Any = strawberry.field(resolver={"at once": now, "later": later, "promise": promise}[how])
    return made


async def turns(number: int) -> None:
    """Let others go first, so many times."""
    for _ in range(number):
        await asyncio.sleep(0)


@strawberry.enum
class Life(enum.Enum):
    NEW = "experimental"
    PROD = "production"
    OLD = "deprecated"


@strawberry.input
class Wish:
    words: list[str] | None = None
    life: Life | None = None
    lives: list[Life | None] = strawberry.field(default_factory=lambda: [Life.OLD])
    money: Money | None = strawberry.UNSET
    rows: list[list[int | None]] | None = None
    deeper: Optional["Wish"] = None
    perhaps: strawberry.Maybe[str]
    count: int = 3


@strawberry.input(one_of=True)
class Choice:
    by_number: int | None = strawberry.UNSET
    by_words: list[str] | None = strawberry.UNSET


class Allowed(BasePermission):
    message = "not for you"
    error_extensions = {"code": "FORBIDDEN"}  # noqa: RUF012 - so Strawberry wants it

    def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
        source.thing.call("permission", info.field_name, sorted(kwargs))
        return bool(source.thing.draw(10, "allowed", info.field_name) > 2)


class AllowedLater(Allowed):
    async def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:  # type: ignore[override]
        await turns(1)
        return super().has_permission(source, info, **kwargs)


class Louder(FieldExtension):
    """Changes what comes back; it may call the resolver or not."""

    def resolve(self, next_: Callable[..., Any], source: Any, info: strawberry.Info, **kwargs: Any) -> Any:
        source.thing.call("louder", info.field_name)
        if source.thing.draw(8, "louder") == 0:
            raise GraphQLError("too loud", extensions={"code": "LOUD", "by": source.thing.number})
        return _louder(next_(source, info, **kwargs))


class LouderLater(FieldExtension):
    async def resolve_async(
        self, next_: Callable[..., Awaitable[Any]], source: Any, info: strawberry.Info, **kwargs: Any
    ) -> Any:
        found = next_(source, info, **{**kwargs, "times": kwargs["times"] + 1})
        return _louder(await found if hasattr(found, "__await__") else found)


def _louder(text: Any) -> Any:
    return text.upper() if isinstance(text, str) else text


def _about(parent: strawberry.Parent[Any], info: Info, wish: Wish | None = None) -> str:
    """All that a resolver can know of the operation."""
    parent.thing.call("about", wish)
    path: Any = info.path
    steps = []
    while path is not None:
        steps.append((path.key, path.typename))
        path = path.prev
    known = info.field_name, info.python_name, str(info.return_type), info.variable_values, info.root_value
    return repr((steps, known, info.selected_fields, info.operation.operation.value, wish))


def _parent_only(parent: strawberry.Parent[Any]) -> int:
    parent.thing.call("parent_only")
    return int(parent.thing.number % 1000)


def _record(thing: Thing) -> Any:
    return record_of(thing)


def _figure(thing: Thing) -> Any:
    return Figure(thing)


@strawberry.interface
class Node:
    thing: strawberry.Private[Thing]

    id: strawberry.ID = odd(lambda thing: thing.number)
    name: str = odd(lambda thing: f"n{thing.number}", error=1, wrong=[["a list"]])
    nick: str | None = odd(lambda _: 'm"\\\u00e9\n', null=30, error=3, wrong=[7, True, 1.5, {}])
    strict: str = odd(lambda _: "s", null=3, error=2)
    later: str | None = odd(lambda _: "l", null=8, error=8, how="later")
    later_strict: str = odd(lambda _: "ls", null=1, error=2, how="later")
    promised: str | None = odd(lambda _: "p", null=8, error=8, how="promise")
    promised_strict: str = odd(lambda _: "ps", null=1, error=1, how="promise")
    record: Optional["Record"] = odd(_record, null=10, error=4, wrong=["no record"])
    records: list["Record"] = odd(lambda thing: thing.several("records", record_of, null=2))
    shape: Optional["Shape"] = odd(_figure, null=10, error=4, how="later")
    shapes: list[Optional["Shape"]] | None = odd(lambda thing: thing.several("shapes", Figure, null=5, error=3))
    either: Optional["ComponentOrApi"] = odd(lambda thing: node_of(thing.other("either")), null=8, error=3)
    eithers: list[Optional["ComponentOrApi"]] = odd(
        lambda thing: thing.several("eithers", component_or_api, null=5, error=2), error=2, wrong=[(), 3]
    )
    about: str = strawberry.field(resolver=_about)
    parent_only: int | None = strawberry.field(resolver=_parent_only)

    @strawberry.field(permission_classes=[Allowed])
    def guarded(self) -> str | None:
        return self.thing.gives("guarded", lambda _: "g", null=5, error=5)  # type: ignore[no-any-return]

    @strawberry.field(extensions=[PermissionExtension([Allowed()], fail_silently=True)])
    def hushed(self) -> list[str] | None:
        self.thing.call("hushed")
        return ["h"]

    @strawberry.field(permission_classes=[AllowedLater])
    async def guarded_later(self, times: int = 2) -> str:
        self.thing.call("guarded_later", times)
        return "g" * times

    @strawberry.field(extensions=[Louder()])
    def loud(self, times: int = 1) -> str | None:
        return self.thing.gives("loud", lambda _: "l" * times, times, null=5, error=5)  # type: ignore[no-any-return]

    @strawberry.field(extensions=[LouderLater(), LouderLater()])
    async def louder(self, times: int = 1) -> str | None:
        await turns(1)
        return self.thing.gives("louder", lambda _: "l" * times, times, null=5, error=5)  # type: ignore[no-any-return]

    @strawberry.field
    def tribe(self, info: Info) -> Optional["Tribe"]:
        self.thing.call("tribe")
        return info.context.tribes.load(self.thing.draw(40, "tribe"))  # type: ignore[return-value]

    @strawberry.field
    async def tribe_strict(self, info: Info) -> "Tribe":
        self.thing.call("tribe_strict")
        return await info.context.tribes.load(self.thing.draw(40, "tribe_strict"))  # type: ignore[no-any-return]

    @strawberry.field
    def tribes(self, info: Info, keys: list[int] | None = None) -> list[Optional["Tribe"]] | None:
        self.thing.call("tribes", keys)
        wanted = [self.thing.draw(40, "tribes", place) for place in range(3)] if keys is None else keys
        return [info.context.tribes.load(key) for key in wanted]  # type: ignore[misc]

    @strawberry.field
    def related(self, first: int = 3, life: Life | None = None, wish: Wish | None = None) -> list["Node"]:
        arguments = first, life, wish
        return self.thing.gives(  # type: ignore[no-any-return]
            "related",
            lambda thing: thing.several("related", node_of, null=2, error=1)[: first if first > 0 else 3],
            *arguments,
            null=1,
            error=1,
            wrong=["text"],
        )

    @strawberry.field
    async def related_later(self, first: int | None = 2) -> list[Optional["Node"]] | None:
        await turns(2)
        return self.thing.gives(  # type: ignore[no-any-return]
            "related_later", lambda thing: thing.several("related_later", node_of, null=8, error=5), first, error=5
        )


def _broken_off(thing: Thing) -> Iterator[int]:
    for number in range(3):
        if thing.draw(6, "broken off", number) == 0:
            raise ValueError(f"{thing.number} broke off at {number}")
        yield number


async def _stream(thing: Thing) -> AsyncIterator[int | None]:
    for number in range(thing.draw(4, "stream")):
        await turns(thing.draw(2, "stream", number))
        if thing.draw(12, "stream breaks", number) == 0:
            raise ValueError(f"the stream of {thing.number} broke at {number}")
        yield None if thing.draw(10, "stream null", number) == 0 else number


async def _number_later(thing: Thing, place: int) -> int | None:
    await turns(thing.draw(3, place))
    if thing.draw(9, "late", place) == 0:
        raise ValueError(f"{thing.number} failed late at {place}")
    return place if thing.draw(9, "late null", place) else None


@strawberry.type
class Component(Node):
    life: Life = odd(lambda thing: list(Life)[thing.number % 3], error=1, wrong=["no life", "PROD"])
    lives: list[Life | None] | None = odd(lambda thing: [Life.NEW, None, Life.OLD][: thing.number % 4], null=5)
    at: datetime = odd(lambda _: datetime(2026, 1, 1, tzinfo=UTC), error=1, wrong=["2026"])
    cost: Money | None = odd(lambda thing: Decimal(thing.number % 5 - 1), null=8, error=3, wrong=["free"])
    count: int = odd(lambda thing: thing.number % 1000, null=1, wrong=[2**40, True, 3.0, "4"])
    ratio: float | None = odd(lambda thing: thing.number / 7, null=5, wrong=[float("nan"), 3, True, "x"], how="later")
    fine: bool | None = odd(lambda thing: thing.number % 2 == 0, null=5, wrong=["yes", 1, 0.0])
    tags: list[str] = odd(lambda thing: ["a", "b"][: thing.number % 3], null=1, error=1, wrong=["text", {"a": 1}])
    numbers: list[int | None] | None = odd(lambda thing: [1, None, "bad", 4][: thing.number % 5], null=8, error=4)
    grid: list[list[int]] = odd(
        lambda thing: [[1], [], [2, 3]][: thing.number % 4], wrong=[[[1, None]], [None], [[1], 2]]
    )
    holes: list[list[str | None] | None] | None = odd(lambda _: [["x", {}], None, (None,)], null=5, how="later")
    broken_off: list[int] | None = odd(_broken_off)
    stream: list[int | None] | None = odd(_stream)
    late_numbers: list[int | None] = odd(lambda thing: [_number_later(thing, place) for place in range(3)])
    components: list["Component"] | None = odd(
        lambda thing: thing.several("components", lambda one: Component(thing=one), null=4, error=2)
    )
    matrix: list[list[Node | None] | None] | None = odd(
        lambda thing: [thing.other(n).several("row", node_of, null=4) if thing.draw(5, n) else None for n in range(3)],
        how="promise",
    )


@strawberry.type
class Api(Node):
    spec: str | None = odd(lambda _: "spec", null=10, error=5)
    component: Component = odd(lambda thing: Component(thing=thing.other("component")), null=2, error=2)
    component_later: Component = odd(lambda thing: Component(thing=thing.other("c")), null=2, error=2, how="later")
    # The interface has it as `str | None`.
    nick: str = odd(lambda _: "an API's nick", null=3, error=1)


@strawberry.type
class Tribe(Node):
    @strawberry.field
    async def members(self, first: int = 2) -> list[Node]:
        self.thing.call("members", first)
        await turns(self.thing.draw(3, "members turns"))
        return self.thing.several("members", node_of, null=1)


class TribeLoader(DataLoader[int, Any]):
    """Tribes by number: some are null, and some are errors."""

    def __init__(self, play: Play) -> None:
        super().__init__()
        self._play = play

    async def batch_load_fn(self, keys: list[int]) -> list[Any]:
        assert len(set(keys)) == len(keys)
        await turns(1)
        return [self._tribe(Thing(self._play, key)) for key in keys]

    def _tribe(self, thing: Thing) -> Any:
        self._play.calls[f"load {thing.number}"] += 1
        chance = thing.draw(12, "load")
        return None if chance == 0 else ValueError(f"no tribe {thing.number}") if chance == 1 else Tribe(thing=thing)


@strawberry.type
class Record:
    """It has no resolvers: its objects are dicts and objects, some of which lack something."""

    number: int
    text: str | None
    parts: list["Record"] | None
    owner: Node | None
    late: int | None
    kind_of_thing: str = strawberry.field(name="sort")

    @classmethod
    def is_type_of(cls, value: Any, info: Any) -> bool:
        if isinstance(value, SimpleNamespace) and value.number % 17 == 0:
            raise ValueError(f"what is {value.number}?")
        return isinstance(value, dict | SimpleNamespace)


def record_of(thing: Thing) -> Any:
    """A record, as a dict or as an object."""
    known: dict[str, Any] = {
        "number": thing.number,
        "text": thing.gives("text", lambda _: "t") if thing.draw(9, "text") else ValueError(f"text of {thing.number}"),
        "parts": [record_of(thing.other("part", n)) for n in range(2)] if thing.draw(5, "parts") == 0 else None,
        "owner": node_of(thing.other("owner")),
        "late": _Promise(thing) if thing.draw(3, "late") == 0 else 3,
        "kind_of_thing": "record",
    }
    if thing.draw(9, "lacks") == 0:
        del known[list(known)[1 + thing.draw(5, "lacks what")]]
    return known if thing.draw(2, "dict") else SimpleNamespace(**known)


@dataclass
class _Promise:
    """Something to await that is neither a coroutine nor a future; nobody has to."""

    thing: Thing

    def __await__(self) -> Any:
        return _number_later(self.thing, 0).__await__()


@dataclass
class Figure:
    """What stands for a shape. No GraphQL type is known of it before it is asked."""

    thing: Thing


def _type_of_figure(figure: Figure) -> Any:
    chance = figure.thing.draw(20, "figure")
    if chance == 0:
        raise ValueError(f"no figure {figure.thing.number}")
    return {1: None, 2: "Nothing", 3: "Component", 4: "Node", 5: 6}.get(chance, "Circle" if chance % 2 else "Square")


@strawberry.interface
class Shape:
    size: int

    @classmethod
    def resolve_type(cls, figure: Figure, info: Any, abstract_type: Any) -> Any:
        figure.thing.call("resolve_type")
        return _type_of_figure(figure)


def _size(figure: strawberry.Parent[Figure]) -> int:
    figure.thing.call("size")
    return figure.thing.number % 100


def _inside(figure: strawberry.Parent[Figure]) -> Any:
    return Figure(figure.thing.other("inside"))


def _fits(figure: Figure) -> bool:
    return figure.thing.draw(15, "is that type") > 0


@strawberry.type
class Circle(Shape):
    size: int = strawberry.field(resolver=_size)
    radius: float | None = strawberry.field(resolver=lambda: 0.5)
    same: str | None = strawberry.field(resolver=lambda: "circle")

    @classmethod
    def is_type_of(cls, figure: Any, info: Any) -> bool:
        return isinstance(figure, Figure) and _fits(figure)


@strawberry.type
class Square(Shape):
    size: int = strawberry.field(resolver=_size)
    side: float | None = strawberry.field(resolver=lambda: 1.0)
    same: str | None = strawberry.field(resolver=lambda: "square")
    inside: Shape | None = strawberry.field(resolver=_inside)

    @classmethod
    def is_type_of(cls, figure: Any, info: Any) -> bool:
        return isinstance(figure, Figure)


ComponentOrApi = Annotated[Component | Api, strawberry.union("ComponentOrApi")]


def component_or_api(thing: Thing) -> Any:
    """Of a union's types."""
    return (Component, Api)[thing.draw(2, "component or API")](thing=thing)


def node_of(thing: Thing) -> Any:
    """Of any type."""
    return (Component, Component, Api, Tribe)[thing.draw(4, "type")](thing=thing)
