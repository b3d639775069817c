"""The in-process transport under real clients of httpx and httpx2: sync, asyncio and trio."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import httpx
import httpx2
import pytest

import exbo_oauth.testing
from exbo_oauth.testing import FakeExbo

LIBRARIES = [pytest.param(httpx, id="httpx"), pytest.param(httpx2, id="httpx2")]


def credentials(fake: FakeExbo) -> dict[str, str]:
    return {
        "grant_type": "client_credentials",
        "client_id": fake.app.client_id,
        "client_secret": fake.app.client_secret,
        "scope": "",
    }


def token_url(fake: FakeExbo) -> str:
    return f"{fake.base_url}/token"


@pytest.mark.parametrize("library", LIBRARIES)
def test_one_transport_serves_client_after_client(library: Any) -> None:
    fake = FakeExbo()
    transport = fake.transport()
    for _ in range(2):
        with library.Client(transport=transport) as client:
            response = client.post(token_url(fake), data=credentials(fake))
            assert response.status_code == 200
            assert isinstance(response, library.Response)
            assert int(response.headers["content-length"]) == len(response.content)


@pytest.mark.anyio
@pytest.mark.parametrize("library", LIBRARIES)
async def test_the_same_transport_serves_async_clients(library: Any) -> None:
    fake = FakeExbo()
    transport = fake.transport()
    with library.Client(transport=transport) as client:
        client.post(token_url(fake), data=credentials(fake))
    async with library.AsyncClient(transport=transport) as client:
        response = await client.post(token_url(fake), data=credentials(fake))
    assert response.json()["token_type"] == "Bearer"
    assert [received.grant for received in fake.requests] == ["client_credentials"] * 2


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_transport_is_a_transport_of_both_libraries(library: Any) -> None:
    assert isinstance(FakeExbo().transport(), library.BaseTransport | library.AsyncBaseTransport)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("partial", [False, True], ids=["whole", "partial"])
def test_a_lost_answer_is_the_librarys_own_error(library: Any, partial: bool) -> None:
    fake = FakeExbo()
    with library.Client(transport=fake.transport()) as client:
        fake.lose_next_answer(partial=partial)
        with pytest.raises(library.RemoteProtocolError):
            client.post(token_url(fake), data=credentials(fake))
        assert client.post(token_url(fake), data=credentials(fake)).status_code == 200


@pytest.mark.anyio
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("partial", [False, True], ids=["whole", "partial"])
async def test_a_lost_answer_is_the_librarys_own_error_in_async(library: Any, partial: bool) -> None:
    fake = FakeExbo()
    async with library.AsyncClient(transport=fake.transport()) as client:
        fake.lose_next_answer(partial=partial)
        with pytest.raises(library.RemoteProtocolError):
            await client.post(token_url(fake), data=credentials(fake))


def test_a_partial_answer_shows_its_head() -> None:
    fake = FakeExbo()
    fake.lose_next_answer(partial=True)
    with (
        httpx.Client(transport=fake.transport()) as client,
        client.stream("POST", token_url(fake), data=credentials(fake)) as response,
    ):
        assert response.status_code == 200
        got = []
        with pytest.raises(httpx.RemoteProtocolError):
            got.extend(response.iter_raw())
    assert 0 < len(b"".join(got)) < int(response.headers["content-length"])


@pytest.mark.anyio
async def test_a_held_answer_waits_for_the_gate() -> None:
    fake = FakeExbo()
    statuses: list[int] = []
    async with httpx.AsyncClient(transport=fake.transport()) as client, anyio.create_task_group() as tasks:

        async def post() -> None:
            statuses.append((await client.post(token_url(fake), data=credentials(fake))).status_code)

        with fake.hold() as gate:
            tasks.start_soon(post)
            tasks.start_soon(post)
            await gate.wait_async(2)
            assert (statuses, len(fake.issued), gate.held) == ([], 2, 2)
    assert statuses == [200, 200]


@pytest.mark.anyio
async def test_cancelling_a_held_request_leaves_its_token_issued() -> None:
    fake = FakeExbo()
    async with httpx.AsyncClient(transport=fake.transport()) as client:
        with fake.hold() as gate:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lambda: client.post(token_url(fake), data=credentials(fake)))
                await gate.wait_async()
                tasks.cancel_scope.cancel()
        assert fake.is_live(fake.issued[0])
        assert (await client.post(token_url(fake), data=credentials(fake))).status_code == 200


def test_a_held_answer_holds_its_thread_only() -> None:
    fake = FakeExbo()
    with httpx.Client(transport=fake.transport()) as client, ThreadPoolExecutor() as pool:
        with fake.hold(times=1) as gate:
            held = pool.submit(client.post, token_url(fake), data=credentials(fake))
            gate.wait()
            assert client.post(token_url(fake), data=credentials(fake)).status_code == 200
            assert not held.done()
        assert held.result(120).status_code == 200


def test_a_gate_tells_when_nothing_came() -> None:
    with FakeExbo().hold() as gate, pytest.raises(TimeoutError, match="0 of 1 answers"):
        gate.wait(timeout=0.01)


@pytest.mark.anyio
async def test_a_gate_tells_async_waiters_when_nothing_came() -> None:
    with FakeExbo().hold() as gate, pytest.raises(TimeoutError, match="0 of 3 answers"):
        await gate.wait_async(3, timeout=0.01)


def test_a_released_gate_holds_nothing_and_gates_do_not_pile_up() -> None:
    fake = FakeExbo()
    with fake.hold():
        pass
    with httpx.Client(transport=fake.transport()) as client, fake.hold("/oauth/user"):
        assert client.post(token_url(fake), data=credentials(fake)).status_code == 200


@pytest.mark.parametrize("library", LIBRARIES)
def test_waiting_ends_with_the_read_timeout(library: Any) -> None:
    fake = FakeExbo()
    with library.Client(transport=fake.transport(), timeout=0.02) as client:
        with fake.hold(), pytest.raises(library.ReadTimeout):
            client.post(token_url(fake), data=credentials(fake))
        fake.latency = 60
        with pytest.raises(library.ReadTimeout):
            client.post(token_url(fake), data=credentials(fake))
        fake.latency = 0.001
        assert client.post(token_url(fake), data=credentials(fake)).status_code == 200


@pytest.mark.anyio
@pytest.mark.parametrize("library", LIBRARIES)
async def test_waiting_ends_with_the_read_timeout_in_async(library: Any) -> None:
    fake = FakeExbo()
    async with library.AsyncClient(transport=fake.transport(), timeout=0.02) as client:
        with fake.hold(), pytest.raises(library.ReadTimeout):
            await client.post(token_url(fake), data=credentials(fake))
        fake.latency = 60
        with pytest.raises(library.ReadTimeout):
            await client.post(token_url(fake), data=credentials(fake))
        fake.latency = 0.001
        assert (await client.post(token_url(fake), data=credentials(fake))).status_code == 200


def test_many_threads_may_use_one_server() -> None:
    fake = FakeExbo(invalidate="all")
    barrier = threading.Barrier(8)

    def work(_: int) -> set[int]:
        barrier.wait()
        with httpx.Client(transport=fake.transport()) as client:
            return {client.post(token_url(fake), data=credentials(fake)).status_code for _ in range(25)}

    with ThreadPoolExecutor(8) as pool:
        assert set().union(*pool.map(work, range(8))) == {200}
    assert len(fake.issued) == 200
    assert [fake.is_live(token) for token in fake.issued].count(True) == 1


def test_a_transport_works_where_only_httpx_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "httpx2")
    fake = FakeExbo()
    with httpx.Client(transport=fake.transport()) as client:
        assert client.post(token_url(fake), data=credentials(fake)).status_code == 200
    assert "httpx2" not in sys.modules


def test_a_transport_says_whose_it_is() -> None:
    assert repr(FakeExbo().transport()) == "<transport of <FakeExbo league-8 at https://exbo.test/oauth>>"


def test_every_public_name_is_there() -> None:
    for name in exbo_oauth.testing.__all__:
        assert getattr(exbo_oauth.testing, name) is not None
        assert name in dir(exbo_oauth.testing)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        exbo_oauth.testing.nothing  # noqa: B018


def test_importing_the_kit_loads_no_http_library() -> None:
    code = "import sys, exbo_oauth.testing; print({'httpx', 'httpx2', 'anyio', 'cryptography'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
