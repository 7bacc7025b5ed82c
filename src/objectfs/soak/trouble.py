"""What the threads do that cannot go well, or is cut short: each must end with the right error, and leave nothing."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from objectfs import errors
from objectfs.soak.content import fill
from objectfs.soak.stage import DEADLINE, LARGE, Play, closed_port

# Any: what the types would not let through is what is tried.
_NONE: Any = None
_UNKNOWN: Any = {"no_such_option": 1}


def wrong(play: Play) -> None:
    """Requests that are refused: by us, by the server, by the machine."""
    client, bucket, key = play.client, play.bucket, play.key()
    with play.refused("get, no such key", errors.NotFoundError):
        client.get(bucket, key, timeout=DEADLINE)
    with play.refused("get, no such bucket", errors.BucketNotFoundError):
        client.get(f"{bucket}-is-not-there", key, timeout=DEADLINE)
    with play.refused("put, no such bucket", errors.BucketNotFoundError):
        client.put(f"{bucket}-is-not-there", key, b"", timeout=DEADLINE)
    with play.refused("get_file, no such key", errors.NotFoundError):
        client.get_file(bucket, key, play.path, timeout=DEADLINE)
    with play.refused("put_file, no such file", errors.LocalFileError):
        client.put_file(bucket, key, f"{play.path}-is-not-there", timeout=DEADLINE)
    with play.refused("open, no such key", errors.NotFoundError):
        client.open(bucket, key, timeout=DEADLINE)
    with play.refused("put of None", TypeError):
        client.put(bucket, key, _NONE, timeout=DEADLINE)
    with play.refused("get, unknown option", TypeError):
        client.get(bucket, key, **_UNKNOWN)
    with play.refused("call, no such operation", errors.InvalidRequestError):
        client.call("NoSuchOperation")
    with play.refused("get_many, no such key", errors.NotFoundError):
        client.get_many(bucket, [key, play.key()], timeout=DEADLINE)
    with play.verb("put"):
        client.put(bucket, key, b"four", timeout=DEADLINE)
    with play.refused("get, no such range", errors.InvalidRangeError):
        client.get(bucket, key, 10, 20, timeout=DEADLINE)
    with play.refused("get_into, too small", errors.BufferTooSmallError):
        client.get_into(bucket, key, bytearray(3), timeout=DEADLINE)
    with play.refused("get_file, no such folder", errors.LocalFileError):
        client.get_file(bucket, key, f"{play.path}-is-not-there/file", timeout=DEADLINE)
    with play.refused("get, condition", errors.PreconditionFailedError):
        client.get(bucket, key, if_match='"no"', timeout=DEADLINE)


def cut_short(play: Play) -> None:
    """Calls whose timeout is too short, at every stage."""
    key, client = play.key(), play.client
    seconds = play.random.choice((0.0005, 0.002, 0.01, 0.03))
    with play.verb("put, short timeout", cancelled=True):
        client.put(play.bucket, key, fill(key, LARGE), timeout=seconds)
    with play.verb("get, short timeout", cancelled=True):
        play.check(key, LARGE, client.get(play.bucket, key, timeout=seconds * 4))


def several_loops(play: Play) -> None:
    """An event loop of the thread's own, with the client that other loops use too, and one of its own."""

    async def main() -> None:
        key, size = play.key(), play.size()
        async with play.stage.make_async() as own:
            with play.verb("async put"):
                await own.put(play.bucket, key, fill(key, size), timeout=DEADLINE)
        with play.verb("async get"):
            play.check(key, size, await play.aclient.get(play.bucket, key, timeout=DEADLINE))

    asyncio.run(main())


def churn(play: Play) -> None:
    """Clients that are made, used and closed; or dropped without that."""
    key, size = play.key(), play.size()
    client = play.stage.make()
    with play.verb("put, new client"):
        client.put(play.bucket, key, fill(key, size), timeout=DEADLINE)
    if play.random.random() < 0.7:
        with play.verb("close"):
            client.close()
        with play.refused("get, closed client", errors.ClosedError):
            client.get(play.bucket, key)


def closed_meanwhile(play: Play) -> None:
    """A client that another thread closes while a call is under way."""
    key = play.key()
    with play.stage.make() as client:
        timer = threading.Timer(play.random.random() * 0.1, client.close)
        timer.start()
        try:
            with play.verb("put, closed meanwhile", errors.ClosedError, cancelled=True):
                client.put(play.bucket, key, fill(key, LARGE), timeout=DEADLINE)
        finally:
            timer.join()


def nobody_there(play: Play) -> None:
    """A server that is not there, and keys that it does not know."""
    with (
        play.stage.make(endpoint_url=f"http://127.0.0.1:{closed_port()}", max_attempts=2) as client,
        play.refused("get, nobody listens", errors.ConnectionFailedError),
    ):
        client.get(play.bucket, play.key(), timeout=DEADLINE)
    with (
        play.stage.make(access_key_id="nobody", secret_access_key="nothing") as client,
        play.refused("get, unknown keys", errors.AccessDeniedError),
    ):
        client.get(play.bucket, play.key(), timeout=DEADLINE)
    with play.refused("client, no such setting", errors.ConfigError):
        play.stage.make(addressing_style="no-such")


def dropped(play: Play) -> None:
    """Iterators, readers and writers that are dropped in the middle."""
    key, client = play.key(), play.client
    with play.verb("put large"):
        client.put(play.bucket, key, fill(key, LARGE), timeout=DEADLINE)
    with play.verb("open rb, dropped"):
        play.check(key, LARGE, client.open(play.bucket, key, timeout=DEADLINE).read(1000), 0, 1000)
    with play.verb("open wb, dropped"):
        client.open(play.bucket, play.key(), "wb", timeout=DEADLINE).write(fill(key, LARGE))
    with play.verb("iter_many, dropped"):
        found, data = next(client.iter_many(play.bucket, [key] * 4, timeout=DEADLINE))
        play.check(found, LARGE, data)


TROUBLE = (wrong, cut_short, several_loops, churn, closed_meanwhile, nobody_there, dropped)
