"""Runs ministack, an independent emulator of AWS, for the length of a `with` block.

It listens on the loopback interface only, checks signatures and IAM policies, and runs the functions' real bootstrap binaries as processes.
"""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import boto3
from botocore.config import Config

HOST = "127.0.0.1"
REGION = "eu-central-1"
# Its own convention: twelve digits are both the access key and the account.
ACCOUNT = "000000000001"
SECRET = "test"
START_SECONDS = 60


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


class Emulator:
    """A running ministack."""

    def __init__(self, port, log_path):
        self.port = port
        self.endpoint = f"http://{HOST}:{port}"
        self.log_path = log_path

    def client(self, service, access_key=ACCOUNT, secret_key=SECRET, session_token=None):
        """A boto3 client of the emulator."""
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            aws_session_token=session_token,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 2}),
        )

    def environment(self):
        """What a command line tool, such as sam, needs to talk to the emulator."""
        return {
            **os.environ,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": REGION,
            "SAM_CLI_TELEMETRY": "0",
        }

    def log_tail(self, lines=60):
        """The end of its log, where the functions' output is too."""
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return "".join(log.readlines()[-lines:])


def _environment(port, scratch):
    """Only what it needs: the functions inherit this environment, and the caller's settings must not decide a test."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": scratch,
        "TMPDIR": scratch,
        # Its default is every interface.
        "BIND_HOST": HOST,
        # In the names of its APIs. A name that ends in an address is no valid URL to lambda_http.
        "MINISTACK_HOST": "localhost",
        "GATEWAY_PORT": str(port),
        "AUTH": "true",
        "LAMBDA_EXECUTOR": "local",
        "MINISTACK_REGION": REGION,
        # Requests without AWS credentials, such as those of the page, go to this account.
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        # These would listen on every interface, whatever BIND_HOST says.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "PYTHONUNBUFFERED": "1",
    }


def _wait_until_healthy(process, emulator):
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(f"{emulator.endpoint}/_ministack/health", timeout=2):
                return
        time.sleep(0.2)
    raise RuntimeError(f"ministack did not start:\n{emulator.log_tail()}")


def _stop(process):
    """Ends ministack and, with it, the functions: they share its session, which only it leads."""
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    # A function in the middle of a slice outlives its parent. The group is ours: `start_new_session` made it.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, 9)


@contextlib.contextmanager
def running():
    """Starts ministack on a free port and always stops it."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="dpft-aws-") as scratch:
        log_path = os.path.join(scratch, "ministack.log")
        emulator = Emulator(port, log_path)
        with open(log_path, "wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "ministack"],
                env=_environment(port, scratch),
                cwd=scratch,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            _wait_until_healthy(process, emulator)
            yield emulator
        finally:
            _stop(process)
