"""The programs in examples/, each run as its own process against the sandbox, as a reader would run it.

Nothing that they send, print or put into a cookie may hold a token.
"""

import base64
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from queue import Empty, Queue
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from attrs import define, field

from exbo_oauth import SQLiteTokenStore
from exbo_oauth.testing import FakeExbo

from .free_ports import free_port
from .login.chromium import chromium
from .login.robot import browse

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
PATIENCE = 120.0  # seconds until a test gives up: frameworks take long to start on a busy machine


def needs(*modules: str) -> None:
    """Skip where a framework is missing, except where it decides."""
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"needs {', '.join(missing)}")


def until(condition: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < end, f"waited in vain until {what}"
        time.sleep(0.02)
    return value


@define
class Running:
    """A recipe as a process, and everything that it printed."""

    process: "subprocess.Popen[str]"
    printed: str = ""

    def follow(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.printed += line

    def listens(self, port: int) -> bool:
        assert self.process.poll() is None, self.printed
        with suppress(OSError), socket.create_connection(("localhost", port), 1):
            return True
        return False


@contextmanager
def running(command: list[str], environment: Mapping[str, str], folder: Path) -> Iterator[Running]:
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, EXAMPLES))),
            "PYTHONUNBUFFERED": "1",
            **environment,
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    running = Running(process)
    reader = threading.Thread(target=running.follow)
    reader.start()
    try:
        yield running
    finally:
        process.terminate()
        process.wait(PATIENCE)
        reader.join()
        assert process.stdout
        process.stdout.close()


@define
class Site:
    """A web site of a recipe, and all that it ever sent."""

    fake: FakeExbo
    origin: str
    login: str
    callback: str
    program: Running
    store: Path
    sent: list[str] = field(factory=list)

    @contextmanager
    def visitor(self) -> Iterator[httpx.Client]:
        def note(response: httpx.Response) -> None:
            response.read()
            if str(response.url).startswith(self.origin):
                self.sent += [response.text, *map(opened, response.headers.values())]

        with httpx.Client(event_hooks={"response": [note]}, timeout=PATIENCE) as visitor:
            yield visitor

    def exchanges(self) -> int:
        return sum(request.path == "/oauth/token" for request in self.fake.requests)

    def accounts(self) -> list[str | None]:
        store = SQLiteTokenStore(self.store)
        try:
            return [key.account for key in list(store.keys())]
        finally:
            store.close()


def opened(text: str) -> str:
    """`text`, and behind it what is encoded in it, as the signed cookies of frameworks are."""
    found = [text]
    for part in re.split(r"[.;=: ]", text):
        with suppress(ValueError, zlib.error):
            raw = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_")
            found.append(raw.decode("latin-1"))
            found.append(zlib.decompress(raw).decode("latin-1"))
    return "\n".join(found)


RECIPES = {
    "fastapi": (
        ("fastapi", "uvicorn", "itsdangerous"),
        ["-m", "uvicorn", "fastapi_login:app", "--no-access-log", "--port"],
        "",
    ),
    "flask": (("flask",), ["-m", "flask", "--app", "flask_login", "run", "--port"], ""),
    "django": (("django",), [str(EXAMPLES / "django_login.py"), "runserver", "--noreload"], ""),
    "django-async": (("django",), [str(EXAMPLES / "django_login.py"), "runserver", "--noreload"], "/async"),
}


@contextmanager
def site_of(recipe: str, folder: Path) -> Iterator[Site]:
    modules, command, prefix = RECIPES[recipe]
    needs(*modules)
    port, fake = free_port(), FakeExbo()
    origin = f"http://localhost:{port}"
    app = fake.add_app(redirect_uris=(f"{origin}{prefix}/callback",))
    with fake.serve() as base_url:
        environment = {
            "EXBO_CLIENT_ID": app.client_id,
            "EXBO_CLIENT_SECRET": app.client_secret,
            "EXBO_REDIRECT_URI": f"{origin}{prefix}/callback",
            "EXBO_OAUTH_URL": base_url,
            "EXBO_API_URL": fake.api_url,
            "EXBO_STORE": f"sqlite:///{(folder / 'tokens.db').as_posix()}",
            "TMPDIR": str(folder),
        }
        with running([*command, str(port)], environment, folder) as program:
            until(lambda: program.listens(port), "the site is up")
            site = Site(
                fake, origin, f"{origin}{prefix}/login", f"{origin}{prefix}/callback", program, folder / "tokens.db"
            )
            yield site
    secrets = [secret for issued in fake.issued for secret in (issued.access_token, issued.refresh_token) if secret]
    secrets.append(app.client_secret)
    everything = "\n".join([*site.sent, program.printed])
    assert "code=" not in program.printed
    assert "SESSION_SECRET is not set" in program.printed
    assert not [secret for secret in secrets if secret in everything]


