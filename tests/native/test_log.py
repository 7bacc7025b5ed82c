"""The C library's log in Python's. In processes of its own: the levels are the process's."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

BEGIN = """
import logging, threading, time
from objectfs.sim import S3Server
import objectfs
from objectfs.backends import crt_log

lines = []

class Keep(logging.Handler):
    def emit(self, record):
        lines.append(record)

logging.getLogger().addHandler(Keep())
server = S3Server(buckets=("bucket",))
server.start()

def use():
    with objectfs.Client(
        backend="crt", endpoint_url=server.endpoint_url, access_key_id="test", secret_access_key="testtest",
        region="us-east-1",
    ) as client:
        client.put("bucket", "k", b"x")
    crt_log.flush()

def threads():
    return [thread.name for thread in threading.enumerate() if thread.name == "objectfs-crt-log"]
"""


def run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + textwrap.dedent(code) + "\nserver.stop()\n"],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_off_unless_asked_for() -> None:
    """Also where the level of a logger above asks for everything."""
    run("""
        logging.getLogger().setLevel(1)
        logging.getLogger("objectfs").setLevel(1)
        use()
        assert not [line for line in lines if line.name.startswith("objectfs.crt")]
        assert not threads()
    """)


def test_each_library_has_a_level() -> None:
    run("""
        logging.getLogger("objectfs.crt").setLevel(logging.ERROR)
        logging.getLogger("objectfs.crt.s3").setLevel(logging.DEBUG)
        use()
        assert threads() == ["objectfs-crt-log"]
        found = {(line.name, line.levelno) for line in lines if line.name.startswith("objectfs.crt")}
        assert ("objectfs.crt.s3", logging.DEBUG) in found
        assert not [name for name, level in found if name != "objectfs.crt.s3" and level < logging.ERROR]
        one = next(line for line in lines if line.name == "objectfs.crt.s3")
        assert one.getMessage().startswith("[S3"), one.getMessage()
        assert abs(one.created - lines[-1].created) < 3600
    """)


def test_a_level_counts_from_the_next_client_on() -> None:
    run("""
        use()
        logging.getLogger("objectfs.crt.s3").setLevel(logging.DEBUG)
        use()
        assert [line for line in lines if line.name == "objectfs.crt.s3"]
        logging.getLogger("objectfs.crt.s3").setLevel(logging.NOTSET)
        use()  # off again
        del lines[:]
        use()
        assert not [line for line in lines if line.name.startswith("objectfs.crt")]
    """)


def test_what_comes_too_fast_is_dropped_and_told() -> None:
    """The thread that logs is held within a handler; the C library's are not, and the ring is full one day."""
    run("""
        from objectfs import _native
        held, go = threading.Event(), threading.Event()

        class Slow(logging.Handler):
            def emit(self, record):
                if threading.current_thread().name == "objectfs-crt-log":
                    held.set()
                    go.wait()

        logging.getLogger("objectfs.crt").addHandler(Slow())
        logging.getLogger("objectfs.crt").setLevel(5)
        with objectfs.Client(
            backend="crt", endpoint_url=server.endpoint_url, access_key_id="test", secret_access_key="testtest",
            region="us-east-1",
        ) as client:
            client.put("bucket", "k", b"x")
            assert held.wait(60)
            for _ in range(400):  # some fifty lines each
                client.get("bucket", "k")
            go.set()
        def dropped():
            return [line for line in lines if "were dropped" in line.getMessage()]

        deadline = time.monotonic() + 120
        while not dropped() and time.monotonic() < deadline:
            crt_log.flush()
            time.sleep(0.01)
        told = dropped()
        assert told and told[0].levelno == logging.WARNING and told[0].args[0] > 0
    """)


def test_a_file_is_a_file(tmp_path: object) -> None:
    path = f"{tmp_path}/log"
    run(
        """
        logging.getLogger("objectfs.crt").setLevel(5)
        use()
        assert not [line for line in lines if line.name.startswith("objectfs.crt")]
        assert not threads()
        """,
        OBJECTFS_CRT_LOG=path,
    )
    assert os.path.getsize(path) > 0


@pytest.mark.not_under("thread", "a child of a fork has threads")
def test_a_fork_has_a_log_of_its_own() -> None:
    run("""
        import os
        logging.getLogger("objectfs.crt").setLevel(logging.DEBUG)
        use()
        child = os.fork()
        if child == 0:
            del lines[:]
            try:
                use()
                assert threads() == ["objectfs-crt-log"], threads()
                assert [line for line in lines if line.name == "objectfs.crt.s3"]
            except BaseException as error:
                print(repr(error), flush=True)
                os._exit(1)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    """)


@pytest.mark.not_under("thread", "a child of a fork has threads")
def test_a_fork_goes_on_in_the_file(tmp_path: object) -> None:
    """The thread that writes it is the parent's. What the child's engine says comes from one of its own."""
    run(
        """
        import os
        use()
        child = os.fork()
        if child == 0:
            try:
                with objectfs.Client(
                    backend="crt", endpoint_url=server.endpoint_url, access_key_id="test",
                    secret_access_key="testtest", region="us-east-1",
                ) as client:
                    client.put("bucket", "of-the-child", b"x")
                    deadline = time.monotonic() + 120
                    # written in blocks of some KiB, so that one line alone may wait
                    while b"/bucket/of-the-child" not in open(os.environ["OBJECTFS_CRT_LOG"], "rb").read():
                        assert time.monotonic() < deadline
                        client.get("bucket", "k")
            except BaseException as error:
                print(repr(error), flush=True)
                os._exit(1)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        use()
        """,
        OBJECTFS_CRT_LOG=f"{tmp_path}/log",
    )
