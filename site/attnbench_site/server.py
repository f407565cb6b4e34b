"""Look at a built site through a local web server."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from attnbench.errors import UserError
from attnbench_site.generator import is_site


def server(out: Path, port: int) -> ThreadingHTTPServer:
    """Bind a server of the site in `out` to this machine's own address; port 0 takes a free one.

    Raises:
        UserError: there is no site in `out`, or the port is taken.
    """
    if not is_site(out):
        raise UserError(f"no site in {out}: `attnbench site build --out {out}` makes one")
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), partial(SimpleHTTPRequestHandler, directory=str(out)))
    except OSError as error:
        raise UserError(f"cannot listen on port {port}: {error.strerror}; name another with --port") from error
