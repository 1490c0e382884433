from __future__ import annotations

import pytest

from tests.long_mode import pytest_collection_modifyitems


@pytest.fixture
def long_test(request: pytest.FixtureRequest) -> pytest.Item:
    item: pytest.Item = request.node
    item.add_marker(pytest.mark.long)
    return item


def test_skips_a_long_test_and_says_how_to_have_it(long_test: pytest.Item, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CATALOGRAPH_TEST_LONG", raising=False)

    pytest_collection_modifyitems([long_test])

    skip = long_test.get_closest_marker("skip")
    assert skip is not None
    assert skip.kwargs == {"reason": "takes minutes: `make test-long` runs it"}


def test_runs_a_long_test_when_asked_to(long_test: pytest.Item, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATALOGRAPH_TEST_LONG", "1")

    pytest_collection_modifyitems([long_test])

    assert long_test.get_closest_marker("skip") is None


def test_leaves_other_tests_alone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CATALOGRAPH_TEST_LONG", raising=False)

    pytest_collection_modifyitems([request.node])

    assert request.node.get_closest_marker("skip") is None
