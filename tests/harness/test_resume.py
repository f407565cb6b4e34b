"""A run that is killed goes on when it is started again, and ends as if nothing had happened."""

import random
import signal
import time

import psutil
import pytest

from attnbench.store import Store

WORDS = ("--suite", "correctness", "--profile", "smoke", "--device", "cpu")
RUN = ("run", "--variant", "multi_head/torch", "--variant", "multi_head/sdpa", *WORDS)


def identities(path) -> list[str]:
    with Store.open(path, create=False) as store:
        return [one.identity for one in store.records()]


def wait_for_results(path, count: int) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if path.exists() and len(identities(path)) >= count:
            return
        time.sleep(0.05)
    pytest.fail(f"{count} results were never stored")


@pytest.fixture(scope="module")
def uninterrupted(installations) -> list[str]:
    installation = installations()
    assert installation.attnbench(*RUN).returncode == 0
    assert "nothing left to run" in installation.attnbench(*RUN).stderr
    return sorted(identities(installation.database))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_was_ended_goes_on(number, installation, uninterrupted):
    with installation.start(*RUN) as process:
        wait_for_results(installation.database, random.randint(1, 40))
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    gone, left = psutil.wait_procs(family, timeout=20)
    assert family
    assert not left
    assert len(gone) == len(family)

    before = identities(installation.database)
    if number == signal.SIGINT:
        assert process.returncode == 130, err
        assert "the same command goes on from here" in err
        assert "Traceback" not in err
    done = installation.attnbench(*RUN)
    assert done.returncode == 0, done.stderr
    assert f"{len(before)} cases skipped: the store has them already" in done.stderr
    after = identities(installation.database)
    assert len(set(after)) == len(after)
    assert sorted(after) == uninterrupted
