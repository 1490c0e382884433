"""The schema, put together."""

import strawberry
from strawberry.schema.config import StrawberryConfig

from schema.levels.checks import check
from schema.mutation import Mutation
from schema.query import Query
from schema.scalars import SCALARS
from schema.subscription import Subscription
from schema.types.entity import CustomEntity
from schema.types.location import Location


def create_schema() -> strawberry.Schema:
    """The whole graph. Types that only interfaces lead to are named here. Raises SchemaMistakeError."""
    schema = strawberry.Schema(
        Query,
        mutation=Mutation,
        subscription=Subscription,
        types=[CustomEntity, Location],
        config=StrawberryConfig(scalar_map=SCALARS),
    )
    check(schema)
    return schema
