"""`status`: what the store holds, and how it came about, for people, for alerts, and live."""

import json
import shlex
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from exbo_oauth import AppToken, SQLiteTokenStore
from exbo_oauth.cli.session import place_of
from exbo_oauth.flow.holders import owner_text
from exbo_oauth.masking import Secret
from exbo_oauth.stores.address import StoreAddress
from exbo_oauth.stores.base import Issue

FIRST = datetime(2026, 6, 1, 14, 3, tzinfo=UTC)
HISTORY = (
    Issue(at=FIRST, by="web-1:200", why="first", fingerprint="0a1b2c3d"),
    Issue(
        at=FIRST + timedelta(hours=1),
        by="web-2:311",
        why="refused",
        fingerprint="4e5f6a7b",
        target="eapi.stalcraft.net/regions",
    ),
)


def app_token(lives: float = 3600) -> AppToken:
    return AppToken(token_type="Bearer", access_token="secret-access-token", expires_in=lives)


@pytest.mark.parametrize(
    ("app", "user", "code"),
    [(None, None, 1), (3600, None, 0), (-1, None, 1), (None, 3600, 0), (None, -1, 0), (-1, -1, 0)],
    ids=["nothing", "a token", "an expired one", "a user", "one to be refreshed", "both expired"],
)
def test_the_exit_code_says_whether_anything_can_be_used(
    shell: Any, exbo: Any, app: float | None, user: float | None, code: int
) -> None:
    if app is not None:
        exbo.keep(None, app_token(app))
    if user is not None:
        exbo.keep("ivan", exbo.user_token(lives=user))
    for flags in ((), ("--json",)):
        done = shell.within("status", *flags)
        assert (done.returncode, done.stderr) == (code, "")
        assert done.stdout


@pytest.mark.parametrize("flags", [(), ("--json",), ("--all",)])
def test_nothing_is_made_by_looking(shell: Any, flags: tuple[str, ...]) -> None:
    before = sorted(shell.home.rglob("*"))
    for variables in ({}, {"EXBO_STORE": f"sqlite:///{shell.home.as_posix()}/deep/er/tokens.db"}):
        assert shell.within("status", *flags, **variables).returncode == 1
    assert sorted(shell.home.rglob("*")) == before


def test_a_token_that_replaced_another_tells_its_story(shell: Any, exbo: Any) -> None:
    exbo.keep(None, app_token(), history=HISTORY, doubted=(("prices.example", FIRST),))
    said = shell.within("status").stdout
    assert (
        "(application): got by process 311 on web-2 at 2026-06-01 15:03:00 UTC, because the API refused the one before "
        "(eapi.stalcraft.net/regions); before that got by process 200 on web-1 at 2026-06-01 14:03:00 UTC, because "
        "there was none"
    ) in said
    assert "(application): prices.example refused it while it was good, at 2026-06-01 14:03:00 UTC" in said
    assert "secret-access-token" not in said


def test_a_first_token_tells_why_it_was_issued(shell: Any, exbo: Any) -> None:
    assert shell.within("token").returncode == 0
    assert ", because there was none\n" in shell.within("status").stdout


def test_a_token_of_an_earlier_version_has_no_story(shell: Any, exbo: Any) -> None:
    exbo.keep(None, app_token())
    assert "got by" not in shell.within("status").stdout


def test_who_ended_a_token_by_hand_is_told(shell: Any, exbo: Any) -> None:
    exbo.keep(None, app_token(), followed=Issue(at=FIRST, by="cron-3:77", why="asked", fingerprint="4e5f6a7b"))
    assert (
        "(application): process 77 on cron-3 got one by hand (get_app_token) at 2026-06-01 14:03:00 UTC, which ends "
        "this one"
    ) in shell.within("status").stdout
    [facts] = json.loads(shell.within("status", "--json").stdout)
    assert (facts["followed"]["by"], facts["followed"]["fingerprint"]) == ("cron-3:77", "4e5f6a7b")


def test_a_replaced_token_tells_why_it_was_replaced(shell: Any, exbo: Any) -> None:
    assert shell.within("token").returncode == 0
    assert shell.within("refresh").returncode == 0
    assert ", because somebody asked for another one; before that got by " in shell.within("status").stdout


