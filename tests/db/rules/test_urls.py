import pytest

from db.rules.urls import scheme_of


@pytest.mark.parametrize(
    ("text", "scheme"),
    [
        ("https://example.org/a b?c#d", "https"),
        ("  HTTPS://x  ", "https"),
        ("http:x", "http"),
        ("http://a:80", "http"),
        ("http://u:p@h/", "http"),
        ("http://[::1]:80", "http"),
        ("http://0x7f.1", "http"),
        ("https://jürgen.de", "https"),
        ("mailto:a@b", "mailto"),
        ("slack://channel?id=1", "slack"),
        ("foo://", "foo"),
        ("file:", "file"),
        ("java\nscript:alert(1)", "javascript"),
        (" JavaScript:1", "javascript"),
        ("", None),
        ("example.org", None),
        ("/docs", None),
        ("//x", None),
        ("1http://x", None),
        ("http://", None),
        ("http://a b", None),
        ("http://a:99999", None),
        ("http://a:x", None),
        ("http://u@", None),
        ("http://1.2.3.256", None),
        ("http://09", None),
        ("http://[::1", None),
        ("http://a%", None),
        ("http://%a1", None),
        ("foo://a b", None),
        ("foo://:80", None),
        ("https://${{ x }}", None),
    ],
)
def test_a_url_is_what_a_browser_opens(text: str, scheme: str | None) -> None:
    """Expected values: `new URL(text).protocol` of Node 20."""
    assert scheme_of(text) == scheme
