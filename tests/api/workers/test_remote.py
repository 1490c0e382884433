"""Sources behind http, as the settings declare them: with their own hosts and tokens, and no others."""

from __future__ import annotations

import pytest

from api.ingest.declarations import Access
from api.ingest.declared import Sources
from api.workers.sources import SourceWorker
from tests.api.workers.declaring import look, runs
from tests.backstage import Backstage, entity
from tests.ingesting import Catalog, Tree, component, location
from tests.pages import serving

pytestmark = pytest.mark.anyio


def worker(catalog: Catalog, tree: Tree, text: str) -> SourceWorker:
    file = tree.write("sources.yaml", text)
    environ = {"TOKEN": "s3cret"}
    return SourceWorker(catalog.engine, Sources.read(file, Access(clones=tree.root / "clones", environ=environ)))


async def test_a_url_needs_private_to_lead_to_this_machine(catalog: Catalog, tree: Tree) -> None:
    with serving() as site:
        url = site.write("/a.yaml", component("a"))
        await look(worker(catalog, tree, f"sources: [{{url: '{url}', name: site}}]"))
        assert site.requests == []
        ((name, error),) = await runs(catalog)
        assert (name, "127.0.0.1, which may not be read" in str(error)) == ("site", True)

        await look(worker(catalog, tree, f"sources: [{{url: '{url}', name: site, private: true, token_env: TOKEN}}]"))
        assert await catalog.refs() == ["component:default/a"]
        assert [request.headers["authorization"] for request in site.requests] == ["Bearer s3cret"]


async def test_a_folders_locations_lead_to_listed_hosts_only(catalog: Catalog, tree: Tree) -> None:
    with serving() as site, serving() as other:
        urls = [each.write("/a.yaml", component(name)) for each, name in ((site, "a"), (other, "b"))]
        tree.write("catalog/all.yaml", location(*urls))
        listed = f"hosts: [{{host: '127.0.0.1:{site.port}', private: true}}]"
        await look(worker(catalog, tree, f"sources: [{{folder: catalog}}]\n{listed}"))
    assert await catalog.refs() == ["component:default/a", "location:default/all"]
    assert other.requests == []


async def test_a_backstage_is_mirrored_with_its_token(catalog: Catalog, tree: Tree) -> None:
    backstage = Backstage(token="s3cret")
    spec = {"type": "service", "lifecycle": "production", "owner": "group:default/a"}
    with backstage.serving():
        backstage.put(entity("a", spec=spec))
        place = f"{{backstage: '{backstage.url}', name: mirror, private: true"
        await look(worker(catalog, tree, f"sources: [{place}}}]"))
        assert await catalog.refs() == []
        await look(worker(catalog, tree, f"sources: [{place}, token_env: TOKEN}}]"))
    assert await catalog.refs() == ["component:default/a"]
    assert [name for name, _ in await runs(catalog)] == ["mirror", "mirror"]
