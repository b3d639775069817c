"""The models: what they take, what they give back, and that nothing they print is a secret."""

import copy
import json
import pickle
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from enum import Enum
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from attrs import field, frozen
from attrs.exceptions import FrozenInstanceError
from hypothesis import example, given
from hypothesis import strategies as st

from exbo_oauth import (
    AppToken,
    ConfigurationError,
    OAuthModel,
    RateLimit,
    TokenResponse,
    UserInfo,
    UserToken,
)

from .given import NEW_ACCESS_TOKEN, NOW, RECORDED, TOKEN, USER, without

USER_ID = UUID("00000001-0000-4000-8000-000000000001")
MOSCOW = timezone(timedelta(hours=3))
NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001  # what is refused
EDGE = datetime.min.replace(tzinfo=MOSCOW)  # has no UTC form


def app_token(**fields: Any) -> AppToken:
    return AppToken(**{"token_type": "Bearer", "access_token": "token", "expires_in": NOW, **fields})


def user_info(**fields: Any) -> UserInfo:
    return UserInfo(**{"id": 1, "uuid": USER_ID, "login": "ivan", "distributor": "exbo", **fields})


# Every model as a strategy

moments = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=st.sampled_from([UTC, MOSCOW]))  # noqa: DTZ001
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KNOWN = {*TOKEN, *USER, "expires_at", "limit", "remaining", "used", "reset"}
extras = st.dictionaries(st.text(max_size=10).filter(lambda name: name not in KNOWN), json_values, max_size=3)
header_text = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1)
printable_ascii = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1)
token_fields = {
    "token_type": st.text(),
    "access_token": header_text,
    "expires_in": moments,
    "extra": extras,
}
counts = st.none() | st.integers()
models = st.one_of(
    st.builds(OAuthModel, extra=extras),
    st.builds(TokenResponse, **token_fields),
    st.builds(AppToken, **token_fields),
    st.builds(UserToken, refresh_token=printable_ascii, **token_fields),
    st.builds(
        UserInfo,
        id=st.integers(),
        uuid=st.uuids(),
        login=st.text(),
        display_login=st.none() | st.text(),
        distributor=st.text(),
        distributor_id=st.none() | st.text(),
        extra=extras,
    ),
    st.builds(RateLimit, limit=counts, remaining=counts, used=counts, reset=st.none() | moments, extra=extras),
)


@given(model=models)
def test_a_model_survives_its_dict_json_a_pickle_and_a_copy(model: OAuthModel) -> None:
    data = model.to_dict()
    assert type(model).from_dict(data) == model
    assert type(model).from_dict(json.loads(json.dumps(data))) == model
    for twin in (pickle.loads(pickle.dumps(model)), copy.copy(model), copy.deepcopy(model)):  # our own
        assert twin == model
        assert type(twin) is type(model)
        assert hash(twin) == hash(model)


@given(model=models)
def test_every_moment_is_in_utc(model: OAuthModel) -> None:
    for name in ("expires_in", "expires_at", "reset"):
        assert getattr(getattr(model, name, None), "tzinfo", UTC) is UTC


def test_models_of_different_kinds_are_never_equal() -> None:
    fields: dict[str, Any] = {"token_type": "Bearer", "access_token": "a", "expires_in": NOW}
    assert AppToken(**fields) == AppToken(**fields)
    assert AppToken(**fields) != TokenResponse(**fields)
    assert AppToken(**fields) != app_token(access_token="b")
    assert AppToken(**fields) != app_token(access_token="a", extra={"more": 1})
    assert len({AppToken(**fields), AppToken(**fields), TokenResponse(**fields)}) == 2


@pytest.mark.parametrize("model", [app_token(), user_info(), RateLimit()], ids=lambda model: type(model).__name__)
def test_models_are_frozen_slotted_and_keyword_only(model: OAuthModel) -> None:
    with pytest.raises(FrozenInstanceError):
        model.extra = {}  # type: ignore[misc]
    assert not hasattr(model, "__dict__")
    with pytest.raises(TypeError):
        type(model)({})  # type: ignore[call-arg]


# What is written


