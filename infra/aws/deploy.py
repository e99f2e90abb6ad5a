"""Deploys the service: on AWS, or with --emulated on an emulator on this machine, by the same steps.

    python infra/aws/deploy.py [--emulated] [--stack-name NAME] [--region REGION] [--model MODEL] [--tenant TENANT]
                               [--parameter-overrides NAME=VALUE …] [sam deploy's arguments …]

`cargo xtask deploy` calls it with everything it needs: the page and the command line, built, and the Python environment of requirements.txt.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
import urllib.parse
from pathlib import Path

import emulator as aws
import package
import steps
import viewer

MODEL = "models/demo-llama-4m"


def arguments(words):
    """What was asked for, and the words that go to `sam deploy`."""
    parser = argparse.ArgumentParser(prog="cargo xtask deploy", allow_abbrev=False, description=__doc__.splitlines()[0])
    parser.add_argument("--emulated", action="store_true", help="deploy on an emulator on this machine, until Ctrl-C")
    parser.add_argument("--stack-name", default="dpft", help="lower-case letters, digits and hyphens, for it becomes part of bucket names")
    parser.add_argument("--region", help="AWS region; otherwise the environment's")
    parser.add_argument("--model", default=MODEL, help="model to publish: a folder, or a name on the Hugging Face hub")
    parser.add_argument("--tenant", help="make an API key of this tenant and print it")
    parser.add_argument("--parameter-overrides", nargs="*", default=[], metavar="NAME=VALUE", help="the template's parameters")
    asked, rest = parser.parse_known_args(words)
    if "--guided" in rest or "-g" in rest:
        parser.error("the steps after sam's need the stack's name: give --stack-name and --parameter-overrides instead of --guided")
    if not all("=" in parameter for parameter in asked.parameter_overrides):
        parser.error("--parameter-overrides takes NAME=VALUE")
    asked.parameters = dict(parameter.split("=", 1) for parameter in asked.parameter_overrides)
    return asked, rest


def publish(target, outputs, asked):
    """What follows the stack: a model, the page, and a key if a tenant is named."""
    steps.add_model(target, outputs, asked.model)
    if "SiteBucket" in outputs:
        steps.upload_page(target, outputs)
    return steps.create_key(target, outputs, asked.tenant) if asked.tenant else None


def report(outputs, page, key):
    """Says where everything is."""
    print(f"API:  {outputs['ApiUrl']}/v1")
    if page:
        print(f"Page: {page}")
    if key:
        print(f"Key:  {key} (shown once)")
    sys.stdout.flush()


def on_aws(asked, rest):
    """Deploys to the account that the environment's credentials belong to."""
    target = steps.Target(asked.stack_name, asked.parameters, {"AWS_DEFAULT_REGION": asked.region} if asked.region else None)
    outputs = steps.deploy(target, steps.build(target), *rest)
    key = publish(target, outputs, asked)
    report(outputs, outputs.get("SiteUrl"), key)


def on_emulator(asked, rest):
    """Deploys to an emulator, shows where, and stays up until it is interrupted."""
    with tempfile.TemporaryDirectory(prefix="dpft-deploy-") as folder, aws.running() as emulator, viewer.listen() as page:
        url = f"http://{viewer.HOST}:{page.server_address[1]}"
        own = {"Architecture": package.architecture(), "SiteOrigin": url, "AwsEndpointUrl": emulator.endpoint}
        target = steps.Target(asked.stack_name, own | asked.parameters, emulator.environment())
        asked.tenant = asked.tenant or "demo"
        outputs = steps.deploy(target, steps.assemble(Path(folder) / "build"), *rest)
        key = publish(target, outputs, asked)
        if "SiteUrl" in outputs:
            api = urllib.parse.urlsplit(outputs["ApiUrl"]).netloc
            viewer.start(page, emulator.port, outputs["DistributionDomainName"], api)
        report(outputs, url if "SiteUrl" in outputs else None, key)
        print(f"Logs: {emulator.log_path}\nEverything runs on this machine and is gone when it stops. Stop it with Ctrl-C.", flush=True)
        while True:
            signal.pause()


def interrupt(*_):
    """A plain kill does what Ctrl-C does: everything that was started is stopped."""
    raise KeyboardInterrupt


def main(words):
    asked, rest = arguments(words)
    signal.signal(signal.SIGTERM, interrupt)
    try:
        (on_emulator if asked.emulated else on_aws)(asked, rest)
    except KeyboardInterrupt:
        print("stopped", flush=True)
    except subprocess.CalledProcessError as error:
        sys.exit(f"deploy.py: `{' '.join(map(str, error.cmd))}` failed; its output is above")


if __name__ == "__main__":
    main(sys.argv[1:])
