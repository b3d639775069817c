"""The languages of the command line: which is spoken, that nothing is missing in it, that it shows everywhere."""

import ast
import re
import socket
import string
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from gettext import GNUTranslations
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog, Message

from exbo_oauth import AccessDeniedError, OAuthError, SQLiteTokenStore, StoreError, SyncOAuthClient, errors
from exbo_oauth.cli.app import app
from exbo_oauth.cli.output import say_error
from exbo_oauth.cli.signing import _who
from exbo_oauth.cli.usage import texts_of
from exbo_oauth.language import known, languages, speak, wanted
from exbo_oauth.login.endpoint import endpoint_of
from exbo_oauth.login.receiver import CallbackReceiver
from exbo_oauth.meaning import MEANINGS, PAGE, SITUATIONS, in_words, meaning_of
from exbo_oauth.misuse import ERROR_INDEX
from exbo_oauth.protocol import Response

from ..messages import CATALOGUES, PACKAGE, forms, read, template
from .test_frame import COMMANDS, on_a_terminal, posix_terminal

ENGLISH, RUSSIAN = "Show what the store holds.", "Показать, что лежит в хранилище."

each_catalogue = pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parents[1].name)


# Which language is spoken


@pytest.mark.parametrize(
    ("variables", "tags"),
    [
        ({}, []),
        ({"LANG": "ru_RU.UTF-8"}, ["ru_RU.UTF-8"]),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "ru_RU.UTF-8"}, ["ru_RU.UTF-8"]),
        ({"LANG": "ru_RU.UTF-8", "LC_MESSAGES": "ru_RU.UTF-8", "LC_ALL": "en_US.UTF-8"}, ["en_US.UTF-8"]),
        ({"LANG": "ru_RU.UTF-8", "LC_ALL": ""}, ["ru_RU.UTF-8"]),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "de:ru"}, ["de", "ru", "en_US.UTF-8"]),
        ({"LANG": "C", "LANGUAGE": "ru"}, []),
        ({"LANG": "ru_RU.UTF-8", "LC_ALL": "C"}, []),
        ({"LANGUAGE": "ru"}, []),
        ({"LANG": "ru_RU.UTF-8", "EXBO_LANG": "en"}, ["en"]),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "C", "EXBO_LANG": "ru"}, ["ru"]),
        ({"LANG": "ru_RU.UTF-8", "EXBO_LANG": ""}, ["ru_RU.UTF-8"]),
    ],
    ids=lambda value: " ".join(f"{name}={text}" for name, text in value.items()) if isinstance(value, dict) else None,
)
def test_the_surroundings_ask_for_languages_as_gettext_reads_them(variables: dict[str, str], tags: list[str]) -> None:
    assert list(wanted(variables, "linux")) == tags


def test_windows_is_asked_only_where_no_variable_says_anything() -> None:
    assert list(wanted({"LANG": "ru_RU.UTF-8"}, "win32")) == ["ru_RU.UTF-8"]
    asked = [tag.partition("_")[0] for tag in wanted({}, "win32")]
    assert len(asked) == (sys.platform == "win32"), "elsewhere there is nobody to ask, and no reason to fail"


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("ru", "ru"),
        ("ru_RU.UTF-8", "ru"),
        ("ru-RU", "ru"),
        ("RU", "ru"),
        ("ru_UA@euro", "ru"),
        ("en_GB.UTF-8", "en"),
        ("C", "en"),
        ("C.UTF-8", "en"),
        ("POSIX", "en"),
        ("de_DE.UTF-8", None),
        ("", None),
        ("../ru", None),
        ("русский", None),
        ("ru\0", None),
    ],
)
def test_a_tag_leads_to_a_language_that_there_is(tag: str, language: str | None) -> None:
    assert known(tag) == language


def test_a_language_is_a_file() -> None:
    assert languages() == ["en", *(path.parents[1].name for path in CATALOGUES)]