@pytest.fixture(scope="module", params=RECIPES)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site_of(request.param, tmp_path_factory.mktemp(request.param)) as site:
        yield site


@pytest.fixture(scope="module")
def chrome() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


def test_a_visitor_logs_in_and_out(site: Site) -> None:
    guest, before = "00000002-0000-4000-8000-000000000002", site.exchanges()
    with site.visitor() as visitor:
        page = browse(visitor, site.login, login="steam-guest")
        assert str(page.url).rstrip("/") == site.origin
        assert "Hello, Guest! Your characters: Guest" in page.text
        assert guest in site.accounts()
        assert "Hello, Guest!" in visitor.get(site.origin).text
        assert site.exchanges() == before + 1
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
        fields = {"csrfmiddlewaretoken": token[1]} if token else {}
        page = visitor.post(f"{site.origin}/logout", data=fields, follow_redirects=True)
        assert "Log in with EXBO" in page.text
        assert guest not in site.accounts()


def test_a_visitor_who_says_no_is_told_so(site: Site) -> None:
    before = site.exchanges()
    site.fake.add_user("nobody-yet")
    with site.visitor() as visitor:
        page = browse(visitor, site.login, login="nobody-yet", approve=False)
        assert page.status_code == 400
        assert "declined" in page.text
        assert "Log in with EXBO" in visitor.get(site.origin).text
    assert site.exchanges() == before


def test_somebody_elses_callback_is_refused_and_ours_still_serves(site: Site) -> None:
    before = site.exchanges()
    with site.visitor() as victim, site.visitor() as attacker:
        begun = victim.get(site.login)
        forged = site.fake.authorize(attacker.get(site.login).headers["location"], "steam-guest")
        answer = victim.get(forged)
        assert answer.status_code == 400
        assert "No sign-in is under way" in answer.text
        assert site.exchanges() == before
        page = victim.get(site.fake.authorize(begun.headers["location"]), follow_redirects=True)
        assert "Hello, ivan!" in page.text


def test_two_tabs_both_end_signed_in(site: Site) -> None:
    with site.visitor() as visitor:
        first, second = (visitor.get(site.login).headers["location"] for _ in range(2))
        back = [site.fake.authorize(first), site.fake.authorize(second)]
        for address in back:
            assert "Hello, ivan!" in visitor.get(address, follow_redirects=True).text


def test_a_callback_that_is_loaded_again_leads_home(site: Site) -> None:
    with site.visitor() as visitor:
        back = site.fake.authorize(visitor.get(site.login).headers["location"])
        visitor.get(back)
        before = site.exchanges()
        assert "Hello, ivan!" in visitor.get(back, follow_redirects=True).text
    assert site.exchanges() == before


def test_a_callback_that_is_asked_for_twice_at_once_is_no_error(site: Site) -> None:
    with site.visitor() as visitor:
        back = site.fake.authorize(visitor.get(site.login).headers["location"])
        before = dict(visitor.cookies)  # what a phone sends with both, before either was answered
        with ThreadPoolExecutor(2) as pool:
            both = list(pool.map(lambda _: httpx.get(back, cookies=before, timeout=PATIENCE), range(2)))
        assert [answer.text for answer in both if "That did not work" in answer.text] == []
        welcomed = [
            httpx.get(f"{site.origin}/", cookies=before | dict(answer.cookies), timeout=PATIENCE).text
            for answer in both
            if answer.cookies
        ]
        assert any("Hello, ivan!" in page for page in welcomed)


def test_the_address_that_the_server_prints_leads_to_the_registered_one(site: Site) -> None:
    with site.visitor() as visitor:
        answer = visitor.get(site.login.replace("localhost", "127.0.0.1"))
        assert answer.headers["location"] == site.login
        assert "Hello, ivan!" in browse(visitor, site.login.replace("localhost", "127.0.0.1")).text


def test_the_session_is_another_one_after_the_sign_in(site: Site) -> None:
    with site.visitor() as visitor:
        begun = visitor.get(site.login)
        before = dict(visitor.cookies)
        visitor.get(site.fake.authorize(begun.headers["location"]))
        assert dict(visitor.cookies) != before
        with site.visitor() as thief:
            thief.cookies.update(before)
            assert "Log in with EXBO" in thief.get(site.origin).text


