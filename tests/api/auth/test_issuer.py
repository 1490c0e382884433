"""Tokens of an OpenID Connect provider: who gets in, who does not, and what happens when the provider fails."""

from __future__ import annotations

import asyncio
import hmac
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from typing import Any

import httpx2
import pytest
import strawberry
from joserfc.jwk import RSAKey
from joserfc.util import urlsafe_b64decode
from starlette.applications import Starlette
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from api.app import create_app
from api.auth.issuer import Issuer, Trust, caller_of, issuer_of
from api.auth.jwt import LONGEST
from api.auth.keys import ALGORITHMS, PublicKey
from api.auth.provider import Pace, Provider
from api.settings import Settings, SettingsError
from db.rules.refs import Ref
from db.rules.scopes import EVERYTHING, Scope
from schema.caller import Caller
from schema.errors import Unauthenticated, Unavailable
from tests.api.auth.provider import (
    AUDIENCE,
    CONFIGURATION,
    KEYS,
    NOW,
    LocalProvider,
    b64,
    ec,
    ed,
    packed,
    providing,
    public,
    rsa,
    signed,
)
from tests.api.streams import lines_of, logged, running, until
from tests.house.checkout import ROOT

pytestmark = pytest.mark.anyio

LEEWAY = 30
ADA = Caller("oidc-sub:u-1", frozenset({Scope.CATALOG_READ}), acts_as_owner=True)


