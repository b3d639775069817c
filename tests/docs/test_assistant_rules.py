"""The rules for those who let an assistant write their bot: each finds the mistake it names, and no recipe makes it."""

import ast
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from textwrap import dedent

import pytest
from attrs import frozen

from .shown import BLOCKS, ROOT

Nodes = Iterator[ast.AST]
Finder = Callable[[ast.Module], object]

# Pages whose programs are meant to be copied as they are.
COPIED = ("README", "bots", "programs", "start", "limits", "signing-in")


def calls(tree: ast.AST, *names: str) -> list[ast.Call]:
    """Calls of functions or methods of these names, wherever they stand."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [node for node in found if _last(node.func) in names]


def _last(name: ast.AST | None) -> str:
    return name.attr if isinstance(name, ast.Attribute) else name.id if isinstance(name, ast.Name) else ""


def texts(tree: ast.AST) -> list[str]:
    return [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def handlers(tree: ast.AST) -> list[ast.ExceptHandler]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)]


def loops(tree: ast.AST) -> list[ast.AST]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.While | ast.For | ast.AsyncFor)]


def clients(tree: ast.AST) -> list[ast.Call]:
    return calls(tree, "from_env", "SyncOAuthClient", "AsyncOAuthClient", "OAuthClient")


def by_hand(tree: ast.Module) -> bool:
    sums = [node for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add)]
    return any("oauth/token" in text or text == "grant_type" for text in texts(tree)) or any(
        calls(one, "time") and isinstance(one.right, ast.Constant) for one in sums
    )


def several_clients(tree: ast.Module) -> bool:
    again = [one for one in functions(tree) if one.decorator_list and not _runs_the_program(one)]
    return any(clients(place) for place in [*again, *loops(tree)])


def _runs_the_program(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """What makes a client once and gives it away until the end: a lifespan, a fixture, a cached function."""
    cached = any("cache" in _last(one) for one in function.decorator_list)
    return cached or any(isinstance(node, ast.Yield) for node in ast.walk(function))


def blocking_in_async(tree: ast.Module) -> bool:
    return any("SyncOAuthClient" in ast.dump(one) for one in functions(tree) if isinstance(one, ast.AsyncFunctionDef))


def masked_header(tree: ast.Module) -> bool:
    strings = [node.values for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    pairs = [pair for values in strings for pair in pairwise(values)]
    return any(
        isinstance(before, ast.Constant)
        and str(before.value).endswith("Bearer ")
        and isinstance(after, ast.FormattedValue)
        and _last(after.value) != "access_token"
        for before, after in pairs
    )


def linking_callback(tree: ast.Module) -> bool:
    """The page that the browser comes back to finishes the sign-in of a chat's user."""
    chats = "telegram" in ast.dump(tree).lower() or "discord" in ast.dump(tree).lower()
    pages = [one for one in functions(tree) if any("Request" in ast.dump(arg) for arg in one.args.args)]
    return chats and any(calls(page, "finish_login", "get_user_token", "save_user_token") for page in pages)


def literal_secret(tree: ast.Module) -> bool:
    given = [keyword for call in clients(tree) for keyword in call.keywords if keyword.arg == "client_secret"]
    return any(isinstance(keyword.value, ast.Constant) for keyword in given)


def plain_http(tree: ast.Module) -> bool:
    return any(re.search(r"http://(?!localhost|127\.|\[::1\]|\{)[a-z]", text) for text in texts(tree))


def swallowed(tree: ast.Module) -> bool:
    broad = [one for one in handlers(tree) if one.type is None or _last(one.type) in ("Exception", "BaseException")]
    silent = any(isinstance(node, ast.Return | ast.Pass) for one in broad for node in one.body)
    caught = [one for loop in loops(tree) for one in handlers(loop) if one.type is not None]
    again = [one for one in caught if "LoginRequiredError" in ast.dump(one.type)]
    return silent or any(isinstance(node, ast.Continue) for one in again for node in ast.walk(one))