def test_a_token_is_written_with_its_moment_and_never_a_relative_time() -> None:
    token = UserToken(
        token_type="Bearer",
        access_token="a",
        refresh_token="r",
        expires_in=datetime(2027, 1, 2, 6, tzinfo=MOSCOW),
        extra={"guild": 7},
    )
    assert token.to_dict() == {
        "guild": 7,
        "token_type": "Bearer",
        "access_token": "a",
        "refresh_token": "r",
        "expires_at": "2027-01-02T03:00:00+00:00",
    }


def test_a_saved_token_is_read_the_same_at_any_time() -> None:
    saved = app_token(expires_in=NOW).to_dict()
    assert AppToken.from_dict(saved, now=NOW + timedelta(days=300)).expires_in == NOW


def test_a_user_is_written_with_every_field() -> None:
    assert user_info().to_dict() == USER


def test_limits_are_written_as_json() -> None:
    assert RateLimit(limit=5, reset=1795462108).to_dict() == {
        "limit": 5,
        "remaining": None,
        "used": None,
        "reset": "2026-11-23T19:28:28+00:00",
    }


# What is read


def test_a_servers_answer_counts_from_now() -> None:
    assert UserToken.from_dict(TOKEN, now=NOW).expires_in == NOW + timedelta(days=365)


def test_without_now_a_servers_answer_counts_from_the_present() -> None:
    before = datetime.now(UTC)
    token = UserToken.from_dict(TOKEN)
    assert before <= token.expires_in - timedelta(days=365) <= datetime.now(UTC)


def test_any_mapping_will_do_and_is_left_alone() -> None:
    data = dict(TOKEN)
    assert UserToken.from_dict(MappingProxyType(data), now=NOW).extra == {}
    assert data == TOKEN


def test_a_saved_moment_may_be_a_datetime_and_wins_over_a_relative_time() -> None:
    data = TOKEN | {"expires_at": NOW.astimezone(MOSCOW)}
    assert UserToken.from_dict(data).expires_in == NOW


@pytest.mark.parametrize(
    "moment", [1795461998, 1795461998.0, "1795461998", 1795461998000, "2026-11-23 19:26:38+00:00"], ids=repr
)
def test_a_token_that_another_library_saved_ends_when_it_says(moment: Any) -> None:
    """authlib, requests-oauthlib and spotipy write the epoch beside the lifetime, which was relative to long ago."""
    assert UserToken.from_dict(TOKEN | {"expires_at": moment}).expires_in == NOW


@pytest.mark.parametrize("fields", [{}, {"expires_in": None}, {"expires_in": None, "expires_at": None}], ids=repr)
def test_a_token_of_unknown_life_serves_until_it_is_refused(fields: dict[str, Any]) -> None:
    """RFC 6749, section 5.1: ``expires_in`` is recommended, not required."""
    token = UserToken.from_dict(without(TOKEN, "expires_in") | fields)
    assert not token.is_expired()
    assert token.expires_after() > timedelta(days=365_000)
    assert token.expires_in.astimezone(timezone(timedelta(hours=14))).year == 9999
    assert UserToken.from_dict(json.loads(json.dumps(token.to_dict()))) == token


def test_what_one_token_was_given_no_other_has() -> None:
    one, other = (AppToken(token_type="Bearer", access_token="x", expires_in=60) for _ in range(2))
    one.extra["scope"] = "mine"
    assert other.extra == {}


@pytest.mark.parametrize("number", [7, "7"], ids=["that fits", "that is converted"])
def test_a_field_named_extra_is_just_another_field_of_an_answer(number: Any) -> None:
    info = UserInfo.from_dict(USER | {"id": number, "extra": 5, 6: "six"})
    assert info.extra == {"extra": 5, "6": "six"}
    assert UserInfo.from_dict(info.to_dict()) == info


class Rank(Enum):
    STALKER = "stalker"


@frozen
class Camp:
    place: str


@frozen(kw_only=True, repr=False)
class Member(UserInfo):
    """A caller's own."""

    rank: Rank = Rank.STALKER
    camp: Camp = Camp("Swamps")
    age: int = field(default=18)

    @age.validator
    def _check(self, _: object, age: int) -> None:
        if age < 18:
            raise RuntimeError(f"{age} is too young")


