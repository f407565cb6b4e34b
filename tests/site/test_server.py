import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from attnbench.errors import UserError
from attnbench_site.server import server


@contextmanager
def running(site: Path) -> Iterator[int]:
    with server(site, 0) as bound:
        thread = threading.Thread(target=bound.serve_forever)
        thread.start()
        yield bound.server_port
        bound.shutdown()
        thread.join()


def test_serves_the_site_on_this_machine_only(site: Path) -> None:
    with running(site) as port:
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/variants/multi_head.html")
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.read() == (site / "variants/multi_head.html").read_bytes()
        connection.close()
    with server(site, 0) as bound:
        assert bound.server_address[0] == "127.0.0.1"


def test_a_taken_port_is_a_user_error(site: Path) -> None:
    with server(site, 0) as first, pytest.raises(UserError, match="name another with --port"):
        server(site, first.server_port)


def test_a_folder_without_a_site_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="attnbench site build --out"):
        server(tmp_path, 0)
