"""Lists in pages, by the Relay connection specification."""

from typing import Any, Generic, TypeVar

import strawberry

from schema.levels.page import Page

T = TypeVar("T")


async def _edges(page: strawberry.Parent[Page]) -> Any:
    return await page.edges()


async def _nodes(page: strawberry.Parent[Page]) -> Any:
    return await page.nodes()


async def _info(page: strawberry.Parent[Page]) -> Any:
    return await page.info()


async def _total(page: strawberry.Parent[Page]) -> int:
    return await page.total()


@strawberry.type(description="Where a page lies in its list.")
class PageInfo:
    """Relay's PageInfo."""

    has_next_page: bool = strawberry.field(description="There is more after this page, as far as its direction tells.")
    has_previous_page: bool = strawberry.field(description="There is more before it, as far as its direction tells.")
    start_cursor: str | None = strawberry.field(description="The cursor of the first item.")
    end_cursor: str | None = strawberry.field(description="The cursor of the last item: hand it to `after`.")

    @classmethod
    def is_type_of(cls, page_info: Any, info: Any) -> bool:
        """`schema.levels.page.PageInfo` stands for it."""
        return True


@strawberry.type(description="An item of a page, with its cursor.")
class Edge(Generic[T]):
    """Relay's Edge."""

    cursor: str = strawberry.field(description="The item's place in the list: hand it to `after` or `before`.")
    node: T = strawberry.field(description="The item.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[T]):
    """Relay's Connection, with `nodes` as a shorter way to the items; `totalCount` costs only when asked for."""

    edges: list[Edge[T]] = strawberry.field(resolver=_edges, description="The items with their cursors.")
    nodes: list[T] = strawberry.field(resolver=_nodes, description="The items.")
    page_info: PageInfo = strawberry.field(resolver=_info, description="Where the page lies in the list.")
    total_count: int = strawberry.field(resolver=_total, description="How many items all pages have together.")