def test_a_callback_out_of_the_blue_is_refused(site: Site) -> None:
    before = site.exchanges()
    with site.visitor() as visitor:
        answer = visitor.get(f"{site.callback}?code=def50200&state=guessed")
        assert answer.status_code == 400
        assert "Start at /login" in answer.text
    assert site.exchanges() == before


def test_a_visitor_is_told_that_exbo_is_away(site: Site) -> None:
    with site.visitor() as visitor:
        browse(visitor, site.login)
        site.fake.fail_next(503)
        answer = visitor.get(site.origin)
        assert answer.status_code == 502
        assert "That did not work" in answer.text


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_missing_setting_is_one_line(recipe: str, tmp_path: Path) -> None:
    modules, command, _ = RECIPES[recipe]
    needs(*modules)
    missing = "set the environment variables EXBO_CLIENT_ID and EXBO_CLIENT_SECRET"
    told = without_settings(command, tmp_path)
    assert told.startswith(f"{recipe.removesuffix('-async')}_login: {missing}")
    assert "\n" not in told


def without_settings(command: list[str], folder: Path) -> str:
    """What a recipe says, all of it, that is started without any setting."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("EXBO_")}
    run = subprocess.run(
        [sys.executable, *command, *(["0"] if command[-1] != "run" else [])],
        cwd=folder,
        env=bare | {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, EXAMPLES)))},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert run.returncode == 1
    return (run.stdout + run.stderr).strip()


def test_a_token_that_somebody_ended_is_replaced(site: Site) -> None:
    with site.visitor() as visitor:
        browse(visitor, site.login)
        before = site.exchanges()
        site.fake.revoke(site.fake.issued[-1].access_token)
        assert "Hello, ivan!" in visitor.get(site.origin).text
        assert site.exchanges() == before + 1


def test_a_visitor_whose_tokens_are_all_dead_is_sent_to_log_in_again(site: Site) -> None:
    with site.visitor() as visitor:
        browse(visitor, site.login)
        site.fake.revoke(site.fake.issued[-1].access_token, refresh_too=True)
        answer = visitor.get(site.origin)
        assert answer.status_code in (302, 303)
        assert answer.headers["location"] == "/login"
        assert "Hello, ivan!" in browse(visitor, site.login).text


def test_in_a_real_browser(site: Site, chrome: Any) -> None:
    site.fake.add_user("lara")
    page = chrome.new_context().new_page()
    page.goto(site.login)
    page.locator("button[value=lara]").click()
    page.locator("button.main").click()
    page.get_by_text("Hello, lara!").wait_for()
    assert page.url.rstrip("/") == site.origin
    site.sent += [page.content(), *(opened(cookie["value"]) for cookie in page.context.cookies(site.origin))]
    page.get_by_role("button", name="Log out").click()
    page.get_by_role("link", name="Log in with EXBO").wait_for()
    page.context.close()


# The bot


class Telegram:
    """As much of Telegram's bot API as the bot needs: people write, the bot answers."""

    def __init__(self) -> None:
        self.updates: Queue[dict[str, Any]] = Queue()
        self.answers: Queue[dict[str, Any]] = Queue()
        self.said: list[str] = []
        telegram = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
                content = json.dumps(
                    {"ok": True, "result": telegram.result(self.path.rpartition("/")[2], body)}
                ).encode()
                with suppress(OSError):
                    self.send_response(200)
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def result(self, method: str, body: str) -> Any:
        if method == "getMe":
            return {"id": 7, "is_bot": True, "first_name": "Bot", "username": "exbo_recipe_bot"}
        if method == "getUpdates":
            try:
                return [self.updates.get(timeout=0.2)]
            except Empty:
                return []
        if method == "sendMessage":
            answer = dict(parse_qsl(body)) or multipart(body)
            self.said.append(json.dumps(answer))
            self.answers.put(answer)
            return {"message_id": 1, "date": 0, "chat": {"id": 1, "type": "private"}, "text": answer.get("text", "")}
        return True

    def hears(self, user_id: int, text: str) -> dict[str, Any]:
        """What the bot answers to a message."""
        number = len(self.said) + 1
        user = {"id": user_id, "is_bot": False, "first_name": "Somebody"}
        command = {"type": "bot_command", "offset": 0, "length": len(text.split()[0])}
        entities = [command] if text.startswith("/") else []
        message = {
            "message_id": number,
            "date": 0,
            "chat": {"id": user_id, "type": "private"},
            "from": user,
            "text": text,
            "entities": entities,
        }
        self.updates.put({"update_id": number, "message": message})
        return self.answers.get(timeout=PATIENCE)


