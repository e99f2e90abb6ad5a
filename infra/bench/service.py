"""Starts the service in processes of its own and speaks to it: what both benchmarks share. Standard library only."""

import contextlib
import hashlib
import http.client
import json
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODEL = "demo-llama-4m"
FINAL = ("succeeded", "failed", "cancelled")

# A name resolver knows nothing of the emulator's hosts: connect here, and name the host in the header.
CONNECT_TO = "127.0.0.1"


class Connection:
    """One kept connection; each thread has its own."""

    def __init__(self, base, key=None):
        parts = urllib.parse.urlsplit(base)
        self.prefix, self.host, self.key = parts.path, parts.netloc, key
        self.connection = http.client.HTTPConnection(CONNECT_TO, parts.port, timeout=600)

    def call(self, method, path, body=None):
        """Status and JSON of an answer."""
        headers = {"host": self.host}
        if self.key:
            headers["authorization"] = f"Bearer {self.key}"
        data = None
        if body is not None:
            headers["content-type"] = "application/json"
            data = json.dumps(body)
        self.connection.request(method, self.prefix + path, data, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text[:1] in (b"{", b"[") else text

    def wanted(self, method, path, body=None):
        """JSON of an answer that must be 200."""
        status, answer = self.call(method, path, body)
        if status != 200:
            raise RuntimeError(f"{method} {path}: {status} {answer}")
        return answer


def put(upload, content):
    """Sends `content` where a ticket says; the status."""
    parts = urllib.parse.urlsplit(upload["url"])
    connection = http.client.HTTPConnection(CONNECT_TO, parts.port, timeout=600)
    try:
        headers = {**upload["headers"], "host": parts.netloc}
        connection.request(upload["method"], f"{parts.path}?{parts.query}", content, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def ticket(content, connection):
    """Announces a file: its id and where to send it."""
    wanted = {"filename": "a.txt", "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "purpose": "fine-tune"}
    return connection.wanted("POST", "/files", wanted)


class Memory:
    """Samples what a process and all below it hold by themselves, mapped files not counted."""

    INTERVAL = 0.5

    def __init__(self, pid):
        self.pid, self.peak, self.over = pid, 0, threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self):
        while not self.over.wait(self.INTERVAL):
            self.peak = max(self.peak, sum(map(self.own, self.tree())))

    def tree(self):
        """The process and its descendants."""
        children = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with contextlib.suppress(OSError, IndexError):
                    parent = (folder / "stat").read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()[1]
                    children.setdefault(int(parent), []).append(int(folder.name))
        found = [self.pid]
        for pid in found:
            found += children.get(pid, [])
        return found

    @staticmethod
    def own(pid):
        """Kilobytes of anonymous memory; none of a process that has just ended."""
        try:
            status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return 0
        found = re.search(r"RssAnon:\s+(\d+) kB", status)
        return int(found[1]) if found else 0

    def peak_since(self):
        """Most megabytes since it was last asked."""
        peak, self.peak = self.peak, 0
        return peak / 1024


class Service:
    """A running service. One on this machine alone `watches_itself`, at /healthz; on AWS that is the gateway's business."""

    def __init__(self, base, key, memory, watches_itself):
        self.base, self.key, self.memory, self.watches_itself = base, key, memory, watches_itself

    def connect(self):
        return Connection(self.base, self.key)

    def upload(self, content, connection):
        """Announces and sends a file; its id."""
        announced = ticket(content, connection)
        status = put(announced["upload"], content)
        if status != 200:
            raise RuntimeError(f"an upload was answered with {status}")
        return announced["id"]

    def job(self, file, settings, connection):
        """Creates a job; its id."""
        method = {"type": "dp_lora", "dp_lora": settings}
        request = {"model": MODEL, "training_file": file, "method": method}
        return connection.wanted("POST", "/fine_tuning/jobs", request)["id"]


@contextlib.contextmanager
def started(command, patterns):
    """Runs `command`, finds each of `patterns` in what it prints, and interrupts it in the end."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            found = {}
            for line in process.stdout:
                for name, pattern in patterns.items():
                    match = re.search(pattern, line)
                    if match:
                        found[name] = match[1]
                if len(found) == len(patterns):
                    break
            else:
                raise RuntimeError(f"it did not start: {command}")
            # What it prints later must find a reader.
            threading.Thread(target=process.stdout.read, daemon=True).start()
            yield process, found
        except Exception:
            log.seek(0)
            print(log.read().decode(errors="replace")[-4000:], file=sys.stderr)
            raise
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=180)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def watched(command, patterns, watches_itself):
    """A service, with its memory watched."""
    with started(command, patterns) as (process, found):
        memory = Memory(process.pid)
        try:
            yield Service(found["api"], found["key"], memory, watches_itself)
        finally:
            memory.over.set()
            memory.thread.join()


@contextlib.contextmanager
def embedded(dpft, *arguments):
    """`dpft serve` on free ports, with a data folder of its own."""
    with tempfile.TemporaryDirectory(prefix="dpft-bench-") as folder:
        command = [dpft, "serve", "--port", "0", "--data-dir", f"{folder}/data", "--models", str(ROOT / "models"), "--site", f"{folder}/none", *arguments]
        with watched(command, {"api": r"API:\s+(\S+)", "key": r"API:.*\(key (\S+)\)"}, watches_itself=True) as service:
            yield service


@contextlib.contextmanager
def emulated():
    """The deployed stack on the emulator of AWS, with quotas that let one tenant bring all the load."""
    command = [sys.executable, str(ROOT / "infra/aws/deploy.py"), "--emulated", "--parameter-overrides", "TenantJobs=10000"]
    with watched(command, {"api": r"^API:\s+(\S+)", "key": r"^Key:\s+(\S+)"}, watches_itself=False) as service:
        yield service


def percentile(values, share):
    """The value that `share` of all are at most."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def timed(work):
    """Milliseconds that `work` took, and what it gave."""
    begun = time.perf_counter()
    result = work()
    return (time.perf_counter() - begun) * 1000, result