@pytest.mark.parametrize(
    ("arguments", "variables", "shown"),
    [
        (["status", "-h"], {"LANG": "ru_RU.UTF-8", "EXBO_LANG": ""}, RUSSIAN),
        (["status", "-h"], {"LANG": "ru_RU.UTF-8", "EXBO_LANG": "en"}, ENGLISH),
        (["status", "-h"], {"LANG": "ru_RU.UTF-8", "EXBO_LANG": "de"}, ENGLISH),
        (["status", "-h"], {"EXBO_LANG": "ru"}, RUSSIAN),
        (["--lang", "ru", "status", "-h"], {"EXBO_LANG": "en"}, RUSSIAN),
        (["status", "-h", "--lang=ru_RU"], {"EXBO_LANG": "en"}, RUSSIAN),
        (["status", "--lang", "en", "-h"], {"EXBO_LANG": "ru"}, ENGLISH),
        (["status", "--lang", "en", "-h", "--lang", "ru"], {"EXBO_LANG": "en"}, RUSSIAN),
        (["status", "--json", "-h"], {"EXBO_LANG": "ru"}, ENGLISH),
    ],
)
def test_a_flag_wins_over_the_variable_and_that_over_the_locale(
    shell: Any, arguments: list[str], variables: dict[str, str], shown: str
) -> None:
    done = shell.within(*arguments, **variables)
    assert (done.returncode, done.stderr) == (0, "")
    assert shown in done.stdout


@pytest.mark.parametrize("arguments", [["--lang", "xx"], ["status", "--lang", ""], ["status", "--lang"]])
def test_a_language_that_there_is_not_is_wrong_use(shell: Any, arguments: list[str]) -> None:
    done = shell.within(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(
        r"exbo-oauth: Invalid value for --lang: '\w*' is not one of en, ru\. See: .* --help\n", done.stderr
    )


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("utf-8", RUSSIAN),
        ("cp1251", RUSSIAN),
        ("cp866", RUSSIAN),
        ("koi8-r", RUSSIAN),
        ("ascii", ENGLISH),
        ("cp437", ENGLISH),
        ("cp1252", ENGLISH),
    ],
)
def test_what_the_terminal_cannot_show_is_said_in_english(shell: Any, encoding: str, shown: str) -> None:
    done = shell.within("status", "--help", EXBO_LANG="ru", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, "")
    assert shown in done.stdout
    assert "\\u" not in done.stdout


# The catalogues


@pytest.fixture(scope="module")
def needed() -> Catalog:
    return template()


@each_catalogue
def test_a_catalogue_has_what_the_source_has_and_nothing_else(path: Path, needed: Catalog) -> None:
    there = {message.id for message in read(path) if message.id}
    wanted = {message.id for message in needed if message.id}
    assert (there - wanted, wanted - there) == (set(), set()), "run: nox -s messages"


@each_catalogue
def test_nothing_is_left_to_translate(path: Path) -> None:
    assert [message.id for message in read(path) if message.id and (message.fuzzy or not all(forms(message)))] == []


@each_catalogue
def test_the_compiled_catalogue_says_the_same(path: Path) -> None:
    compiled = GNUTranslations(BytesIO(path.with_suffix(".mo").read_bytes()))
    for message in read(path):
        if isinstance(message.id, str) and message.id:
            assert compiled.gettext(message.id) == message.string
        elif message.id:
            said = {compiled.ngettext(*message.id, count) for count in range(200)}
            assert said == set(forms(message))


MARKING = {"tr", "trn", "mark"}


