"""The operations that are kept: enough to be fast, never so many that memory grows."""

from __future__ import annotations

import gc
import weakref
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import strawberry

from api import operation as operations
from api.operation import Operations, Ready
from db.engine import create_engine
from db.reading import Reads
from schema.build import create_schema
from schema.context import Context
from schema.levels.operation import MOST_PLANS
from schema.limits import Limits
from tests.bench.hostile import planned_alone
from tests.callers import ANYBODY
from tests.ingesting import Catalog

pytestmark = pytest.mark.anyio

COMPANY = Path(__file__).parents[1] / "schema" / "company.yaml"


@pytest.fixture(scope="module")
def schema() -> strawberry.Schema:
    return create_schema()


@pytest.fixture
def kept(schema: strawberry.Schema) -> Operations:
    return Operations(schema, Limits())


def document(number: int) -> str:
    return f'{{entity(ref:"component:default/a{number}"){{name owner{{name}} relations(first:3){{totalCount}}}}}}'


async def asked(kept: Operations, text: str) -> weakref.ref[Any]:
    operation = kept.ready(text).operation
    await planned_alone(operation)
    return weakref.ref(operation)


async def test_of_many_documents_only_the_latest_are_kept(kept: Operations, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "MOST_KEPT", 2_000)
    made = [await asked(kept, document(number)) for number in range(300)]
    gc.collect()
    alive = [number for number, one in enumerate(made) if one() is not None]
    weights = [operations._weight(text, ready) for (text, _), ready in kept._ready.items()]
    assert alive == list(range(300 - len(alive), 300))
    assert len(kept._ready) == len(alive)
    assert sum(weights[:-1]) <= 2_000 < sum(weights[:-1]) + 2 * max(weights)  # as full as it may be, but for the newest


async def test_what_is_asked_for_again_and_again_is_kept(kept: Operations, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "MOST_KEPT", 2_000)
    first = kept.ready("{__typename}")
    for number in range(100):
        await asked(kept, document(number))
        assert kept.ready("{__typename}") is first


async def test_the_smallest_documents_are_not_so_many_that_counting_them_takes_long(
    kept: Operations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "MOST_KEPT", 2_000)
    for number in range(300):
        kept.ready(f"{{__typename#{number}\n}}")
    assert len(kept._ready) == 2_000 // 21


async def test_a_document_of_spaces_drives_no_other_out(kept: Operations) -> None:
    first = kept.ready("{__typename}")
    assert kept.ready("{__typename}" + " " * 600_000) is not kept.ready("{__typename}" + " " * 600_000)
    assert kept.ready("{__typename}") is first


async def run(ready: Ready, reads: Reads, **variables: Any) -> Any:
    with Context(caller=ANYBODY, reads=reads, request_id="test") as context:
        result = await ready.run(variables, context)
    assert result.errors is None
    return result.data


@pytest.fixture
async def company_url(database_url: str) -> str:
    engine = create_engine(database_url)
    await Catalog(engine).ingest(COMPANY)
    await engine.dispose()
    return database_url


async def test_of_the_choices_that_variables_leave_some_plans_are_kept_and_all_are_answered(
    kept: Operations, company_url: str
) -> None:
    names = ["name", "title", "kind", "type", "lifecycle"]
    variables = " ".join(f"${name}:Boolean!" for name in names)
    selected = " ".join(f"{name} @{'include' if at % 2 else 'skip'}(if:${name})" for at, name in enumerate(names))
    ready = kept.ready(f'query({variables}){{component(ref:"index"){{ref {selected}}}}}')
    values = {"name": "index", "title": "index", "kind": "Component", "type": "service", "lifecycle": "deprecated"}
    reads = Reads(company_url, pool_size=1)
    for turn in range(2):
        for number, choice in enumerate(product([False, True], repeat=5)):
            given = dict(zip(names, choice, strict=True))
            found = await run(ready, reads, **given)
            expected = {name: values[name] for at, name in enumerate(names) if given[name] is bool(at % 2)}
            assert found == {"component": {"ref": "component:default/index", **expected}}
            assert len(ready.operation._plans) == min(number + 1 if turn == 0 else MOST_PLANS, MOST_PLANS)
    await reads.close()


async def test_one_document_in_ever_new_shapes_leaves_few_prepared_statements(
    kept: Operations, company_url: str
) -> None:
    ready = kept.ready(
        "query($first:Int $filter:EntityFilter $orderBy:[EntityOrder!])"
        "{entities(first:$first filter:$filter orderBy:$orderBy){nodes{name}}}"
    )
    reads = Reads(company_url, pool_size=1)
    for first, direction, name in product(range(1, 66), ("ASC", "DESC"), (None, {"name": {"eq": "index"}})):
        found = await run(ready, reads, first=first, filter=name, orderBy=[{"field": "NAME", "direction": direction}])
        assert len(found["entities"]["nodes"]) == min(first, 1 if name else 21)
    ((prepared,),) = await reads.fetch("SELECT count(*) FROM pg_prepared_statements", ())
    assert prepared == 100
    await reads.close()