def test_an_exbo_account_that_is_kept_under_several_names_is_told(shell: Any, exbo: Any) -> None:
    for name, login in (("4711", "ivan"), ("guest", "steam-guest"), ("ivan", "ivan")):
        exbo.keep(name, exbo.user_token(login))
    told = [line for line in shell.within("status").stdout.splitlines() if "the same EXBO account" in line]
    assert told == ["4711 and ivan are the same EXBO account (user id 1): a new token of one ends those of the others."]


def test_json_has_the_story_too(shell: Any, exbo: Any) -> None:
    exbo.keep(None, app_token(), history=HISTORY, accepted_at=FIRST, doubted=(("prices.example", FIRST),))
    [facts] = json.loads(shell.within("status", "--json").stdout)
    assert facts["history"] == [
        {"at": "2026-06-01T14:03:00+00:00", "by": "web-1:200", "why": "first", "fingerprint": "0a1b2c3d"},
        {
            "at": "2026-06-01T15:03:00+00:00",
            "by": "web-2:311",
            "why": "refused",
            "fingerprint": "4e5f6a7b",
            "refused_at": "eapi.stalcraft.net/regions",
        },
    ]
    assert facts["accepted_at"] == "2026-06-01T14:03:00+00:00"
    assert facts["doubted"] == [{"host": "prices.example", "at": "2026-06-01T14:03:00+00:00"}]
    assert "lease" not in facts
    assert "secret-access-token" not in json.dumps(facts)


def test_who_renews_a_token_is_told(shell: Any, exbo: Any) -> None:
    exbo.keep(None, app_token())
    store = SQLiteTokenStore(exbo.path)
    assert store.acquire(exbo.key(None), owner_text("web-2:311", FIRST, "0123456789ab"), 60)
    store.close()
    [facts] = json.loads(shell.within("status", "--json").stdout)
    assert (facts["lease"], facts["lease_since"]) == ("web-2:311", "2026-06-01T14:03:00+00:00")
    said = shell.within("status").stdout
    assert "(application): process 311 on web-2 is renewing it, since 2026-06-01 14:03:00 UTC" in said


def test_who_gets_the_first_token_is_told(shell: Any, exbo: Any) -> None:
    store = SQLiteTokenStore(exbo.path)
    assert store.acquire(exbo.key(None), "web-2:311:0123456789ab", 60)
    store.close()
    done = shell.within("status")
    assert done.returncode == 1
    assert done.stdout.startswith(f"store: {exbo.path}\nThe store holds no token of this application.\n")
    assert done.stdout.endswith("(application): none yet; process 311 on web-2 is getting one\n")
    assert json.loads(shell.within("status", "--json").stdout) == [
        {"base_url": exbo.base_url, "client_id": "59", "account": None, "lease": "web-2:311"}
    ]


def test_a_damaged_entry_hides_no_other(shell: Any, exbo: Any) -> None:
    exbo.keep(None, app_token())
    exbo.keep("ivan", exbo.user_token())
    store = SQLiteTokenStore(exbo.path)
    store._link.run(lambda database: database.execute("UPDATE entries SET entry = '{' WHERE account = 'ivan'"))
    store.close()
    done = shell.within("status")
    assert done.returncode == 1
    assert "(application)" in done.stdout
    assert "no token" not in done.stdout
    assert f"{str(exbo.path)!r} is damaged; it was left as it is. Run: exbo-oauth logout --user ivan" in done.stderr


@pytest.mark.parametrize(("user", "flags"), [(None, ["--app"]), ("my guest", ["--user", "my guest"])])
def test_what_is_said_of_a_damaged_entry_cures_it(shell: Any, exbo: Any, user: str | None, flags: list[str]) -> None:
    exbo.keep(user, app_token() if user is None else exbo.user_token())
    store = SQLiteTokenStore(exbo.path)
    store._link.run(lambda database: database.execute("UPDATE entries SET entry = '{'"))
    store.close()
    asked = ["token", *(flags if user else [])]
    done = shell.within(*asked)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert str(exbo.path) in done.stderr
    assert "no token" not in shell.within("status").stdout
    command = done.stderr.partition(". Run: exbo-oauth ")[2].partition(", to remove it")[0]
    assert shlex.split(command) == ["logout", *flags]
    assert shell.within(*shlex.split(command)).returncode == 0
    again = shell.within(*asked)
    assert "damaged" not in again.stderr
    assert (again.returncode == 0) is (user is None)