def prose(node: ast.AST) -> Iterator[str]:
    """The texts of a module that look like something to be read, and that no catalogue hears of."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKING:
        return
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):  # a docstring
        return
    if isinstance(node, ast.keyword) and node.arg == "help":
        return
    text = node.value if isinstance(node, ast.Constant) else None
    if isinstance(text, str) and re.search(r"[a-z]{2,},? [a-z]+,? [a-z]{2,}", text):
        yield text
    for child in ast.iter_child_nodes(node):
        yield from prose(child)


# The beginning of each: what is not shown as it is here, but is found in the catalogues.
KNOWN_PROSE = ("EXBO's OAuth 2.0 from the command line", "the bearer token", "the header pair", "the stored token of ")


@pytest.mark.parametrize("path", sorted((PACKAGE / "cli").glob("*.py")), ids=lambda path: path.stem)
def test_nothing_is_said_past_the_catalogues(path: Path) -> None:
    found = prose(ast.parse(path.read_text(encoding="utf-8")))
    assert [text for text in found if not text.startswith(KNOWN_PROSE)] == []


def names_in(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def placeholders(message: Message) -> "list[set[str]]":
    """What stands in braces in each English form, and in each translated one."""
    english = (message.id,) if isinstance(message.id, str) else message.id
    return [names_in(text) for text in (*english, *forms(message))]


@each_catalogue
def test_the_values_in_a_message_are_the_same_in_both_languages(path: Path) -> None:
    bad = [message.id for message in read(path) if message.id and len(set(map(frozenset, placeholders(message)))) > 1]
    assert bad == []


@each_catalogue
@pytest.mark.parametrize("encoding", ["cp866", "cp1251", "koi8-r"])
def test_the_code_pages_of_a_language_have_its_letters_and_signs(path: Path, encoding: str) -> None:
    if path.parents[1].name == "ru":
        for message in read(path):
            "".join(forms(message)).encode(encoding)


# What is shown


def squeezed(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_no_help_is_left_in_english(shell: Any, command: str) -> None:
    english, done = set(texts_of(app)), shell.within(*command.split(), "--help", EXBO_LANG="ru")
    assert (done.returncode, done.stderr) == (0, "")
    shown = squeezed(done.stdout)
    assert [text for text in english if len(text.split()) > 1 and squeezed(text) in shown] == []
    assert not re.search(r"\b(Usage|Options|Commands|Arguments|default:|required|OPTIONS|COMMAND|Show|Install)", shown)
    assert shown.startswith(f"Использование: exbo-oauth {command}".rstrip())


@pytest.mark.parametrize("columns", [50, 80, 120])
@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_help_fits_its_terminal(shell: Any, columns: int, language: str) -> None:
    for command in ("", *COMMANDS):
        done = shell.within(*command.split(), "--help", EXBO_LANG=language, COLUMNS=str(columns))
        wide = [line for line in done.stdout.splitlines() if len(line) > columns]
        assert [
            line
            for line in wide
            if not re.match(r"    (exbo-oauth|export|curl|for|Get-Clipboard|pbpaste|wl-paste|python) ", line)
        ] == []
        if command == "login":
            assert done.stdout.splitlines()[0].endswith("]")
        if not command:
            assert "..." not in done.stdout.partition(":\n  demo")[2]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["nope"], "Нет команды 'nope'. Справка: exbo-oauth --help"),
        (["tokn"], "Нет команды 'tokn'. Может быть, 'token'? Справка: exbo-oauth --help"),
        (["demo", "--nope"], "Нет параметра --nope. Справка: exbo-oauth demo --help"),
        (
            ["login", "--usr"],
            "Нет параметра --usr (есть похожие: --store, --user). Справка: exbo-oauth login --help",
        ),
        (["--"], "Не названа команда. Справка: exbo-oauth --help"),
        (["--nope"], "Нет параметра --nope. Справка: exbo-oauth --help"),
        (["copy"], "Не хватает аргумента 'ИСТОЧНИК'. Справка: exbo-oauth copy --help"),
        (["login", "--timeout"], "Параметру '--timeout' нужно значение. Справка: exbo-oauth --help"),
        (["login", "--browser=3"], "Параметр '--browser' пишется без значения. Справка: exbo-oauth --help"),
        (["inspect", "a", "b"], "Лишние аргументы: b. Справка: exbo-oauth inspect --help"),
        (
            ["sandbox", "--port", "x"],
            "Неверное значение '--port': здесь нужно целое число. Справка: exbo-oauth sandbox --help",
        ),
        (
            ["token", "--min-ttl", "x"],
            "Неверное значение '--min-ttl': здесь нужно число. Справка: exbo-oauth token --help",
        ),
        (
            ["sandbox", "--port", "70000"],
            "Неверное значение '--port': здесь нужно число не больше 65535. Справка: exbo-oauth sandbox --help",
        ),
        (
            ["sandbox", "--token-ttl", "0"],
            "Неверное значение '--token-ttl': здесь нужно число не меньше 1. Справка: exbo-oauth sandbox --help",
        ),
        (
            ["sandbox", "--dialect", "x"],
            (
                "Неверное значение '--dialect': 'x' здесь не подходит, выберите из 'league-8', 'league-9'. "
                "Справка: exbo-oauth sandbox --help"
            ),
        ),
    ],
    ids=" ".join,
)
def test_what_typer_says_by_itself_is_known_to_the_catalogues(shell: Any, arguments: list[str], problem: str) -> None:
    done = shell.within(*arguments, EXBO_LANG="ru")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"exbo-oauth: {problem}\n")


@posix_terminal
def test_a_russian_terminal_is_spoken_to_in_russian(shell: Any) -> None:
    assert RUSSIAN in on_a_terminal(shell, "status", "--help", EXBO_LANG="", LC_ALL="ru_RU.UTF-8")


def test_an_exception_stays_english_and_is_explained_above(shell: Any, free_port: int) -> None:
    settings = {
        "EXBO_CLIENT_ID": "5",
        "EXBO_CLIENT_SECRET": "x",
        "EXBO_OAUTH_URL": f"http://127.0.0.1:{free_port}/oauth",
    }
    done = shell.within("refresh", EXBO_LANG="ru", **settings)
    explained, problem = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert "got no answer" in problem
    assert explained == (
        "exbo-oauth: До EXBO не достучаться, или он не ответил вовремя. Подробнее об exbo-oauth.transport: "
        f"{ERROR_INDEX.replace('/docs/', '/docs/ru/')}#exbo-oauth-transport. "
        "Песочница запущена? Запустите её как прежде, с тем же --state, иначе все входы пропадут: "
        "exbo-oauth sandbox --state ФАЙЛ"
    )
    assert shell.within("refresh", **settings).stderr == f"exbo-oauth: {problem}\n"


def test_each_error_that_there_is_has_a_meaning_of_its_own() -> None:
    kinds = {kind for name in errors.__all__ if isinstance(kind := getattr(errors, name), type)}
    assert kinds - set(MEANINGS) == {OAuthError}
    with speaking("ru"):
        assert (meaning_of(OAuthError("as it is")), in_words(OAuthError("as it is"))) == (None, "as it is")
    index = (PACKAGE.parent / "docs" / "errors.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^- <a id=.*</a>`(exbo-oauth[\w.-]+)`", index, re.MULTILINE)) == set(SITUATIONS)


def test_a_user_who_says_no_is_not_told_that_it_was_another_sign_in(shell: Any, exbo: Any, free_port: int) -> None:
    error = AccessDeniedError("the sign-in was denied: access_denied", error="access_denied")
    with speaking("ru"):
        assert (meaning_of(error) or "").startswith("Пользователь отказал на странице EXBO")
        assert in_words(error) == "пользователь отказал на странице EXBO, или EXBO за него: вход не выполнен"
    assert in_words(error) == str(error)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("error=invalid_scope", ["EXBO прервал вход", "invalid_scope: EXBO defines no scope"]),
        ("state=1&state=2&code=x", ["не читается как адрес", "state more than once"]),
        ("code=x&state={state}&iss=https://evil.example", ["другой сервер", "https://evil.example"]),
        ("code=x", ["в адресе нет state"]),
    ],
    ids=["an error", "twice the same", "another server", "no state"],
)
def test_what_was_pasted_is_explained_and_its_english_kept(query: str, says: list[str]) -> None:
    with SyncOAuthClient(client_id="5", client_secret="x", redirect_uri="http://localhost:1/callback") as client:
        attempt = client.begin_login()
    receiver = CallbackReceiver(attempt, "https://exbo.net/oauth", endpoint_of(attempt.redirect_uri), print)
    with speaking("ru"):
        problem = receiver.judge(f"{attempt.redirect_uri}?{query.format(state=attempt.state)}").problem or ""
    assert [words for words in says if words not in problem] == []


def test_a_command_stands_last_so_that_no_full_stop_is_copied_with_it(shell: Any, exbo: Any) -> None:
    explained, problem = shell.within("token", "--user", "olga", EXBO_LANG="ru").stderr.splitlines()
    assert explained.endswith("#exbo-oauth-login-required-never. Выполните: exbo-oauth login --user olga")
    assert "olga" in problem


def test_nobody_is_signed_in_is_said_without_a_name_and_with_what_to_run(shell: Any, exbo: Any) -> None:
    done = shell.within("whoami", EXBO_LANG="ru")
    assert (done.returncode, done.stderr) == (1, "exbo-oauth: никто не вошёл: выполните exbo-oauth login\n")


def test_a_problem_that_ends_no_command_keeps_its_english_too(capsys: pytest.CaptureFixture[str]) -> None:
    error = StoreError("the file notes.db: run chmod 600 notes.db")
    with speaking("ru"):
        say_error(error)
    say_error(error)
    explained, *english = capsys.readouterr().err.splitlines()
    assert explained.startswith("exbo-oauth: ")
    assert explained.endswith("#exbo-oauth-store")
    assert english == [str(error), f"exbo-oauth: {error}"]


@contextmanager
def speaking(language: str) -> Iterator[None]:
    speak(language)
    try:
        yield
    finally:
        speak("en")


def test_whose_sign_in_it_was_is_not_known_for_a_reason_with_its_english(
    exbo: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    exbo.fake.answer_next(Response(418, {}, b"{}"), path="/oauth/user")
    exbo.keep("ivan", exbo.user_token())
    with (
        closing(SQLiteTokenStore(exbo.path)) as store,
        SyncOAuthClient(client_id="59", client_secret="x", base_url=exbo.base_url, store=store) as client,
        speaking("ru"),
    ):
        assert _who(client, "ivan") is None
    explained, english = capsys.readouterr().err.splitlines()
    assert explained.startswith("Вход выполнен, но сервер не сказал, кто это: ")
    assert "418" in english


def test_what_says_what_an_error_means_keeps_its_english_too(shell: Any, exbo: Any) -> None:
    exbo.fake.answer_next(Response(404, {}, b"{}"), path="/oauth/user")
    lines = shell.within("doctor", EXBO_LANG="ru").stdout.splitlines()
    [place] = [number for number, line in enumerate(lines) if line.startswith("✗ связь: ")]
    assert lines[place + 1].startswith("    GET /user was answered 404")


def test_how_long_to_wait_is_said_in_the_language_too(shell: Any, exbo: Any) -> None:
    exbo.fake.fail_next(429, retry_after=40, path="/oauth/token")
    first = shell.within("refresh", EXBO_LANG="ru").stderr
    assert re.match(r"exbo-oauth: Слишком много запросов\. Повторите через (40|39) с\. Подробнее", first)
    exbo.fake.fail_next(429, retry_after=40, path="/oauth/token")
    assert "вход приложения: Слишком много запросов. Повторите через" in shell.within("doctor", EXBO_LANG="ru").stdout


def test_the_sandbox_that_runs_already_is_named_in_russian(shell: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = shell.within("sandbox", "--port", str(server.getsockname()[1]), EXBO_LANG="ru")
    explained, problem = done.stderr.splitlines()
    assert explained.startswith("exbo-oauth: Порт уже занят: может быть, эта же программа открыта в другом терминале")
    assert explained.endswith(
        "#exbo-oauth-configuration-port-taken. Другой порт для песочницы: exbo-oauth sandbox --port 8766"
    )
    assert problem.startswith("cannot listen on 127.0.0.1:")


def test_how_to_sign_in_at_another_port_is_said_in_russian(shell: Any, exbo: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        uri = f"http://127.0.0.1:{server.getsockname()[1]}/back"
        done = shell.within("login", EXBO_LANG="ru", EXBO_REDIRECT_URI=uri)
        real = shell.within("login", EXBO_LANG="ru", EXBO_REDIRECT_URI=uri, EXBO_OAUTH_URL="https://exbo.net/oauth")
    assert done.stderr.splitlines()[0].endswith("exbo-oauth sandbox --redirect-uri URI")
    assert real.stderr.splitlines()[0].endswith("@stalzone_api_bot: /myapps")


def test_the_page_that_explanations_lead_to_is_that_of_the_errors_themselves() -> None:
    assert PAGE == ERROR_INDEX


@pytest.mark.parametrize("encoding", ["utf-8", "cp866", "cp437"])
def test_the_main_commands_run_in_russian_on_every_code_page(shell: Any, exbo: Any, encoding: str) -> None:
    exbo.keep("ivan", exbo.user_token())
    variables = {"EXBO_LANG": "ru", "PYTHONIOENCODING": encoding}
    shown = {}
    for command in (
        "refresh",
        "status",
        "whoami",
        "accounts",
        "inspect",
        "url",
        "doctor",
        "logout --all --app",
        "token",
    ):
        done = shell.within(*command.split(), **variables)
        assert done.returncode == 0, done.stderr
        assert "\\u" not in done.stdout + done.stderr
        shown[command] = done.stdout
    said = ("У приложения новый токен", "осталось", "Всё в порядке.", "Токен 'ivan' забыт.")
    in_russian = [words in "".join(shown.values()) for words in said]
    assert in_russian == [encoding != "cp437"] * len(said)


def test_a_sign_in_is_waited_for_in_russian(shell: Any, exbo: Any) -> None:
    done = shell.within("login", "--no-browser", "--timeout", "0.1", EXBO_LANG="ru")
    assert done.returncode == 1
    assert done.stderr.startswith("Чтобы войти, откройте этот адрес в браузере:\n\n    http://127.0.0.1:")


@pytest.mark.parametrize("columns", [50, 80, 120])
def test_the_table_of_status_fits_its_terminal(shell: Any, exbo: Any, columns: int) -> None:
    exbo.keep("ivan", exbo.user_token())
    done = shell.within("status", EXBO_LANG="ru", COLUMNS=str(columns))
    table = [line for line in done.stdout.splitlines() if line[0] in "┏┃┡│└"]
    assert len(table) >= 5
    assert max(map(len, table)) <= columns
    assert {line[-1] for line in table} <= set("┓┃┩│┘")
    assert "ivan" in "".join(table)


@pytest.mark.parametrize(
    "command",
    ["doctor", "status", "accounts", "whoami", "inspect", "logout --all", "demo --nope", "whoami --user olga"],
)
def test_json_and_what_goes_with_it_is_the_same_in_each_language(shell: Any, exbo: Any, command: str) -> None:
    exbo.keep("ivan", exbo.user_token())
    exbo.keep(None, exbo.user_token())
    if command.startswith("logout"):
        shell.within("logout", "--all")
    english, russian = (shell.within(*command.split(), "--json", EXBO_LANG=language) for language in ("en", "ru"))
    assert russian.stdout.isascii()
    assert russian.stderr.isascii()
    assert (english.returncode, re.sub(r"\d+", "", english.stdout), english.stderr) == (
        russian.returncode,
        re.sub(r"\d+", "", russian.stdout),
        russian.stderr,
    )


@pytest.mark.parametrize(
    ("days", "words"), [(1, "1 день"), (2, "2 дня"), (5, "5 дней"), (11, "11 дней"), (21, "21 день"), (22, "22 дня")]
)
def test_numbers_have_the_form_that_russian_gives_them(shell: Any, exbo: Any, days: int, words: str) -> None:
    exbo.keep("ivan", exbo.user_token(lives=days * 86_400 + 60))
    assert words in shell.within("status", EXBO_LANG="ru").stdout