def test_a_class_of_the_callers_own_is_written_as_json_and_read_again() -> None:
    member = Member.from_dict(USER | {"rank": "stalker", "camp": {"place": "Bar"}, "age": 20})
    data = member.to_dict()
    assert data == USER | {"rank": "stalker", "camp": {"place": "Bar"}, "age": 20}
    assert Member.from_dict(json.loads(json.dumps(data))) == member


def test_whatever_a_class_of_the_callers_own_raises_means_that_the_data_does_not_fit() -> None:
    with pytest.raises(ConfigurationError, match="this is not a valid Member"):
        Member.from_dict(USER | {"age": 5})


def test_a_uuid_may_be_one_already() -> None:
    assert UserInfo.from_dict(USER | {"uuid": USER_ID}).uuid == USER_ID


ODD: dict[str, tuple[type[OAuthModel], Any, str]] = {
    "none": (AppToken, None, r"this is not a valid AppToken: expected an object @ \$$"),
    "a list": (UserInfo, [("id", 1)], r"this is not a valid UserInfo: expected an object @ \$$"),
    "text": (RateLimit, "{}", r"this is not a valid RateLimit: expected an object @ \$$"),
    "a naive moment": (
        AppToken,
        TOKEN | {"expires_at": NAIVE},
        r"expected an ISO 8601 moment or epoch seconds @ \$\.expires_at$",
    ),
    "naive text": (AppToken, TOKEN | {"expires_at": "2026-01-01T00:00:00"}, r"@ \$\.expires_at$"),
    "no moment": (AppToken, TOKEN | {"expires_at": "tomorrow"}, r"@ \$\.expires_at$"),
    "a list for a moment": (AppToken, TOKEN | {"expires_at": [NEW_ACCESS_TOKEN]}, r"@ \$\.expires_at$"),
    "an endless moment": (AppToken, TOKEN | {"expires_at": 10**300}, r"@ \$\.expires_at$"),
    "beyond the calendar": (AppToken, TOKEN | {"expires_at": "0001-01-01T00:00:00+01:00"}, r"@ \$\.expires_at$"),
    "a dead line": (AppToken, TOKEN | {"expires_in": 10**5000}, r"expected a number of seconds @ \$\.expires_in$"),
    "no id": (UserInfo, without(USER, "id"), r"missing @ \$\.id$"),
    "a great id": (UserInfo, USER | {"distributor_id": 10**5000}, r"does not fit @ \$\.distributor_id$"),
    "an odd id": (UserInfo, USER | {"id": b"1"}, r"expected a whole number, got bytes @ \$\.id$"),
    "an odd reset": (RateLimit, {"reset": "soon"}, r"'soon' is not a number of seconds @ \$\.reset$"),
    "an odd moment": (RateLimit, {"reset": "To-morrow"}, r"@ \$\.reset$"),
    "a late reset": (RateLimit, {"reset": 10**15 - 1}, r"999999999999999 is not a moment @ \$\.reset$"),
    "an odd limit": (RateLimit, {"limit": "many"}, r"expected a whole number, got a string @ \$\.limit$"),
}


@pytest.mark.parametrize(("kind", "data", "problem"), ODD.values(), ids=ODD)
def test_data_that_does_not_fit_is_refused_with_its_place(kind: type[OAuthModel], data: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=f"(?m:{problem})") as caught:
        kind.from_dict(data)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("now", [NAIVE, "now", 5, EDGE], ids=str)
def test_an_odd_now_is_the_callers_mistake_and_not_the_datas(now: Any) -> None:
    calls: list[Callable[[], object]] = [
        lambda: AppToken.from_dict(TOKEN, now=now),
        lambda: TokenResponse.parse_expires_in(5, now),
        lambda: app_token().is_expired(now=now),
        lambda: app_token().expires_after(now),
    ]
    for call in calls:
        with pytest.raises(ConfigurationError, match=r"offset|aware|calendar") as caught:
            call()
        assert "expires_in" not in str(caught.value)


def test_a_moment_whose_zone_knows_no_offset_is_naive() -> None:
    class Nowhere(tzinfo):
        def utcoffset(self, _moment: datetime | None) -> None:
            return None

    with pytest.raises(ConfigurationError, match="no UTC offset"):
        app_token(expires_in=datetime(2026, 1, 1, tzinfo=Nowhere()))  # type: ignore[abstract]  # all it needs


