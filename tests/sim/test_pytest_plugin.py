"""The fixtures for other projects, in runs of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest_plugins = ["pytester"]

HELPERS = """
import urllib.request
import urllib.error
import boto3
import pytest

@pytest.fixture
def s3(s3_server):
    client = boto3.client(
        "s3",
        endpoint_url=s3_server.endpoint_url,
        aws_access_key_id=s3_server.access_key,
        aws_secret_access_key=s3_server.secret_key,
        region_name=s3_server.region,
        verify=s3_server.ca_file,
    )
    yield client
    client.close()
"""


def run(pytester: pytest.Pytester, test: str, *arguments: str, ini: str = "") -> pytest.RunResult:
    pytester.makeini(f"[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n{ini}")
    pytester.makeconftest(HELPERS)
    pytester.makepyfile(test)
    return pytester.runpytest_subprocess(*arguments)


def test_fixtures(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import pytest

        seen = []

        @pytest.mark.parametrize("number", [1, 2])
        def test_bucket(s3, s3_bucket, s3_server, number):
            assert s3_server.requests == []
            s3.put_object(Bucket=s3_bucket, Key="k", Body=b"x")
            # The other test's bucket is gone, with what was in it.
            assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == [s3_bucket]
            assert [r.operation for r in s3_server.requests] == ["PutObject", "ListBuckets"]
            assert s3_server.profile.unlimited
            seen.append((s3_server, s3_bucket))

        def test_buckets_are_fresh():
            (one, first), (two, second) = seen
            assert one is two
            assert first != second

        def test_a_bucket_that_the_test_deletes_itself(s3, s3_bucket):
            s3.delete_bucket(Bucket=s3_bucket)

        def test_faults(s3, s3_bucket, s3_faults):
            from objectfs.sim import Fault

            s3_faults.add(Fault("GetObject", status=403, code="AccessDenied", times="all"))
            s3.put_object(Bucket=s3_bucket, Key="k", Body=b"x")
            with pytest.raises(s3.exceptions.ClientError, match="AccessDenied"):
                s3.get_object(Bucket=s3_bucket, Key="k")
            assert [item.effect for item in s3_faults.injected] == ["status"]

        def test_faults_are_gone(s3, s3_bucket, s3_server):
            s3.put_object(Bucket=s3_bucket, Key="k", Body=b"x")
            assert s3.get_object(Bucket=s3_bucket, Key="k")["Body"].read() == b"x"
            assert len(s3_server.faults) == 0
            assert s3_server.faults.injected == []
        """,
    )
    result.assert_outcomes(passed=6)


def test_settings(pytester: pytest.Pytester) -> None:
    pytester.makefile(".toml", plan='[[fault]]\noperation = "HeadObject"\nstatus = 429\n')
    test = """
        def test_settings(s3, s3_bucket, s3_server, s3_faults):
            assert s3_server.tls
            assert s3_server.profile.name == "express"
            assert len(s3_faults) == 1
            s3.put_object(Bucket=s3_bucket, Key="k", Body=b"x")
            s3_faults.clear()

        def test_the_plan_is_back(s3_server):
            assert len(s3_server.faults) == 1
        """
    ini = "objectfs_profile = s3\nobjectfs_faults = plan.toml\nobjectfs_tls = true\n"
    run(pytester, test, "--objectfs-profile", "express", ini=ini).assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("ini", "words"),
    [
        ("objectfs_profile = s4", "*objectfs: profile = 's4': there are loopback, s3*"),
        ("objectfs_faults = none.toml", "*objectfs: *No such file*none.toml*"),
    ],
)
def test_wrong_settings(pytester: pytest.Pytester, ini: str, words: str) -> None:
    result = run(pytester, "def test_it(s3_server): pass", ini=ini)
    assert result.ret != 0
    result.stdout.fnmatch_lines([words])


def test_options_of_the_project(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import pytest

        @pytest.fixture(scope="session")
        def s3_server_options(s3_server_options):
            return s3_server_options | {"region": "eu-west-1", "buckets": ["mine"]}

        def test_options(s3, s3_server):
            assert s3_server.region == "eu-west-1"
            assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["mine"]
        """,
    )
    result.assert_outcomes(passed=1)


def test_runs_that_do_not_use_it_do_not_pay_for_it(pytester: pytest.Pytester) -> None:
    """The plugin is there, and nothing of the server."""
    result = run(
        pytester,
        """
        import sys

        def test_imports(pytestconfig):
            assert pytestconfig.pluginmanager.get_plugin("objectfs") is not None
            assert "objectfs.sim.pytest_plugin" in sys.modules
            ours = {name for name in sys.modules if name.startswith("objectfs")}
            assert ours == {"objectfs", "objectfs.sim", "objectfs.sim.pytest_plugin"}
        """,
    )
    result.assert_outcomes(passed=1)


def test_the_import_is_small() -> None:
    code = (
        "import sys, pytest\nbefore = set(sys.modules)\nimport objectfs.sim.pytest_plugin\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"objectfs", "objectfs.sim", "objectfs.sim.pytest_plugin", "uuid"}
