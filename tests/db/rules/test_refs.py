import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.rules.refs import MAX_LENGTH, Ref, RefError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web", "component:default/web"),
        ("api:web", "api:default/web"),
        ("shop/web", "component:shop/web"),
        ("api:shop/web", "api:shop/web"),
        ("API:Shop/Web", "api:shop/web"),
        # the first slash comes before the first colon, which then belongs to the name
        ("shop/web:v2", "component:shop/web:v2"),
        ("a:b:c", "a:default/b:c"),
        ("a:b:c/d", "a:b:c/d"),
        # whatever follows the first slash is the name
        ("group:default/a/b", "group:default/a/b"),
        ("a//b", "component:a//b"),
        # Backstage takes these too: they dangle
        (" web ", "component:default/ web "),
        ("web\n", "component:default/web\n"),
        ("jürgen ÄÖ", "component:default/jürgen äö"),
        ("n" * 64, "component:default/" + "n" * 64),
    ],
)
def test_a_reference_means_what_backstage_reads_in_it(text: str, expected: str) -> None:
    assert str(Ref.parse(text, kind="Component")) == expected


def test_the_namespace_of_the_source_fills_in() -> None:
    assert Ref.parse("web", kind="API", namespace="Shop") == Ref("api", "shop", "web")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "empty name"),
        ("api:", "empty name"),
        (":web", "empty kind"),
        ("/web", "empty namespace"),
        ("api:/web", "empty namespace"),
        ("shop/", "empty name"),
        ("api:shop/", "empty name"),
        (":", "empty kind"),
        ("/", "empty namespace"),
        ("a\0b", "the name of a reference is wrong: 'a\\x00b' contains a NUL character"),
        ("k\ud800:b", "the kind of a reference is wrong: 'k\\ud800' contains half of a surrogate pair"),
        ("n" * 300, "longer than 255 characters"),
    ],
)
def test_a_broken_reference_says_which_part_and_why(text: str, complaint: str) -> None:
    with pytest.raises(RefError) as caught:
        Ref.parse(text, kind="component")
    assert complaint in str(caught.value)
    assert len(str(caught.value)) < 250


def test_a_bare_name_needs_a_kind_where_the_field_has_none() -> None:
    with pytest.raises(RefError, match="'web' has no kind: write it as kind:name"):
        Ref.parse("web")


def test_the_longest_ref_is_taken_and_one_more_is_not() -> None:
    longest = "n" * (MAX_LENGTH - len("a:default/"))
    assert len(str(Ref.parse(longest, kind="a"))) == MAX_LENGTH
    with pytest.raises(RefError):
        Ref.parse(longest + "n", kind="a")


@settings(deadline=None)
@given(st.text(max_size=30), st.sampled_from([None, "group"]))
def test_a_canonical_ref_parses_to_itself(text: str, kind: str | None) -> None:
    try:
        ref = Ref.parse(text, kind=kind)
    except RefError:
        return
    assert Ref.parse(str(ref)) == ref
