"""Templates: how new things are made."""

from typing import Annotated

import strawberry

from db.queries import documents
from schema.levels.edge import value
from schema.scalars import JSON
from schema.types.connection import Connection
from schema.types.entity import Entity

TemplateConnection = Connection[Annotated["Template", strawberry.lazy("schema.types.template")]]


@strawberry.type(description="A recipe of Backstage's scaffolder.")
class Template(Entity):
    """Backstage's kind Template."""

    parameters: JSON = value(documents.spec_json("parameters", default="[]"), "The forms to fill in, as declared.")
    steps: JSON = value(documents.spec_json("steps", default="[]"), "The steps to run, as declared.")