class Clock:
    """A clock that is set by hand, in seconds."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Front:
    """An issuer before a provider, with both of its clocks."""

    def __init__(self, provider: LocalProvider, **pace: float) -> None:
        self.now, self.uptime = Clock(NOW), Clock(0)
        self.keys = Provider(provider.url, Pace(**{"fetch": 3, **pace}), self.uptime)
        trust = Trust(provider.url, AUDIENCE, LEEWAY, scopes=frozenset({Scope.CATALOG_READ}))
        self.issuer = Issuer(trust, self.keys, self.now)

    async def caller(self, token: str) -> Caller:
        return await self.issuer.caller(token)

    async def refusal(self, token: str) -> str:
        with pytest.raises(Unauthenticated) as refused:
            await self.issuer.caller(token)
        return refused.value.message


@pytest.fixture
async def provider() -> AsyncIterator[LocalProvider]:
    async with providing() as provider:
        yield provider


@pytest.fixture
def front(provider: LocalProvider) -> Front:
    return Front(provider)


# Who gets in


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        *((rsa("r1"), name) for name in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
        (ec("e1"), "ES256"),
        (ec("e3", "P-384"), "ES384"),
        (ec("e5", "P-521"), "ES512"),
        (ed("d1"), "EdDSA"),
        (ed("d1"), "Ed25519"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.kid,
)
async def test_a_good_token_names_its_owner(front: Front, provider: LocalProvider, key: Any, algorithm: str) -> None:
    provider.jwks += [public(ec("e3", "P-384")), public(ec("e5", "P-521"))]
    assert await front.caller(provider.token(key, algorithm)) == ADA


# Signatures that others have made: RFC 7515, appendix A.3, and RFC 8037, appendix A.4.
P256 = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
ED25519 = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
SIGNED = [
    (
        P256,
        "ES256",
        b"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
        b"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    ),
    (
        ED25519,
        "EdDSA",
        b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
        b"hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    ),
]


@pytest.mark.parametrize(("jwk", "algorithm", "message", "signature"), SIGNED, ids=["ES256", "EdDSA"])
async def test_signatures_of_the_specifications_are_right(
    jwk: dict[str, Any], algorithm: str, message: bytes, signature: bytes
) -> None:
    key = PublicKey.of(jwk)
    assert key
    assert key.has_signed(message, urlsafe_b64decode(signature), algorithm)
    assert not key.has_signed(message + b"x", urlsafe_b64decode(signature), algorithm)


async def test_an_audience_among_several_is_ours(front: Front, provider: LocalProvider) -> None:
    assert await front.caller(provider.token(aud=["account", AUDIENCE])) == ADA


@pytest.mark.parametrize("typ", [None, "JWT", "jwt", "at+jwt", "application/at+jwt", "AT+JWT"])
async def test_access_and_id_tokens_are_of_these_types(front: Front, provider: LocalProvider, typ: str | None) -> None:
    assert await front.caller(signed(rsa("r1"), "RS256", provider.claims(), typ=typ)) == ADA


async def test_headers_that_bring_a_key_along_do_not_count(front: Front, provider: LocalProvider) -> None:
    mine = public(rsa("evil"), kid="r1")
    more = {"jwk": mine, "jku": "https://evil.example/keys", "x5u": "https://evil.example/x", "x5c": ["MII"]}
    assert await front.caller(signed(rsa("r1"), "RS256", provider.claims(), **more)) == ADA
    forged = signed(rsa("evil"), "RS256", provider.claims(), **{**more, "kid": "r1"})
    assert await front.refusal(forged) == "The signature of the token is wrong"


# Who does not

Make = Callable[[LocalProvider], str]


def claiming(**claims: Any) -> Make:
    """A token that is signed well, with these claims."""
    return lambda provider: provider.token(**claims)


def headed(**header: Any) -> Make:
    """A token that is signed well, with this header."""
    return lambda provider: signed(rsa("r1"), "RS256", provider.claims(), **header)


def unsigned(algorithm: object) -> Make:
    header = packed({"alg": algorithm, "typ": "JWT", "kid": "r1"})
    return lambda provider: f"{header}.{packed(provider.claims())}."


def with_secret(secret: bytes, algorithm: str = "HS256") -> Make:
    """A token that takes something public for a shared secret."""

    def make(provider: LocalProvider) -> str:
        text = f"{packed({'alg': algorithm, 'typ': 'JWT', 'kid': 'r1'})}.{packed(provider.claims())}"
        digest = f"sha{algorithm.removeprefix('HS')}"
        return f"{text}.{b64(hmac.digest(secret, text.encode(), digest))}"

    return make


def changed(token: str) -> str:
    """With other claims than those that were signed."""
    header, _, signature = token.split(".")
    return f"{header}.{packed({'iss': 'x'})}.{signature}"


def forged(provider: LocalProvider) -> str:
    header, _, signature = provider.token().split(".")
    return f"{header}.{packed(provider.claims(scope='admin'))}.{signature}"


NONE = "This is no JSON Web Token"
WAY = "The token is signed in a way that is not taken"
SIGNATURE = "The signature of the token is wrong"
UNKNOWN = "The key of the token is not known"
EXPIRED = "The token has expired"
NOT_YET = "The token is not valid yet"
AUDIENCES = "The token is for another audience"
ISSUERS = "The token is from another issuer"
TIME = "The token has a time that is none"
DEMANDS = "The header of the token demands what is not understood"
TYPE = "The token is of another type than JWT"

PEM = rsa("r1").as_pem(private=False)  # type: ignore[union-attr]
JWK = json.dumps(public(rsa("r1")), separators=(",", ":")).encode()

REFUSED: list[tuple[str, Make, str]] = [
    ("expired", claiming(exp=NOW - LEEWAY), EXPIRED),
    ("expired long ago", claiming(exp=0), EXPIRED),
    ("no exp", claiming(exp=None), "The token has no expiry"),
    ("exp as text", claiming(exp="2100-01-01"), TIME),
    ("exp as text of a number", claiming(exp=str(NOW + 300)), TIME),
    ("exp true", claiming(exp=True), TIME),
    ("exp in a list", claiming(exp=[NOW + 300]), TIME),
    ("exp infinite", lambda provider: provider.token(exp=float("inf")), NONE),
    ("not yet", claiming(nbf=NOW + LEEWAY + 1), NOT_YET),
    ("nbf as text", claiming(nbf="now"), TIME),
    ("issued tomorrow", claiming(iat=NOW + 86_400), "The token was issued in the future"),
    ("another issuer", claiming(iss="https://evil.example"), ISSUERS),
    ("our issuer with a slash", lambda provider: provider.token(iss=provider.url + "/"), ISSUERS),
    ("our issuer in capitals", lambda provider: provider.token(iss=provider.url.upper()), ISSUERS),
    ("our issuer in a list", lambda provider: provider.token(iss=[provider.url]), ISSUERS),
    ("no issuer", claiming(iss=None), ISSUERS),
    ("another audience", claiming(aud="portal"), AUDIENCES),
    ("other audiences", claiming(aud=["portal", "account"]), AUDIENCES),
    ("part of our audience", claiming(aud="catalograph-staging"), AUDIENCES),
    ("audience as an object", claiming(aud={AUDIENCE: True}), AUDIENCES),
    ("no audience", claiming(aud=None), AUDIENCES),
    ("nobody", claiming(sub=None), "The token does not say whose it is"),
    ("alg none", unsigned("none"), WAY),
    ("alg None", unsigned("None"), WAY),
    ("alg NONE", unsigned("NONE"), WAY),
    ("alg nOnE", unsigned("nOnE"), WAY),
    ("alg empty", unsigned(""), WAY),
    ("alg null", unsigned(None), WAY),
    ("alg in a list", unsigned(["RS256"]), WAY),
    ("alg in small letters", unsigned("rs256"), WAY),
    ("alg of another world", unsigned("ES256K"), WAY),
    ("no signature", unsigned("RS256"), SIGNATURE),
    ("HS256 with the public key", with_secret(PEM), WAY),
    ("HS256 with the public key, without its last line break", with_secret(PEM.strip()), WAY),
    ("HS256 with the published key", with_secret(JWK), WAY),
    ("HS512 with the public key", with_secret(PEM, "HS512"), WAY),
    ("HS256 with nothing", with_secret(b""), WAY),
    ("changed after it was signed", forged, SIGNATURE),
    ("signed by somebody else under our name", headed(kid="e1"), UNKNOWN),
    ("key of another kid", lambda provider: provider.token(rsa("r9")), UNKNOWN),
    ("kid that is a number", headed(kid=1), NONE),
    ("crit", headed(crit=["exp"]), DEMANDS),
    ("crit of nothing", headed(crit=[]), DEMANDS),
    ("unencoded payload", headed(b64=False, crit=["b64"]), DEMANDS),
    ("a token inside", headed(cty="JWT"), "Tokens inside of tokens are not taken"),
    ("a logout token", headed(typ="logout+jwt"), TYPE),
    ("a proof of possession", headed(typ="dpop+jwt"), TYPE),
    ("typ that is a number", headed(typ=1), TYPE),
    ("encrypted", lambda _: "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.a.b.c.d", "Encrypted tokens are not taken"),
    ("garbage", lambda _: "garbage", NONE),
    ("two dots only", lambda _: "..", NONE),
    ("many dots", lambda _: "." * 1000, NONE),
    ("NUL", lambda _: "\0.\0.\0", NONE),
    ("NUL after a good token", lambda provider: provider.token() + "\0", NONE),
    ("letters of others", lambda _: "tökén.ñ.ß", NONE),
    ("half of a surrogate pair", lambda _: "\ud800.\ud800.\ud800", NONE),
    ("padding", lambda provider: provider.token() + "==", NONE),
    ("header that is no object", lambda _: f"{packed([])}.{packed({})}.", NONE),
    ("header that is no JSON", lambda _: f"{b64(b'{')}.{packed({})}.", NONE),
    ("header that is no text", lambda _: f"{b64(bytes([255, 254]))}.{packed({})}.", NONE),
    ("header nested deep", lambda _: f"{b64(b'[' * 9000)}.{packed({})}.", NONE),
    ("claims that are no object", lambda _: signed(rsa("r1"), "RS256", []), NONE),
    ("claims that are a text", lambda _: signed(rsa("r1"), "RS256", "admin"), NONE),
    ("longer than 16 kB", claiming(more="x" * LONGEST), "The token is too long"),
    ("100 kB of dots", lambda _: "." * 100_000, "The token is too long"),
]


@pytest.mark.parametrize(("make", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
async def test_a_token_that_is_not_good_is_refused(
    front: Front, provider: LocalProvider, make: Make, message: str
) -> None:
    assert await front.refusal(make(provider)) == message
    assert re.fullmatch(r"[A-Za-z ]+", message)  # it stands between quotes in a header


async def test_tokens_of_others_make_no_fetch(front: Front, provider: LocalProvider) -> None:
    for token in ("garbage", provider.token(iss="https://evil.example"), unsigned("none")(provider)):
        await front.refusal(token)
    assert provider.asked == []


@pytest.mark.parametrize(
    ("more", "algorithm"),
    [
        ({"use": "enc"}, "RS256"),
        ({"key_ops": ["sign"]}, "RS256"),
        ({"key_ops": "verify"}, "RS256"),
        ({"key_ops": []}, "RS256"),
        ({"alg": "RS512"}, "RS256"),
        ({"alg": "RS256"}, "PS256"),
        ({"alg": "RSA-OAEP"}, "RS256"),
        ({"alg": "HS256"}, "RS256"),
        ({"alg": None}, "ES256"),
        ({"kid": 7}, "RS256"),
        ({"n": "AQAB"}, "RS256"),
        ({"n": 1}, "RS256"),
        ({"n": "!"}, "RS256"),
        ({"e": None}, "RS256"),
        ({"kty": "oct", "k": "c2VjcmV0"}, "RS256"),
        ({"kty": ["RSA"]}, "RS256"),
        ({"kty": None}, "RS256"),
        ({"kty": "AKP"}, "RS256"),
    ],
    ids=str,
)
async def test_a_key_signs_nothing_but_what_it_is_for(
    front: Front, provider: LocalProvider, more: dict[str, Any], algorithm: str
) -> None:
    provider.jwks = [public(rsa("r1"), **more), public(rsa("r2"))]
    token = signed(rsa("r1") if algorithm != "ES256" else ec("e1"), algorithm, provider.claims(), kid="r1")
    assert await front.refusal(token) == UNKNOWN
    assert await front.caller(provider.token(rsa("r2"))) == ADA  # the others of the set are there


@pytest.mark.parametrize("more", [{"use": "sig"}, {"key_ops": ["verify"]}, {"alg": "RS256"}, {"x5t": "x", "new": {}}])
async def test_a_key_may_say_that_it_signs(front: Front, provider: LocalProvider, more: dict[str, Any]) -> None:
    provider.jwks = [public(rsa("r1"), **more)]
    assert await front.caller(provider.token()) == ADA


@pytest.mark.filterwarnings("ignore:Key size")
async def test_a_weak_key_signs_nothing(front: Front, provider: LocalProvider) -> None:
    weak = RSAKey.generate_key(1024, {"kid": "weak"})
    provider.jwks.append(public(weak))
    assert await front.refusal(provider.token(weak)) == UNKNOWN


async def test_a_token_without_kid_is_of_the_only_key_that_may_have_signed_it(
    front: Front, provider: LocalProvider
) -> None:
    assert await front.caller(signed(rsa("r1"), "RS256", provider.claims(), kid=None)) == ADA
    forged = signed(rsa("r2"), "RS256", provider.claims(), kid=None)
    assert await front.refusal(forged) == SIGNATURE


async def test_a_token_without_kid_is_refused_where_several_keys_may_have_signed_it(
    front: Front, provider: LocalProvider
) -> None:
    provider.jwks.append(public(rsa("r2")))
    token = signed(rsa("r1"), "RS256", provider.claims(), kid=None)
    assert await front.refusal(token) == "The token does not name its key"


# Time


@pytest.mark.parametrize(
    ("claims", "seconds", "message"),
    [
        ({"exp": NOW}, LEEWAY - 0.001, None),
        ({"exp": NOW}, LEEWAY, EXPIRED),
        ({"nbf": NOW}, -LEEWAY, None),
        ({"nbf": NOW}, -LEEWAY - 0.001, NOT_YET),
        ({"iat": NOW}, -LEEWAY, None),
        ({"iat": NOW}, -LEEWAY - 0.001, "The token was issued in the future"),
        ({"exp": NOW + 0.5}, LEEWAY + 0.499, None),
        ({"exp": NOW + 0.5}, LEEWAY + 0.5, EXPIRED),
    ],
    ids=str,
)
async def test_clocks_may_differ_by_the_leeway_and_not_by_more(
    front: Front, provider: LocalProvider, claims: dict[str, float], seconds: float, message: str | None
) -> None:
    front.now.now += seconds
    token = signed(rsa("r1"), "RS256", provider.claims(**{"iat": None, **claims}))
    if message is None:
        assert await front.caller(token) == ADA
    else:
        assert await front.refusal(token) == message


async def test_a_token_that_was_good_ends_on_time(front: Front, provider: LocalProvider) -> None:
    token = provider.token(exp=NOW + 300)
    front.now.now = NOW + 300 + LEEWAY - 0.001
    assert [await front.caller(token) for _ in range(2)] == [ADA, ADA]
    front.now.now = NOW + 300 + LEEWAY
    assert await front.refusal(token) == EXPIRED


async def test_no_more_tokens_are_kept_than_there_is_room_for(
    front: Front, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.auth.issuer.MOST_KEPT", 3)
    tokens = [provider.token(jti=number) for number in range(5)]
    known = await front.caller(tokens[0])
    for token in tokens:
        assert await front.caller(token) == ADA
        assert await front.caller(tokens[0]) is known  # who asks all the time is not verified anew
    kept = front.issuer._verified
    assert len(kept) == 3
    assert not any(token.encode() in repr(kept).encode() for token in tokens)


# Keys come and go


async def test_a_hundred_requests_at_once_make_one_fetch(front: Front, provider: LocalProvider) -> None:
    provider.go.clear()
    asking = [asyncio.create_task(front.caller(provider.token(jti=number))) for number in range(100)]
    await when(lambda: provider.asked == [CONFIGURATION])
    provider.go.set()
    assert await asyncio.gather(*asking) == [ADA] * 100
    assert provider.asked == [CONFIGURATION, KEYS]


async def test_an_unknown_kid_fetches_anew_and_junk_cannot_make_it_often(front: Front, provider: LocalProvider) -> None:
    await front.caller(provider.token())
    front.uptime.now += 10
    for number in range(50):
        assert await front.refusal(provider.token(rsa("r2"), jti=number)) == UNKNOWN
        assert await front.refusal(signed(rsa("r2"), "RS256", provider.claims(), kid=f"junk-{number}")) == UNKNOWN
    assert provider.fetches == 2
    front.uptime.now += 9.9
    await front.refusal(provider.token(rsa("r2")))
    assert provider.fetches == 2
    provider.jwks.append(public(rsa("r2")))
    front.uptime.now += 0.1
    assert await front.caller(provider.token(rsa("r2"))) == ADA  # that one was rotated in, not junk
    assert await front.caller(provider.token()) == ADA  # and the old key is still published
    assert provider.fetches == 3


async def test_a_key_that_was_dropped_is_refused_also_where_its_token_was_known(
    front: Front, provider: LocalProvider
) -> None:
    old, new = provider.token(), provider.token(rsa("r2"))
    assert await front.caller(old) == ADA
    provider.jwks = [public(rsa("r2"))]
    front.uptime.now += 10
    assert await front.caller(old) == ADA  # nobody has looked since
    assert await front.caller(new) == ADA  # that did
    assert await front.refusal(old) == UNKNOWN


async def test_a_key_that_changed_under_its_name_is_another_one(front: Front, provider: LocalProvider) -> None:
    token = provider.token()
    await front.caller(token)
    provider.jwks = [public(rsa("r2"), kid="r1")]
    front.uptime.now += 10
    await front.refusal(provider.token(rsa("junk")))
    assert await front.refusal(token) == SIGNATURE


async def test_a_provider_that_drops_all_its_keys_is_believed(front: Front, provider: LocalProvider) -> None:
    token = provider.token()
    await front.caller(token)
    provider.jwks = []
    front.uptime.now += 10
    await front.refusal(provider.token(rsa("junk")))
    assert await front.refusal(token) == UNKNOWN


async def test_the_keys_are_fetched_on_time_without_anybody_asking(provider: LocalProvider) -> None:
    front = Front(provider, every=0.01, gap=0)
    keeping = asyncio.create_task(front.issuer.run())
    try:
        await when(lambda: front.keys.keys is not None)
        token = provider.token()
        assert await front.caller(token) == ADA
        provider.jwks = [public(rsa("r2"))]
        fetches = provider.fetches
        await when(lambda: provider.fetches >= fetches + 2)  # the first of them may have begun before
        assert await front.refusal(token) == UNKNOWN
    finally:
        keeping.cancel()
    await asyncio.wait([keeping])
    fetches = provider.fetches
    await asyncio.sleep(0.05)
    assert provider.fetches == fetches


async def test_what_is_fetched_when_the_process_ends_is_given_up(front: Front, provider: LocalProvider) -> None:
    provider.go.clear()
    keeping = asyncio.create_task(front.issuer.run())
    await when(lambda: provider.asked == [CONFIGURATION])
    keeping.cancel()
    await asyncio.wait([keeping])
    assert front.keys._fetching
    assert front.keys._fetching.cancelled()


async def test_the_pace_of_fetches(front: Front, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """10 minutes while all is well, a second as long as nobody can be known, 10 seconds with the old keys."""
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def sleeping(seconds: float) -> None:
        if not seconds:
            await sleep(0)
            return
        pauses.append(seconds)
        front.uptime.now += seconds
        await [provider.start, provider.stop, provider.start, asyncio.Event().wait][len(pauses) - 1]()

    await provider.stop()
    monkeypatch.setattr("api.auth.provider.asyncio.sleep", sleeping)
    keeping = asyncio.create_task(front.issuer.run())
    async with asyncio.timeout(10):
        while len(pauses) < 4:
            await sleep(0.005)
    keeping.cancel()
    await asyncio.wait([keeping])
    assert pauses == [1, 600, 10, 600]


# The provider fails


async def test_a_provider_that_is_down_at_the_start_is_asked_again(front: Front, provider: LocalProvider) -> None:
    await provider.stop()
    with logged() as log:
        for _ in range(3):
            with pytest.raises(Unavailable, match="Who owns a token cannot be found out now, try again later"):
                await front.caller(provider.token())
            front.uptime.now += 1
        await provider.start()
        assert await front.caller(provider.token()) == ADA
    assert [line["event"] for line in log] == [
        "keys of the issuer not fetched",
        "issuer reached again",
        "keys of the issuer",
    ]
    assert log[2]["keys"] == ["r1", "e1", "d1"]


async def test_keys_serve_for_a_day_while_the_provider_is_away(front: Front, provider: LocalProvider) -> None:
    await front.caller(provider.token())
    await provider.stop()
    with logged() as log:
        for seconds in (600, 40_000, 40_000, 5799):
            front.uptime.now += seconds
            assert await front.refusal(provider.token(rsa("r2"))) == UNKNOWN
            assert await front.caller(provider.token(jti=seconds)) == ADA
        front.uptime.now += 1
        with pytest.raises(Unavailable):
            await front.caller(provider.token())  # although it was known
        await provider.start()
        front.uptime.now += 1
        assert await front.caller(provider.token()) == ADA
    assert [line["event"] for line in log] == ["keys of the issuer not fetched", "issuer reached again"]


async def test_a_provider_that_hangs_holds_up_nobody_whose_key_is_known(provider: LocalProvider) -> None:
    front = Front(provider, fetch=0.3)
    known = provider.token()
    await front.caller(known)
    front.uptime.now += 10
    provider.go.clear()
    with logged() as log:
        unknown = asyncio.create_task(front.refusal(provider.token(rsa("r2"))))
        await when(lambda: provider.asked.count(CONFIGURATION) == 2)
        for number in range(20):
            assert await at_once(front.caller(known)) == ADA
            assert await at_once(front.caller(provider.token(jti=number))) == ADA
        assert not unknown.done()
        assert await unknown == UNKNOWN
        assert await at_once(front.refusal(provider.token(rsa("r3")))) == UNKNOWN  # which fetches no more
    assert lines_of(log, "keys of the issuer not fetched")[0]["reason"] == "no answer within 0.3 seconds"


async def test_a_provider_that_hangs_from_the_start_is_unavailable(provider: LocalProvider) -> None:
    front = Front(provider, fetch=0.1)
    provider.go.clear()
    with pytest.raises(Unavailable):
        await front.caller(provider.token())


async def test_a_client_that_leaves_takes_the_fetch_from_nobody(front: Front, provider: LocalProvider) -> None:
    provider.go.clear()
    leaving, staying = (asyncio.create_task(front.caller(provider.token(jti=number))) for number in range(2))
    await when(lambda: provider.asked == [CONFIGURATION])
    leaving.cancel()
    await asyncio.wait([leaving])
    provider.go.set()
    assert await staying == ADA
    assert provider.fetches == 1


HTML = b"<!doctype html><title>Sign in</title>"
NO_JSON, NO_KEYS = "{url} does not answer with JSON", "it has no list of `keys`"
TOO_MUCH = "{url} answers with more than 1,000,000 bytes"
FAILURES: list[tuple[str, bytes, str, str]] = [
    (KEYS, HTML, "200 OK\r\ncontent-type: text/html", NO_JSON),
    (KEYS, HTML, "500 Internal Server Error", "{url} answers with status 500"),
    (CONFIGURATION, HTML, "404 Not Found", "{url} answers with status 404"),
    (KEYS, b"", "302 Found\r\nlocation: /elsewhere", "{url} answers with status 302"),
    (CONFIGURATION, b"", "301 Moved Permanently\r\nlocation: /elsewhere", "{url} answers with status 301"),
    (KEYS, b" " * 1_100_000, "200 OK", TOO_MUCH),
    (CONFIGURATION, b" " * 1_100_000, "200 OK", TOO_MUCH),
    (KEYS, b"", "200 OK", NO_JSON),
    (KEYS, b"\xff\xfe", "200 OK", NO_JSON),
    (KEYS, b"[" * 100_000, "200 OK", NO_JSON),
    (KEYS, b"[]", "200 OK", NO_KEYS),
    (KEYS, b"{}", "200 OK", NO_KEYS),
    (KEYS, b'{"keys": {"r1": {}}}', "200 OK", NO_KEYS),
    (CONFIGURATION, b"[]", "200 OK", "its configuration does not name it as `issuer`, to the letter"),
]


@pytest.mark.parametrize(
    "failure", FAILURES, ids=[f"{path}-{body[:9]!r}-{head[:3]}" for path, body, head, _ in FAILURES]
)
async def test_a_provider_that_answers_something_else_gives_no_keys(
    front: Front, provider: LocalProvider, failure: tuple[str, bytes, str, str]
) -> None:
    path, body, head, reason = failure
    provider.say(path, body, head)
    with logged() as log:
        with pytest.raises(Unavailable):
            await front.caller(provider.token())
        provider.instead.clear()
        front.uptime.now += 1
        assert await front.caller(provider.token()) == ADA
    (line,) = lines_of(log, "keys of the issuer not fetched")
    assert line["reason"] == reason.format(url=provider.url + path)
    assert "/elsewhere" not in provider.asked


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"issuer": "https://evil.example"}, "its configuration does not name it as `issuer`, to the letter"),
        ({"issuer": "{url}/"}, "its configuration does not name it as `issuer`, to the letter"),
        ({"issuer": None}, "its configuration does not name it as `issuer`, to the letter"),
        ({"jwks_uri": None}, "its configuration has no `jwks_uri` with https"),
        ({"jwks_uri": "http://keys.example/keys"}, "its configuration has no `jwks_uri` with https"),
        ({"jwks_uri": "http://localhost.evil.example/keys"}, "its configuration has no `jwks_uri` with https"),
        ({"jwks_uri": "file:///etc/keys.json"}, "its configuration has no `jwks_uri` with https"),
        ({"jwks_uri": ["https://keys.example"]}, "its configuration has no `jwks_uri` with https"),
        ({"jwks_uri": "http://[::1/keys"}, "Invalid IPv6 URL"),
    ],
    ids=str,
)
async def test_a_configuration_that_cannot_be_trusted_gives_no_keys(
    front: Front, provider: LocalProvider, more: dict[str, Any], reason: str
) -> None:
    said = {name: value.format(url=provider.url) if isinstance(value, str) else value for name, value in more.items()}
    provider.say_json(CONFIGURATION, {**provider.configuration, **said})
    with logged() as log, pytest.raises(Unavailable):
        await front.caller(provider.token())
    assert lines_of(log, "keys of the issuer not fetched")[0]["reason"] == reason
    assert provider.fetches == 0


async def test_an_answer_that_breaks_off_leaves_the_old_keys(front: Front, provider: LocalProvider) -> None:
    await front.caller(provider.token())
    provider.instead[KEYS] = b'HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{"keys": ['
    front.uptime.now += 10
    assert await front.refusal(provider.token(rsa("r2"))) == UNKNOWN
    assert await front.caller(provider.token()) == ADA


async def test_a_provider_whose_name_ends_in_a_slash_is_found(provider: LocalProvider) -> None:
    name = provider.url + "/"
    provider.say_json(CONFIGURATION, {**provider.configuration, "issuer": name})
    issuer = Issuer(Trust(name, AUDIENCE), Provider(name), Clock(NOW))
    assert (await issuer.caller(provider.token(iss=name))).subject == "oidc-sub:u-1"


# Whose token it is

WHO: list[tuple[dict[str, Any], str, Caller | None]] = [
    (
        {"email": "Ada@Example.com"},
        "email",
        Caller("oidc:ada@example.com", email="ada@example.com", acts_as_owner=True),
    ),
    ({"email": "a@b.c", "email_verified": True}, "email", Caller("oidc:a@b.c", email="a@b.c", acts_as_owner=True)),
    ({"email": "a@b.c", "email_verified": False}, "email", Caller("oidc-sub:u-1", acts_as_owner=True)),
    ({"email": "a@b.c", "email_verified": "false"}, "email", Caller("oidc-sub:u-1", acts_as_owner=True)),
    ({"email": ["a@b.c"]}, "email", Caller("oidc-sub:u-1", acts_as_owner=True)),
    ({"email": "a@b.c\n"}, "email", Caller("oidc-sub:u-1", acts_as_owner=True)),
    ({"email": "a\0@b.c"}, "email", Caller("oidc-sub:u-1", acts_as_owner=True)),
    ({"email": " "}, "email", Caller("oidc-sub:u-1", acts_as_owner=True)),
    ({"email": "a" * 300}, "email", Caller("oidc-sub:u-1", acts_as_owner=True)),
    ({"email": "\u212aim@example.com"}, "email", Caller("oidc-sub:u-1", acts_as_owner=True)),
    ({}, "email", Caller("oidc-sub:u-1", acts_as_owner=True)),
    ({"sub": ""}, "email", None),
    ({"sub": "\0"}, "email", None),
    ({"sub": 7}, "email", None),
    ({"login": "Ada"}, "login", Caller("oidc:Ada", user=Ref("user", "default", "ada"), acts_as_owner=True)),
    ({"login": "hr/ada"}, "login", Caller("oidc:hr/ada", acts_as_owner=True)),
    ({"login": "user:hr/ada"}, "login", Caller("oidc:user:hr/ada", acts_as_owner=True)),
    ({"login": "group:default/admins"}, "login", Caller("oidc:group:default/admins", acts_as_owner=True)),
    ({"login": "user:"}, "login", Caller("oidc:user:", acts_as_owner=True)),
    ({"login": "x" * 250}, "login", Caller("oidc:" + "x" * 250, acts_as_owner=True)),
    ({"login": None, "email": "a@b.c"}, "login", Caller("oidc-sub:u-1", acts_as_owner=True)),
    (
        {"who": {"login": "ada"}},
        "who.login",
        Caller("oidc:ada", user=Ref("user", "default", "ada"), acts_as_owner=True),
    ),
]


@pytest.mark.parametrize(("claims", "user_claim", "caller"), WHO, ids=[f"{row[1]} of {row[0]}"[:80] for row in WHO])
async def test_claims_say_who_somebody_is(claims: dict[str, Any], user_claim: str, caller: Caller | None) -> None:
    trust = Trust("https://id.example", AUDIENCE, user_claim=user_claim)
    if caller is None:
        with pytest.raises(Unauthenticated, match="The token does not say whose it is"):
            caller_of(claims, trust)
    else:
        assert caller_of({"sub": "u-1", **claims}, trust) == caller


READ, WRITE, KPIS = Scope.CATALOG_READ, Scope.CATALOG_WRITE, Scope.KPIS_WRITE
SCOPES: list[tuple[dict[str, Any], str, set[Scope] | frozenset[Scope]]] = [
    ({}, "scope", {READ}),
    ({"scope": "openid catalog:write  kpis:write email"}, "scope", {READ, WRITE, KPIS}),
    ({"scope": ["openid", "catalog:write", 7, None, ["kpis:write"]]}, "scope", {READ, WRITE}),
    ({"scope": "admin"}, "scope", EVERYTHING),
    ({"scope": "Admin ADMIN catalog:* catalog"}, "scope", {READ}),
    ({"scope": {"admin": True}}, "scope", {READ}),
    ({"scope": 7}, "scope", {READ}),
    ({"scp": "kpis:write", "scope": "admin"}, "scp", {READ, KPIS}),
    ({"realm_access": {"roles": ["catalog:write"]}}, "realm_access.roles", {READ, WRITE}),
    ({"realm_access": ["roles"]}, "realm_access.roles", {READ}),
    ({"resource_access": {"catalograph": {"roles": ["admin"]}}}, "resource_access.catalograph.roles", EVERYTHING),
    ({"https://example.com/scopes": ["kpis:write"]}, "https://example.com/scopes", {READ, KPIS}),
]


@pytest.mark.parametrize(("claims", "scope_claim", "scopes"), SCOPES, ids=[f"{row[1]} of {row[0]}" for row in SCOPES])
async def test_claims_say_what_somebody_may_do(claims: dict[str, Any], scope_claim: str, scopes: set[Scope]) -> None:
    trust = Trust("https://id.example", AUDIENCE, scope_claim=scope_claim, scopes=frozenset({READ}))
    assert caller_of({"sub": "u-1", **claims}, trust).scopes == scopes


async def test_the_settings_say_whose_tokens_are_taken(provider: LocalProvider) -> None:
    issuer = issuer_of(settings(provider, oidc_leeway=7, oidc_user_claim="login", oidc_scope_claim="scp"))
    assert issuer
    assert issuer._trust == Trust(provider.url, AUDIENCE, 7, "login", "scp", frozenset({READ}))
    assert issuer_of(Settings()) is None


@pytest.mark.parametrize(
    ("issuer", "is_taken"),
    [
        ("https://id.example.com", True),
        ("https://id.example.com/realms/acme/", True),
        ("http://127.0.0.1:8081/realms/acme", True),
        ("http://[::1]:8081", True),
        ("http://id.example.com", False),
        ("http://localhost.evil.example", False),
        ("https://id.example.com?realm=acme", False),
        ("https://id.example.com#acme", False),
        ("id.example.com", False),
    ],
)
async def test_an_issuer_is_a_url_that_nobody_can_answer_for(issuer: str, is_taken: bool) -> None:  # noqa: FBT001
    environ = {"CATALOGRAPH_OIDC_ISSUER": issuer, "CATALOGRAPH_OIDC_AUDIENCE": AUDIENCE}
    if is_taken:
        assert Settings.from_environ(environ).oidc_issuer == issuer
    else:
        with pytest.raises(SettingsError, match="CATALOGRAPH_OIDC_ISSUER"):
            Settings.from_environ(environ)


async def test_an_issuer_without_an_audience_is_refused_at_the_start() -> None:
    with pytest.raises(SettingsError, match="CATALOGRAPH_OIDC_ISSUER and CATALOGRAPH_OIDC_AUDIENCE go together"):
        Settings.from_environ({"CATALOGRAPH_OIDC_ISSUER": "https://id.example.com"})


async def test_the_docs_have_every_scope_algorithm_and_reason() -> None:
    docs = (ROOT / "docs/authentication.md").read_text(encoding="utf-8")
    assert [word for word in Scope if f"\n| `{word}` |" not in docs] == []
    assert [name for name in ALGORITHMS - {"Ed25519"} if name not in docs] == []
    assert [reason for reason in sorted({message for _, _, message in REFUSED}) if reason not in docs] == []


# Through the app


@strawberry.type
class Query:
    @strawberry.field
    def hello(self) -> str:
        return "hello"


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def waves(self) -> AsyncGenerator[int]:
        for number in range(3):
            await WAVES.get()
            yield number


WAVES: asyncio.Queue[None]


def settings(provider: LocalProvider, **more: Any) -> Settings:
    database = "postgresql://nobody@127.0.0.1:1/none"  # these operations need none
    given = {"oidc_issuer": provider.url, "oidc_audience": AUDIENCE, "oidc_scopes": "catalog:read", **more}
    return Settings.model_validate({"port": 0, "database_url": database, **given})


@pytest.fixture
def app(provider: LocalProvider, front: Front, monkeypatch: pytest.MonkeyPatch) -> Starlette:
    monkeypatch.setattr("api.app.issuer_of", lambda _settings: front.issuer)
    return create_app(settings(provider), schema=strawberry.Schema(Query, subscription=Subscription))


async def test_a_request_without_a_good_token_is_401(app: Starlette, provider: LocalProvider) -> None:
    good, late = provider.token(), provider.token(exp=NOW - 3600)
    with logged() as log:
        async with running(app, settings(provider)) as serving, httpx2.AsyncClient() as client:

            async def ask(*authorization: str) -> httpx2.Response:
                headers = [("authorization", value) for value in authorization]
                return await client.post(
                    f"http://{serving.address}/graphql", json={"query": "{ hello }"}, headers=headers
                )

            nothing, expired, fine = await ask(), await ask(f"Bearer {late}"), await ask(f"Bearer {good}")
    assert (nothing.status_code, nothing.headers["www-authenticate"]) == (401, 'Bearer realm="catalograph"')
    assert expired.status_code == 401
    assert expired.headers["www-authenticate"] == (
        'Bearer realm="catalograph", error="invalid_token", error_description="The token has expired"'
    )
    assert expired.json()["errors"] == [{"message": EXPIRED, "extensions": {"code": "UNAUTHENTICATED"}}]
    assert (fine.status_code, fine.json()["data"]) == (200, {"hello": "hello"})
    assert [line.get("caller") for line in log if line["event"] == "request"] == [None, None, "oidc-sub:u-1"]
    assert not any(part in repr(log) for token in (good, late) for part in token.split("."))


async def test_a_request_before_the_provider_was_ever_reached_is_503(
    app: Starlette, provider: LocalProvider, front: Front
) -> None:
    await provider.stop()
    async with running(app, settings(provider)) as serving, httpx2.AsyncClient() as client:
        front.uptime.now += 1
        headers = {"authorization": f"Bearer {provider.token()}"}
        answer = await client.post(f"http://{serving.address}/graphql", json={"query": "{ hello }"}, headers=headers)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["errors"][0]["extensions"] == {"code": "UNAVAILABLE"}


async def test_a_socket_is_for_who_brings_a_good_token_and_as_long_as_it_is(
    app: Starlette, provider: LocalProvider, front: Front
) -> None:
    global WAVES  # noqa: PLW0603 - of the loop of this test
    WAVES = asyncio.Queue()
    async with running(app, settings(provider)) as serving:
        for payload in (
            {},
            {"Authorization": "Bearer x"},
            {"headers": {"authorization": f"Bearer {forged(provider)}"}},
        ):
            async with opened(serving.address) as socket:
                await say(socket, type="connection_init", payload=payload)
                assert (await closed(socket))[0] == 4403
        async with opened(serving.address) as socket:
            await say(socket, type="connection_init", payload={"Authorization": f"Bearer {provider.token()}"})
            assert await hear(socket) == {"type": "connection_ack"}
            await say(socket, type="subscribe", id="a", payload={"query": "subscription { waves }"})
            WAVES.put_nowait(None)
            assert (await hear(socket))["payload"]["data"] == {"waves": 0}
            front.now.now += 300 + LEEWAY
            WAVES.put_nowait(None)
            assert await closed(socket) == (4403, EXPIRED)


def opened(address: str) -> connect:
    return connect(f"ws://{address}/graphql", proxy=None, subprotocols=[Subprotocol("graphql-transport-ws")])


async def say(socket: ClientConnection, **message: Any) -> None:
    await socket.send(json.dumps(message))


async def hear(socket: ClientConnection) -> Any:
    return json.loads(await asyncio.wait_for(socket.recv(), 10))


async def closed(socket: ClientConnection) -> tuple[int | None, str | None]:
    """How the server closes the socket, as the next thing that it does."""
    with pytest.raises(ConnectionClosed) as closing:
        await asyncio.wait_for(socket.recv(), 10)
    close = closing.value.rcvd
    return (close.code, close.reason) if close else (None, None)


async def at_once(work: Coroutine[Any, Any, Any]) -> Any:
    """What needs no turn of anybody else."""
    task = asyncio.create_task(work)
    await asyncio.sleep(0)
    assert task.done()
    return task.result()


async def when(holds: Callable[[], bool]) -> None:
    """Wait until it holds."""

    async def holding() -> bool:
        return holds()

    await until(holding)