# Expiry

SECONDS: list[tuple[Any, float]] = [
    (60, 60),
    (0, 0),
    (-5, -5),
    (1.5, 1.5),
    ("31536000", 31536000),
    (" 60 ", 60),
    ("1.5", 1.5),
    ("1e3", 1000),
]
NO_SECONDS: list[tuple[Any, str]] = [
    ("soon", "'soon' is not a number"),
    ("", "'' is not a number"),
    ("nan", "'nan' is not a number"),
    ("inf", "'inf' is not a number"),
    (float("nan"), "nan is not a number"),
    (float("-inf"), "-inf is not a number"),
    (True, "True is not a number"),
    (None, "None is not a number"),
    (b"60", "b'60' is not a number"),
    (("60",), r"\('60',\) is not a number"),
    (NOW, "is not a number"),
    (timedelta(1), "is not a number"),
    (10**5000, "too many digits is not a number"),
    ("9" * 5000, "'9{39}… is not a number"),
    (10**20, "beyond the calendar"),
    (-(10**12), "beyond the calendar"),
    (1e300, "beyond the calendar"),
]


@pytest.mark.parametrize(("value", "seconds"), SECONDS, ids=repr)
def test_seconds_become_the_moment_of_expiry(value: Any, seconds: float) -> None:
    assert TokenResponse.parse_expires_in(value, NOW) == NOW + timedelta(seconds=seconds)
    assert UserToken.parse_expires_in(value, NOW.astimezone(MOSCOW)).tzinfo is UTC
    before = datetime.now(UTC)
    token = app_token(expires_in=value)
    assert before <= token.expires_in - timedelta(seconds=seconds) <= datetime.now(UTC)


@pytest.mark.parametrize(("value", "problem"), NO_SECONDS, ids=[problem for _, problem in NO_SECONDS])
def test_what_is_no_number_of_seconds_is_a_value_error_naming_it(value: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=f"(?m:{problem})") as caught:
        AppToken.parse_expires_in(value, NOW)
    assert isinstance(caught.value, ConfigurationError)


@pytest.mark.parametrize("moment", [NAIVE, EDGE, "2027-01-01T00:00:00+00:00", None], ids=str)
def test_a_constructor_takes_aware_moments_and_numbers_only(moment: Any) -> None:
    with pytest.raises(ConfigurationError):
        app_token(expires_in=moment)


LEEWAYS: list[tuple[float, int, bool]] = [
    (0, -1, False),
    (0, 0, True),
    (0, 1, True),
    (60, -61, False),
    (60, -60, True),
    (-5, 4, False),
    (-5, 5, True),
]
LEEWAYS += [(float("inf"), -(10**6), True), (float("-inf"), 10**6, False)]


@pytest.mark.parametrize(("leeway", "seconds", "expired"), LEEWAYS)
def test_a_token_ends_with_its_last_second_less_the_leeway(leeway: float, seconds: int, expired: bool) -> None:
    now = NOW + timedelta(seconds=seconds)
    assert app_token(expires_in=NOW).is_expired(leeway=leeway, now=now) is expired
    assert app_token(expires_in=NOW).expires_after(now) == timedelta(seconds=-seconds)


def test_expiry_counts_from_the_present_by_default() -> None:
    assert not app_token(expires_in=3600).is_expired()
    assert app_token(expires_in=3600).is_expired(leeway=3601)
    assert app_token(expires_in=-1).is_expired()
    assert timedelta(seconds=3500) < app_token(expires_in=3600).expires_after() <= timedelta(seconds=3600)


def test_expires_at_is_expires_in() -> None:
    assert app_token(expires_in=NOW).expires_at == app_token(expires_in=NOW).expires_in == NOW


# Claims and the header


