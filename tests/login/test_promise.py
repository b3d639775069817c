"""The one-shot value between threads."""

import threading
import time

from exbo_oauth.promise import LOOKS, Awake, Promise


def test_the_first_to_settle_wins() -> None:
    promise = Promise[str]()
    assert not promise.settled
    assert promise.settle("first") == "first"
    assert promise.settle("second") == "first"
    assert promise.settled


def test_of_many_threads_one_wins_and_all_learn_who() -> None:
    promise, start, heard = Promise[int](), threading.Barrier(20), list[int]()

    def settle(number: int) -> None:
        start.wait()
        heard.append(promise.settle(number))

    threads = [threading.Thread(target=settle, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(heard) == 20
    assert len(set(heard)) == 1


def test_a_thread_that_waits_is_woken() -> None:
    promise = Promise[None]()
    threading.Timer(0.05, promise.settle, (None,)).start()
    promise.wait(20)
    assert promise.settled


def test_waiting_ends_in_time() -> None:
    promise, before = Promise[None](), time.monotonic()
    promise.wait(0.3)
    assert not promise.settled
    assert time.monotonic() - before >= 0.3


def test_whoever_asked_is_woken_once() -> None:
    promise, woken = Promise[None](), list[str]()
    promise.when_settled(lambda: woken.append("before"))
    promise.settle(None)
    promise.settle(None)
    promise.when_settled(lambda: woken.append("after"))
    assert woken == ["before", "after"]


def test_who_waits_goes_on_when_the_wakers_have_done_their_work() -> None:
    promise, went_on, early = Promise[None](), threading.Event(), list[bool]()

    def wait() -> None:
        promise.wait(20)
        went_on.set()

    waiter = threading.Thread(target=wait)
    promise.when_settled(lambda: early.append(went_on.wait(0.2)))
    waiter.start()
    promise.settle(None)
    waiter.join()
    assert early == [False]


def test_time_in_which_the_process_was_stopped_does_not_count() -> None:
    patience = Awake(1.0)
    assert not patience.waited(3600.0)
    assert not patience.waited(0.25)
    assert not patience.waited(0.3)
    assert patience.waited(0.45)


def test_a_process_that_is_busy_all_the_time_waits_no_longer_for_that() -> None:
    patience = Awake(20.0)
    waited = 0
    while not patience.waited(2.0):
        waited += 1
    assert waited == LOOKS + 9