def multipart(body: str) -> dict[str, str]:
    return dict(re.findall(r'name="(\w+)"\r\n(?:[^\r]*\r\n)*?\r\n(.*?)\r\n--', body))


@define
class Bot:
    fake: FakeExbo
    telegram: Telegram
    port: int
    store: Path

    def link(self, user_id: int) -> str:
        """The address behind the button that the bot sends."""
        markup = json.loads(self.telegram.hears(user_id, "/link")["reply_markup"])
        url: str = markup["inline_keyboard"][0][0]["url"]
        return url

    def come_back(self, address: str, user: str = "ivan", *, approve: bool = True) -> str:
        """The ticket that the browser takes into Telegram, after the consent page."""
        callback = urlsplit(self.fake.authorize(address, user, approve=approve))
        answer = httpx.get(f"http://127.0.0.1:{self.port}{callback.path}?{callback.query}")
        assert answer.status_code == 303
        target = urlsplit(answer.headers["location"])
        assert (target.netloc, target.path) == ("t.me", "/exbo_recipe_bot")
        return dict(parse_qsl(target.query))["start"]

    def says(self, user_id: int, text: str) -> str:
        answer: str = self.telegram.hears(user_id, text)["text"]
        return answer


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bot]:
    needs("aiogram")
    tmp_path = tmp_path_factory.mktemp("bot")
    fake, telegram, port = FakeExbo(), Telegram(), free_port()
    app = fake.add_app(redirect_uris=("https://bot.example/callback",))
    telegram.thread.start()
    with ExitStack() as stack:
        stack.callback(telegram.close)
        environment = {
            "BOT_TOKEN": "7:AAAA-the-token-of-the-bot",
            "TELEGRAM_API": telegram.url,
            "PORT": str(port),
            "EXBO_CLIENT_ID": app.client_id,
            "EXBO_CLIENT_SECRET": app.client_secret,
            "EXBO_REDIRECT_URI": "https://bot.example/callback",
            "EXBO_OAUTH_URL": stack.enter_context(fake.serve()),
            "EXBO_STORE": f"sqlite:///{(tmp_path / 'tokens.db').as_posix()}",
        }
        program = stack.enter_context(running([str(EXAMPLES / "aiogram_bot.py")], environment, tmp_path))
        until(lambda: program.listens(port), "the bot is up")
        yield Bot(fake, telegram, port, tmp_path / "tokens.db")
    everything = "\n".join([*telegram.said, program.printed])
    assert "code=" not in program.printed
    assert not [issued for issued in fake.issued if issued.access_token in everything]


def test_a_chat_user_links_their_account(bot: Bot) -> None:
    assert "Send /link" in bot.says(1001, "/me")
    ticket = bot.come_back(bot.link(1001))
    assert bot.says(1001, f"/start {ticket}") == "Linked: ivan"
    assert bot.says(1001, "/me") == "You are ivan."
    assert "/link" in bot.says(1001, "/start")
    assert "/link" in bot.says(1001, "hello")
    assert "not your sign-in" in bot.says(1001, f"/start {ticket}")  # it served once
    assert bot.says(1001, "/unlink") == "Your account is no longer linked."
    assert "Send /link" in bot.says(1001, "/me")


def test_a_link_that_was_sent_on_links_nobody(bot: Bot) -> None:
    """The attacker asks for a link, the victim approves: the victim's token goes to neither of them."""
    before = len(bot.fake.issued)
    ticket = bot.come_back(bot.link(666), "steam-guest")
    assert "not your sign-in" in bot.says(1002, f"/start {ticket}")
    assert len(bot.fake.issued) == before


def test_a_denial_reaches_the_chat(bot: Bot) -> None:
    before = len(bot.fake.issued)
    ticket = bot.come_back(bot.link(1003), approve=False)
    assert "declined" in bot.says(1003, f"/start {ticket}")
    assert len(bot.fake.issued) == before


def test_exbo_being_away_is_told_in_the_chat(bot: Bot) -> None:
    bot.says(1005, f"/start {bot.come_back(bot.link(1005), 'steam-guest')}")
    bot.fake.fail_next(503, times=3)
    assert "did not work" in bot.says(1005, "/me")
    bot.says(1005, "/unlink")