def test_a_store_that_is_away_is_one_line(shell: Any, exbo: Any) -> None:
    done = shell.within("status", EXBO_STORE="redis://127.0.0.1:1/0")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://127.0.0.1:1/0", "redis://127.0.0.1:1/0"),
        ("redis://me:secret@127.0.0.1:1/0?a=secret", "redis://***@127.0.0.1:1/0"),
        ("redis://127.0.0.1:1/0?password=se@cret", "redis:***"),
        ("sqlite:///tokens.db?group=1", str(Path("tokens.db").absolute())),
        ("keyring:mine", "keyring:mine"),
    ],
)
def test_which_store_it_is_can_be_shown_without_its_secrets(url: str, shown: str) -> None:
    assert place_of(StoreAddress(Secret(url))) == shown


def test_a_conflict_tells_until_when_nothing_is_issued(shell: Any, exbo: Any) -> None:
    now = datetime.now(UTC)
    earlier, later = now - timedelta(seconds=100), now - timedelta(seconds=50)
    exbo.keep(None, app_token(), superseded=(earlier,))
    said = shell.within("status").stdout
    assert "(application): its predecessors were superseded 1 time in the last five minutes\n" in said
    assert "no other until" not in said
    exbo.keep("ivan", exbo.user_token(), superseded=(earlier, later))
    said = shell.within("status").stdout
    until = earlier + timedelta(minutes=5)
    assert f"ivan: if the API refuses this one, too, programs get no other until {until:%Y-%m-%d %H:%M:%S} UTC" in said


@pytest.fixture
def watched(shell: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """What `status --watch` tells if each of these is done in one of its pauses, and then Ctrl-C is pressed."""

    def watch(*steps: Callable[[], object], flags: Sequence[str] = ()) -> Any:
        left = iter(steps)

        def pause(seconds: float) -> None:
            step = next(left, None)
            if step is None:
                raise KeyboardInterrupt
            step()

        with monkeypatch.context() as patch:
            patch.setattr(time, "sleep", pause)
            done = shell.within("status", "--watch", *flags)
        assert done.returncode == 130
        return done

    return watch


def test_watching_tells_of_every_change(watched: Any, exbo: Any) -> None:
    with closing(SQLiteTokenStore(exbo.path)) as store:
        told = watched(
            lambda: exbo.keep(None, app_token(), history=HISTORY[:1]),
            lambda: store.acquire(exbo.key(None), "web-2:311:0123456789ab", 60),
            lambda: None,
            lambda: store.swap(exbo.key(None), 1, None),
        ).stdout.splitlines()
    assert [line.partition("  ")[2] for line in told] == [
        "(application): got by process 200 on web-1 at 2026-06-01 14:03:00 UTC, because there was none",
        "(application): process 311 on web-2 is renewing it",
        "(application): forgotten",
    ]


def test_watching_waits_for_a_store_that_is_yet_to_be_made(watched: Any, exbo: Any) -> None:
    done = watched(lambda: None, lambda: exbo.keep(None, app_token(), history=HISTORY[:1]))
    assert done.stdout.count("\n") == 1


def test_watching_as_json_is_a_document_a_line(watched: Any, exbo: Any) -> None:
    exbo.keep(None, app_token(), history=HISTORY)
    [told] = map(json.loads, watched(flags=["--json"]).stdout.splitlines())
    assert (told["change"], told["account"], told["history"][-1]["by"]) == ("token", None, "web-2:311")
    assert "secret-access-token" not in json.dumps(told)


def test_watching_goes_on_when_the_store_is_away_which_is_said_once(watched: Any, exbo: Any) -> None:
    exbo.path.write_bytes(b"not a database" * 100)
    exbo.path.chmod(0o600)
    done = watched(
        lambda: None, exbo.path.unlink, lambda: exbo.keep(None, app_token(), history=HISTORY[:1]), lambda: None
    )
    assert (done.stderr.count("\n"), done.stdout.count("\n")) == (1, 1)
    assert "is not a token store" in done.stderr