def part(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


JWTS = {
    f"{row['id']} {row['server']}": json.loads(row["body"])["access_token"]
    for row in RECORDED
    if row["path"] == "/oauth/token" and row["status"] == 200
}


@pytest.mark.parametrize("token", JWTS.values(), ids=JWTS)
def test_the_claims_of_a_recorded_token_are_read(token: str) -> None:
    claims = app_token(access_token=token).claims
    assert claims is not None
    assert {"aud", "jti", "iat", "nbf", "exp", "sub", "scopes"} == set(claims)
    assert isinstance(claims["aud"], str)
    assert isinstance(claims["scopes"], list)


NO_JWTS = {
    "opaque": "def50200",
    "two parts": "a.e30",
    "four parts": "a.e30.c.d",
    "no base64": "a.!.c",
    "one letter": "a.b.c",
    "no JSON": f"a.{part(b'claims')}.c",
    "no UTF-8": f"a.{part(bytes([0xFF, 0xFE, 0xFD]))}.c",
    "an array": f"a.{part(b'[]')}.c",
    "empty": "a..c",
    "5000 digits": f"a.{part(b'9' * 5000)}.c",
    "bottomless": f"a.{part(b'[' * 100_000)}.c",
}


@pytest.mark.parametrize("token", NO_JWTS.values(), ids=NO_JWTS)
def test_a_token_that_is_no_jwt_has_no_claims(token: str) -> None:
    assert app_token(access_token=token).claims is None


@given(token=header_text)
@example(token="a.e30.c")
def test_any_token_has_claims_or_none(token: str) -> None:
    assert isinstance(app_token(access_token=token).claims, dict | None)


@given(claims=st.dictionaries(st.text(), json_values))
def test_the_payload_is_read_as_it_is(claims: dict[str, Any]) -> None:
    assert app_token(access_token=f"a.{part(json.dumps(claims).encode())}.c").claims == claims


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", ""])
def test_the_scheme_is_spelled_as_the_server_takes_it(scheme: str) -> None:
    assert app_token(token_type=scheme, access_token="a.b.c").authorization == "Bearer a.b.c"


@pytest.mark.parametrize("token", ["", "a b", "a\n", "\x7f", "é", "\ud800", "a\tb", None, 5, b"a"], ids=repr)
def test_a_token_that_cannot_travel_in_a_header_is_refused(token: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"visible ASCII.* @ \$\.access_token"):
        app_token(access_token=token)


@pytest.mark.parametrize("token", ["", "a\n", "é", None, 5], ids=repr)
def test_a_refresh_token_is_printable_ascii(token: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"printable ASCII @ \$\.refresh_token"):
        UserToken(token_type="Bearer", access_token="a", expires_in=5, refresh_token=token)


@pytest.mark.parametrize("extra", [None, 5, "text", ["a"]], ids=repr)
def test_extra_is_a_mapping(extra: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        app_token(extra=extra)
    assert str(caught.value) == "extra must be a mapping of further fields"


# Users


@pytest.mark.parametrize(("display", "name"), [("Ivan", "Ivan"), (None, "ivan"), ("", "ivan")])
def test_the_name_is_what_the_user_chose_or_the_login(display: str | None, name: str) -> None:
    assert user_info(display_login=display).name == name


# Limits


@pytest.mark.parametrize(
    "reset", [1795462108, 1795462108.0, 1795462108000, "1795462108", "1795462108000"], ids=lambda value: repr(value)
)
def test_a_reset_is_read_in_seconds_and_milliseconds(reset: Any) -> None:
    moment = datetime(2026, 11, 23, 19, 28, 28, tzinfo=UTC)
    assert RateLimit(reset=reset).reset == moment
    assert RateLimit.from_dict({"reset": reset}).reset == moment
    assert RateLimit.from_headers({"x-ratelimit-reset": f"{float(reset):.0f}"}) == RateLimit(reset=reset)


@pytest.mark.parametrize(
    "reset", [True, "soon", 1e300, 10**30, float("nan"), NAIVE, b"5"], ids=lambda value: repr(value)
)
def test_an_odd_reset_is_refused(reset: Any) -> None:
    with pytest.raises(ConfigurationError):
        RateLimit(reset=reset)


HEADERS: dict[str, tuple[dict[str, str], RateLimit | None]] = {
    "none": ({"content-type": "text/html"}, None),
    "league": ({"x-ratelimit-limit": "60", "x-ratelimit-remaining": "59"}, RateLimit(limit=60, remaining=59)),
    "game API": (
        {"x-ratelimit-limit": "400", "x-ratelimit-used": "1", "x-ratelimit-reset": "1795462108000"},
        RateLimit(limit=400, used=1, reset=1795462108),
    ),
    "garbage": ({"x-ratelimit-limit": "many"}, RateLimit()),
    "below zero": ({"x-ratelimit-limit": "-1"}, RateLimit()),
    "other digits": ({"x-ratelimit-limit": "\u0663"}, RateLimit()),
    "too many digits": ({"x-ratelimit-limit": "9" * 5000, "x-ratelimit-used": "2"}, RateLimit(used=2)),
    "a reset beyond the calendar": (
        {"x-ratelimit-limit": "60", "x-ratelimit-reset": "9" * 15},
        RateLimit(limit=60),
    ),
}


@pytest.mark.parametrize(("headers", "limits"), HEADERS.values(), ids=HEADERS)
def test_limits_are_read_from_headers_and_what_makes_no_sense_is_none(
    headers: dict[str, str], limits: RateLimit | None
) -> None:
    assert RateLimit.from_headers(headers) == limits


@pytest.mark.parametrize(
    "row", [row for row in RECORDED if "x-ratelimit-limit" in row["headers"]], ids=lambda row: row["id"]
)
def test_the_recorded_limits_are_read(row: dict[str, Any]) -> None:
    limits = RateLimit.from_headers(row["headers"])
    assert limits is not None
    assert limits.limit == int(row["headers"]["x-ratelimit-limit"])
    assert limits.remaining == int(row["headers"]["x-ratelimit-remaining"])
    assert (limits.reset is not None) is ("x-ratelimit-reset" in row["headers"])


# What is shown

secrets = st.text("ABCDEFGHJKLMNPQRSTVWXYZ0123456789", min_size=20)


@given(access=secrets, refresh=secrets, unknown=secrets)
def test_no_token_ever_shows(access: str, refresh: str, unknown: str) -> None:
    user = UserToken(
        token_type="Bearer", access_token=access, refresh_token=refresh, expires_in=NOW, extra={"id_token": unknown}
    )
    app = AppToken.from_dict(user.to_dict())
    for token in (user, app):
        for shown in (repr(token), str(token), f"{token}", f"{token!r}", f"{token}", token._repr_html_()):
            assert access not in shown
            assert refresh not in shown
            assert unknown not in shown
            assert "***" in shown
            assert "id_token" in shown


def test_a_repr_shows_all_that_is_no_secret() -> None:
    token = app_token(expires_in=NOW, extra={"b": 1, "a\n": 2})
    assert repr(token) == (
        "AppToken(token_type='Bearer', access_token=***, "
        "expires_in=datetime.datetime(2026, 11, 23, 19, 26, 38, tzinfo=datetime.timezone.utc), extra=<'a\\n', 'b'>)"
    )
    assert repr(RateLimit(limit=5)) == "RateLimit(limit=5, remaining=None, used=None, reset=None)"


def test_a_notebook_shows_a_table_with_the_lifetime_left() -> None:
    shown = app_token(expires_in=timedelta(days=2, hours=1).total_seconds())._repr_html_()
    assert shown.startswith("<table><caption>AppToken</caption><tr><th>token_type</th>")
    assert "<th>lifetime</th><td>2 days, 0:59:5" in shown
    assert shown.count("<tr>") == shown.count("</tr>") == 4
    assert "<td>expired</td>" in app_token(expires_in=0)._repr_html_()


def test_a_notebook_table_escapes_what_the_server_sent() -> None:
    shown = user_info(login="<script>", extra={"<b>": 1})._repr_html_()
    assert "<script>" not in shown
    assert "<b>" not in shown
    assert "&lt;script&gt;" in shown


def test_an_instance_whose_construction_failed_still_has_a_repr() -> None:
    for kind in (OAuthModel, AppToken, UserToken, UserInfo, RateLimit):
        assert repr(kind.__new__(kind)).startswith(kind.__name__)


@pytest.mark.parametrize("seconds", [1_000_000_000, 1_795_000_000.5, "1795000000"])
def test_a_lifetime_that_can_only_be_a_moment_is_refused_with_the_cure(seconds: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"can only be a moment: pass datetime\.fromtimestamp"):
        AppToken(token_type="Bearer", access_token="a", expires_in=seconds)