def test_the_bot_refuses_a_callback_out_of_the_blue(bot: Bot) -> None:
    answer = httpx.get(f"http://127.0.0.1:{bot.port}/callback?code=def50200&state=guessed")
    assert answer.status_code == 400
    state = dict(parse_qsl(urlsplit(bot.link(1004)).query))["state"]
    assert "not your sign-in" in bot.says(1004, f"/start {state}")  # known from the address, and no ticket


@pytest.mark.parametrize(
    ("name", "trouble", "says"),
    [
        ("aiogram_bot", "port", "address already in use: set PORT to a free port"),
        ("aiogram_bot", "Telegram", "Cannot connect to host 127.0.0.1:9"),
        ("telegram_bot", "Telegram", "All connection attempts failed"),
    ],
)
def test_what_the_bot_cannot_start_without_is_one_line(name: str, trouble: str, says: str, tmp_path: Path) -> None:
    needs("aiogram" if name == "aiogram_bot" else "telegram")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        environment = {
            "BOT_TOKEN": "7:AAAA-the-token-of-the-bot",
            "TELEGRAM_API": "http://127.0.0.1:9",
            "PORT": str(taken.getsockname()[1] if trouble == "port" else free_port()),
            "EXBO_CLIENT_ID": "59",
            "EXBO_CLIENT_SECRET": "a-good-secret",
            "EXBO_STORE": f"sqlite:///{(tmp_path / 'tokens.db').as_posix()}",
        }
        with running([str(EXAMPLES / f"{name}.py")], environment, tmp_path) as program:
            assert program.process.wait(PATIENCE) == 1
    assert program.printed.startswith(f"{name}: ")
    assert says in program.printed
    assert program.printed.count("\n") == 1


# The notebook

EXECUTE = """
import json, sys
import nbformat
from nbclient import NotebookClient

notebook = nbformat.read(sys.argv[1], as_version=4)
nbformat.validate(notebook)
NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
print(json.dumps(notebook))
"""


def test_the_notebook_runs_and_runs_again_in_a_new_kernel_without_another_sign_in(tmp_path: Path) -> None:
    needs("nbclient", "ipykernel", "matplotlib")
    port, fake = free_port(), FakeExbo()
    app = fake.add_app(redirect_uris=(f"http://localhost:{port}/callback",))
    with fake.serve() as base_url:
        own = {
            "PYTHONPATH": str(ROOT),
            "BROWSER": f"{sys.executable} {Path(__file__).parent / 'login' / 'robot.py'} %s",
            "EXBO_CLIENT_ID": app.client_id,
            "EXBO_CLIENT_SECRET": app.client_secret,
            "EXBO_REDIRECT_URI": f"http://localhost:{port}/callback",
            "EXBO_OAUTH_URL": base_url,
            "EXBO_API_URL": fake.api_url,
            "EXBO_STORE": f"sqlite:///{(tmp_path / 'tokens.db').as_posix()}",
        }
        shown = [executed(own, tmp_path) for _ in range(2)]
    store = SQLiteTokenStore(tmp_path / "tokens.db")
    assert {key.account for key in store.keys()} == {None, "me"}  # noqa: SIM118  # no dict
    store.close()
    assert ["To sign in" in printed for printed in shown] == [True, False]
    for printed in shown:
        assert printed.count("ivan") >= 2
        assert '"image/png"' in printed
        assert not [issued for issued in fake.issued if issued.access_token in printed]
        assert app.client_secret not in printed


def test_the_notebook_brings_its_own_exbo_where_there_are_no_credentials(tmp_path: Path) -> None:
    needs("nbclient", "ipykernel", "matplotlib")
    robot = Path(__file__).parent / "login" / "robot.py"
    printed = executed({"PYTHONPATH": str(ROOT), "BROWSER": f"{sys.executable} {robot} %s"}, tmp_path)
    assert printed.count("ivan") >= 2
    assert '"image/png"' in printed


def test_the_notebook_is_kept_with_what_its_cells_show() -> None:
    kept = json.loads((EXAMPLES / "notebook.ipynb").read_text(encoding="utf-8"))
    outputs = [output for cell in kept["cells"] for output in cell.get("outputs", [])]
    assert [output for output in outputs if "image/png" in output.get("data", {})]
    assert "eyJ" not in json.dumps([output for output in outputs if "image/png" not in output.get("data", {})])


def executed(environment: dict[str, str], folder: Path) -> str:
    """The notebook as JSON, with all that its cells show."""
    done = subprocess.run(
        [sys.executable, "-c", EXECUTE, str(EXAMPLES / "notebook.ipynb")],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
