"""Lists in pages, by the Relay connection specification."""

from typing import Any, Generic, TypeVar

import strawberry

T = TypeVar("T")


@strawberry.type(description="Where a page lies in its list.")
class PageInfo:
    """Relay's PageInfo."""

    has_next_page: bool = strawberry.field(description="There is more after this page, as far as its direction tells.")
    has_previous_page: bool = strawberry.field(description="There is more before it, as far as its direction tells.")
    start_cursor: str | None = strawberry.field(description="The cursor of the first item.")
    end_cursor: str | None = strawberry.field(description="The cursor of the last item: hand it to `after`.")

    @classmethod
    def is_type_of(cls, page_info: Any, info: Any) -> bool:
        """The executor, or `schema.levels.alone`, has objects of its own for it."""
        return True


@strawberry.type(description="An item of a page, with its cursor.")
class Edge(Generic[T]):
    """Relay's Edge."""

    cursor: str = strawberry.field(description="The item's place in the list: hand it to `after` or `before`.")
    node: T = strawberry.field(description="The item.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[T]):
    """Relay's Connection, with `nodes` as a shorter way to the items; `totalCount` costs only when asked for."""

    edges: list[Edge[T]] = strawberry.field(description="The items with their cursors.")
    nodes: list[T] = strawberry.field(description="The items.")
    page_info: PageInfo = strawberry.field(description="Where the page lies in the list.")
    total_count: int = strawberry.field(description="How many items all pages have together.")
