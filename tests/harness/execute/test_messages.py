"""What comes back from a worker: known kinds of bounded size, and logs that no terminal obeys."""

from multiprocessing import Pipe

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from attnbench.execute import messages
from attnbench.execute.log import plain, tail
from attnbench.execute.messages import Began, Reply, receive, send
from attnbench.nouns import Status
from attnbench.suite import Verdict


@pytest.fixture
def ends():
    here, there = Pipe()
    yield here, there
    here.close()
    there.close()


def test_a_message_arrives_as_it_was(ends):
    here, there = ends
    reply = Reply(case=3, status=Status.PASSED, samples={"forward_s": (0.1, 0.2)}, numbers={"bytes": 7.0})
    send(there, reply, b"tensors")
    assert receive(here, Began, Reply) == reply
    assert here.recv_bytes() == b"tensors"


@pytest.mark.parametrize(
    "text", [b"", b"Reply", b"Reply {}", b"Verdict {}", b'Began {"case": 1, "more": 2}', b"\xff\x00"]
)
def test_anything_else_is_refused(text, ends):
    here, there = ends
    there.send_bytes(text)
    with pytest.raises(ValueError, match=r"unexpected message|validation error"):
        receive(here, Began, Reply)


def test_too_much_is_refused(ends, monkeypatch):
    here, there = ends
    monkeypatch.setattr(messages, "HEADER_BYTES", 64)
    there.send_bytes(b"Began " + b" " * 100)
    with pytest.raises(OSError, match="bad message length"):
        receive(here, Began)


def test_an_end_is_an_end(ends):
    here, there = ends
    there.close()
    with pytest.raises(EOFError):
        receive(here, Began)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_are_finite(value):
    with pytest.raises(ValidationError, match="finite"):
        Reply(case=0, status=Status.PASSED, numbers={"error": value})


@pytest.mark.parametrize("text", ["x" * 4001, "x" * 10**6])
def test_reasons_are_short(text):
    with pytest.raises(ValidationError, match="at most 4000"):
        Verdict(status=Status.WRONG, reason=text)


@given(st.text())
def test_plain_text_holds_nothing_that_a_terminal_obeys(text):
    assert plain(text).replace("\n", "").isprintable()


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_plain_text_stays_as_it_is(text):
    assert plain(text) == text


def test_the_end_of_a_log(tmp_path):
    assert tail(tmp_path / "none") == ""
    (tmp_path / "log").write_bytes(b"y" * 10**6 + b"\xff\x1b[31mlast words\n")
    assert tail(tmp_path / "log").endswith("y\ufffd\\x1b[31mlast words")
    assert len(tail(tmp_path / "log", 100)) <= 100
