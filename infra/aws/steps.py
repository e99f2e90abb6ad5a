"""The steps of a deployment, each one command or a few calls, the same on AWS and on the emulator.

Where they go is decided by a `Target`'s environment alone: credentials, region and, for the emulator, an endpoint.
"""

import os
import subprocess
import time
from pathlib import Path

import boto3
from botocore.config import Config

import package

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "web-client/site"

# Browsers refuse a module or a script that comes as anything else, and a table of media types differs from system to system.
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".bin": "application/octet-stream",
}


class Target:
    """Where a stack goes: the stack's name, its parameters and the environment of every command."""

    def __init__(self, stack, parameters, environment=None):
        self.stack = stack
        self.parameters = parameters
        self.environment = dict(os.environ) | {"SAM_CLI_TELEMETRY": "0"} | (environment or {})

    def run(self, *command, **options):
        """Runs a command in the repository's root; a failure ends the deployment, with the command's own words above."""
        print("$", *command, flush=True)
        return subprocess.run([str(word) for word in command], check=True, env=self.environment, cwd=ROOT, **options)

    def client(self, service):
        """A boto3 client for this target's account."""
        credentials = {"aws_access_key_id": "AWS_ACCESS_KEY_ID", "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY"}
        return boto3.client(
            service,
            endpoint_url=self.environment.get("AWS_ENDPOINT_URL"),
            region_name=self.environment.get("AWS_DEFAULT_REGION"),
            # Unset, boto3 looks where it always does: profiles, roles, single sign-on.
            **{name: self.environment.get(variable) for name, variable in credentials.items()},
            aws_session_token=self.environment.get("AWS_SESSION_TOKEN"),
            config=Config(s3={"addressing_style": "path" if "AWS_ENDPOINT_URL" in self.environment else "auto"}),
        )

    def overrides(self):
        """The parameters as sam takes them."""
        return ["--parameter-overrides", *(f"{name}={value}" for name, value in self.parameters.items())] if self.parameters else []


def build(target):
    """Compiles the functions for Amazon Linux; returns the template to deploy."""
    target.run("sam", "build", "--beta-features", *target.overrides())
    return ROOT / ".aws-sam/build/template.yaml"


def assemble(folder):
    """What `build` returns, from the workspace's own release binaries: the emulator runs them on this machine, so nothing is compiled again."""
    return package.assemble(ROOT, folder)


def deploy(target, template, *arguments):
    """Creates or updates the stack; returns its outputs. `arguments` go to sam as they are."""
    target.run(
        "sam", "deploy", "--template-file", template, "--stack-name", target.stack, "--resolve-s3", "--capabilities", "CAPABILITY_IAM",
        "--no-fail-on-empty-changeset", "--no-progressbar", *arguments, *target.overrides(),
    )  # fmt: skip
    stack = target.client("cloudformation").describe_stacks(StackName=target.stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def add_model(target, outputs, model):
    """Publishes a model: a folder, or a name on the Hugging Face hub."""
    target.run(dpft(), "model", "add", model, "--bucket", outputs["FilesBucket"])


def create_key(target, outputs, tenant):
    """Makes an API key of `tenant`; returns it. It is stored as a hash and cannot be shown again."""
    made = target.run(dpft(), "key", "create", "--tenant", tenant, "--bucket", outputs["FilesBucket"], stdout=subprocess.PIPE, text=True)
    return made.stdout.strip()


def upload_page(target, outputs):
    """Puts the page's files where CloudFront finds them, removes what is no longer one of them, and empties CloudFront's caches."""
    storage, bucket = target.client("s3"), outputs["SiteBucket"]
    files = {path.relative_to(SITE).as_posix(): path for path in SITE.rglob("*") if path.is_file()}
    for name, path in sorted(files.items()):
        storage.put_object(
            Bucket=bucket, Key=name, Body=path.read_bytes(), ContentType=MEDIA_TYPES[path.suffix], CacheControl="no-cache"
        )
    for page in storage.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page.get("Contents", []):
            if entry["Key"] not in files:
                storage.delete_object(Bucket=bucket, Key=entry["Key"])
    target.client("cloudfront").create_invalidation(
        DistributionId=outputs["DistributionId"],
        InvalidationBatch={"Paths": {"Quantity": 1, "Items": ["/*"]}, "CallerReference": str(time.time_ns())},
    )
    print(f"uploaded the page: {len(files)} files", flush=True)


def dpft():
    """The command line."""
    return ROOT / "target/release/dpft"