def own_state(tree: ast.Module) -> list[ast.AST]:
    begun = calls(tree, "get_authorize_url", "begin_login")
    return [one for call in begun for one in (*call.args, *call.keywords)]


def fixed_sleep(tree: ast.Module) -> bool:
    refused = [loop for loop in loops(tree) if "Constant(value=429)" in ast.dump(loop)]
    naps = [call for loop in refused for call in calls(loop, "sleep")]
    return any(isinstance(call.args[0], ast.Constant) for call in naps)


@frozen
class Rule:
    """What a rule's bold words begin with, what finds the mistake, and code that makes it."""

    says: str
    broken: Finder
    wrong: str


RULES = [
    Rule(
        "No token by hand.",
        by_hand,
        "requests.post('https://exbo.net/oauth/token', data=form); good_until = time.time() + 3600",
    ),
    Rule(
        "One client for the program", several_clients, "@router.message()\nasync def me(m): AsyncOAuthClient.from_env()"
    ),
    Rule(
        "One store for everything that uses the application",
        lambda tree: [one for call in clients(tree) for one in call.keywords if one.arg == "store"],
        "oauth = SyncOAuthClient.from_env(store=MemoryTokenStore())",
    ),
    Rule(
        "A blocking client does not belong into an `async def`",
        blocking_in_async,
        "async def prices():\n    with SyncOAuthClient.from_env() as oauth: ...",
    ),
    Rule('Never `f"Bearer {token}"`', masked_header, "headers = {'Authorization': f'Bearer {token}'}"),
    Rule(
        "The callback of a bot links nobody.",
        linking_callback,
        "import telegram\nasync def callback(request: Request):\n    await oauth.finish_login(attempt, url)",
    ),
    Rule(
        "`state` and PKCE are made for you",
        own_state,
        "url = oauth.get_authorize_url(state=str(user_id))",
    ),
    Rule(
        "`user_info(account)`",
        lambda tree: [call for call in calls(tree, "validate_user_token") if calls(call, "ensure_user_token")],
        "user = await oauth.validate_user_token(await oauth.ensure_user_token(account))",
    ),
    Rule(
        "`LoginRequiredError` is answered with a new link",
        swallowed,
        "def name():\n    try: return oauth.user_info(1).name\n    except Exception: return None",
    ),
    Rule(
        "A 429 is waited out",
        fixed_sleep,
        "while True:\n    answer = api.get(url)\n    if answer.status_code == 429: time.sleep(1)",
    ),
    Rule(
        "The secret comes from the environment",
        literal_secret,
        "oauth = SyncOAuthClient(client_id=59, client_secret='SandboxSecret')",
    ),
    Rule("https only", plain_http, "api.get('http://eapi.stalcraft.net/regions')"),
    Rule(
        "Tests run against `FakeExbo`",
        lambda tree: [one for one in functions(tree) if one.name.startswith("test_") and "exbo.net" in ast.dump(one)],
        "def test_login(): assert requests.get('https://exbo.net/oauth/user').ok",
    ),
]

RECIPES = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "examples").glob("*.py"))} | {
    block.name: block.source for block in BLOCKS if Path(block.name.partition(":")[0]).name.partition(".")[0] in COPIED
}
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.says)


@pytest.mark.parametrize("language", ["", "ru"], ids=["English", "Russian"])
def test_the_page_has_these_rules(language: str) -> None:
    page = (ROOT / "docs" / language / "assistants.md").read_text(encoding="utf-8")
    found = re.findall(r"^(\d+)\. (.*)", page, re.MULTILINE)
    assert [int(number) for number, _ in found] == list(range(1, len(RULES) + 1))
    if not language:
        assert [rule.says for rule, (_, text) in zip(RULES, found, strict=True) if rule.says not in text] == []


@each_rule
def test_a_rule_finds_the_mistake_that_it_names(rule: Rule) -> None:
    assert rule.broken(ast.parse(dedent(rule.wrong)))


@each_rule
def test_no_recipe_breaks_a_rule(rule: Rule) -> None:
    assert len(RECIPES) > 20
    assert [name for name, source in RECIPES.items() if rule.broken(ast.parse(source))] == []
