"""A client of the deployed API, with nothing but Python's own HTTP: it follows no redirect and retries nothing, so that a test sees every answer."""

import http.client
import json
import time
import urllib.parse

# A name resolver knows nothing of the emulator's hosts: connect here, and name the host in the header.
CONNECT_TO = "127.0.0.1"


class Answer:
    """Status, headers (names in lower case) and body of a response."""

    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r}"


def send(url, method="GET", headers=None, body=None):
    """One request to the emulator, whatever host `url` names."""
    parts = urllib.parse.urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    connection = http.client.HTTPConnection(CONNECT_TO, parts.port, timeout=60)
    try:
        connection.request(method, target or "/", body=body, headers={"host": parts.netloc, **(headers or {})})
        return Answer(connection.getresponse())
    finally:
        connection.close()


class Service:
    """The API, with one API key or none."""

    def __init__(self, base, key=None):
        self.base = base
        self.key = key

    def call(self, method, path, body=None):
        headers = {"authorization": f"Bearer {self.key}"} if self.key else {}
        if body is not None:
            headers["content-type"] = "application/json"
            body = json.dumps(body).encode()
        return send(f"{self.base}/v1/{path}", method, headers, body)

    def get(self, path):
        return self.call("GET", path)

    def post(self, path, body):
        return self.call("POST", path, body)

    def ticket(self, content, sha256, filename="training.dptok"):
        """A presigned PUT for `content`."""
        wanted = {"filename": filename, "bytes": len(content), "sha256": sha256, "purpose": "fine-tune"}
        answer = self.post("files", wanted)
        assert answer.status == 200, answer
        return answer.json()

    def wait_for_job(self, job, seconds):
        """The job once it is final."""
        deadline = time.monotonic() + seconds
        while True:
            answer = self.get(f"fine_tuning/jobs/{job}")
            assert answer.status == 200, answer
            state = answer.json()
            if state["status"] in ("succeeded", "failed", "cancelled"):
                return state
            assert time.monotonic() < deadline, f"the job is still {state['status']} after {seconds} s: {state}"
            time.sleep(1)


def put(upload, content, **changed_headers):
    """Sends `content` where a ticket says, as a browser would."""
    return send(upload["url"], upload["method"], {**upload["headers"], **changed_headers}, content)
