"""The viewer's side of the emulator's CloudFront: passes requests from a port of this machine on to a distribution.

CloudFront has a host name and TLS of its own, and the emulator neither; a browser gets both from this proxy, in the headers that name them. Nor
does the emulator's CloudFront reach an HTTP API, so the proxy itself passes `/v1/` on to it, as the distribution's second behaviour says.
"""

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOST = "127.0.0.1"
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


def handler(emulator_port, distribution, api):
    """What answers for the distribution of that domain name, and for the API of that host."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
            connection = http.client.HTTPConnection(HOST, emulator_port, timeout=60)
            host = api if self.path.startswith("/v1/") else distribution
            named = {**{name.lower(): value for name, value in headers.items()}, "host": host, "x-forwarded-proto": "https"}
            try:
                connection.request(self.command, self.path, body=body or None, headers=named)
                self.answer(connection.getresponse())
            finally:
                connection.close()

        def answer(self, response):
            body = response.read()
            self.send_response(response.status)
            for name, value in response.getheaders():
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            # An answer to HEAD has no body, whatever its length says.
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = handle_any

        def log_message(self, *_):
            """Paths hold the ids of files and jobs: they are nobody's business here either."""

    return Handler


def listen():
    """A server on a free port that answers nothing yet: its port must be known before the distribution is."""
    return ThreadingHTTPServer((HOST, 0), BaseHTTPRequestHandler)


def start(server, emulator_port, distribution, api):
    """Lets `server` pass requests on to the distribution of that domain name and the API of that host, from a thread of its own."""
    server.RequestHandlerClass = handler(emulator_port, distribution, api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
