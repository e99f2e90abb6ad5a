"""Deploys the real stack on an emulator of AWS and uses it as a client would.

The template goes through `sam deploy`, the functions are the real binaries, and every request is checked: API keys by the function, signatures and
IAM policies by the emulator. A job trains in several slices, each started by its own message, so that storage, queue and checkpoints all take part.

Needs infra/aws/requirements.txt and the release binaries of dpft, api-function and finetune-function; `cargo xtask test --only deploy` has both.
"""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse
from pathlib import Path

import openai

import emulator as aws
import package
import steps
import test_access
import test_options
from service import Service, put, send

ROOT = Path(__file__).resolve().parents[2]
STACK = "dpft"
MODEL = "demo-llama-4m"
PAGE_ORIGIN = "https://page.example"

# The worker keeps 20 s back for its commit, so no time is left for training, and each slice makes the one step that it always makes: the number
# of slices does not depend on how fast or busy the machine is.
SLICE_SECONDS = 20
# A message that fails comes again after this, and reaches its end soon.
VISIBILITY_SECONDS = 30
MAX_RECEIVES = 2
JOB_SECONDS = 300
RECORDS = 120
STEPS = 5

WORLD = None


class World:
    """The deployed stack, with a model and two tenants."""

    def __init__(self, emulator, folder):
        self.emulator = emulator
        self.folder = folder
        self.target = steps.Target(STACK, parameters(emulator), emulator.environment())
        self.outputs = steps.deploy(self.target, steps.assemble(folder / "build"))
        self.bucket = self.outputs["FilesBucket"]
        steps.add_model(self.target, self.outputs, f"models/{MODEL}")
        steps.upload_page(self.target, self.outputs)
        self.alice = self.tenant("alice")
        self.bob = self.tenant("bob")
        self.nobody = Service(self.outputs["ApiUrl"])

    def dpft(self, *arguments, stdin=b""):
        """Runs the command line against the emulator; returns its standard output."""
        command = [str(steps.dpft()), *arguments]
        done = subprocess.run(command, input=stdin, env=self.emulator.environment(), capture_output=True)
        assert done.returncode == 0, f"{command}: {done.stderr.decode()}"
        return done.stdout

    def tenant(self, name):
        return Service(self.outputs["ApiUrl"], steps.create_key(self.target, self.outputs, name))

    def perturbed_text(self):
        """A training file: text perturbed anew, so no two are alike."""
        lines = (ROOT / "examples/workshop-notes.txt").read_bytes().splitlines(keepends=True)
        text = b"".join(line for line in lines if line.strip())
        text = b"".join(text.splitlines(keepends=True)[:RECORDS])
        return self.dpft("perturb", "--epsilon", "10", "--model", str(ROOT / "models" / MODEL), stdin=text)

    def client(self, service):
        return self.emulator.client(service)

    def physical(self, logical_id):
        """The name that a resource of the template got."""
        described = self.client("cloudformation").describe_stack_resource(StackName=STACK, LogicalResourceId=logical_id)
        return described["StackResourceDetail"]["PhysicalResourceId"]


def parameters(emulator):
    """The stack's parameters: short slices and little patience."""
    return {
        "Architecture": package.architecture(),
        "FinetuneTimeout": SLICE_SECONDS,
        "QueueVisibility": VISIBILITY_SECONDS,
        "MaxReceiveCount": MAX_RECEIVES,
        "SiteOrigin": PAGE_ORIGIN,
        "AwsEndpointUrl": emulator.endpoint,
    }


def sha256(content):
    return hashlib.sha256(content).hexdigest()


class Case(unittest.TestCase):
    """A test on the deployed stack."""

    def setUp(self):
        self.world = WORLD

    def assert_error(self, answer, status):
        """The answer has `status` and OpenAI's error shape."""
        self.assertEqual(answer.status, status, answer)
        self.assertIn("message", answer.json()["error"])

    def upload(self, service, content):
        """Uploads by presigned PUT; returns the file's id."""
        ticket = service.ticket(content, sha256(content))
        answer = put(ticket["upload"], content)
        self.assertEqual(answer.status, 200, answer)
        return ticket["id"]


class Stack(Case):
    """What was deployed is what the template says."""

    def test_binaries_start_on_amazon_linux_2023(self):
        for binary in package.FUNCTIONS.values():
            self.assertEqual(package.unfit_for_lambda(str(ROOT / "target/release" / binary)), [], binary)

    def test_a_binary_that_needs_more_is_noticed(self):
        script = self.world.folder / "newer"
        shutil.copy(ROOT / "target/release/api-function", script)
        with open(script, "ab") as file:
            file.write(b"GLIBC_2.99\0")
        self.assertIn("glibc 2.99", package.unfit_for_lambda(str(script)))

    def test_the_queue_hands_over_to_dead_letters(self):
        queue = self.world.client("sqs")
        url = self.world.outputs["QueueUrl"]
        attributes = queue.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        self.assertEqual(int(attributes["VisibilityTimeout"]), VISIBILITY_SECONDS)
        redrive = json.loads(attributes["RedrivePolicy"])
        self.assertEqual(int(redrive["maxReceiveCount"]), MAX_RECEIVES)
        self.assertTrue(redrive["deadLetterTargetArn"].endswith(":dpft-dead-letters"))
        self.assertEqual(attributes["SqsManagedSseEnabled"], "true")

    def test_the_buckets_are_closed(self):
        storage = self.world.client("s3")
        for name in (self.world.bucket, self.world.outputs["SiteBucket"]):
            block = storage.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
            self.assertTrue(all(block.values()), name)
            anonymous = send(f"{self.world.emulator.endpoint}/{name}/keys/anything")
            self.assertEqual(anonymous.status, 403, anonymous)

    def test_the_worker_may_take_one_message_at_a_time(self):
        mappings = self.world.client("lambda").list_event_source_mappings()["EventSourceMappings"]
        self.assertEqual(len(mappings), 2)
        for mapping in mappings:
            self.assertEqual(mapping["BatchSize"], 1)
            self.assertEqual(mapping["FunctionResponseTypes"], ["ReportBatchItemFailures"])
            self.assertEqual(mapping["ScalingConfig"]["MaximumConcurrency"], 2)

    def test_requests_are_traced_and_counted_where_the_runbook_says(self):
        for role in ("ApiFunction", "FinetuneFunction", "DeadLetterFunction", "SweepFunction"):
            made = self.world.client("lambda").get_function_configuration(FunctionName=self.world.physical(role))
            self.assertEqual(made["TracingConfig"]["Mode"], "Active", role)
            self.assertEqual(made["Architectures"], [package.architecture()], role)
            if role in ("FinetuneFunction", "DeadLetterFunction"):
                self.assertEqual(made["Environment"]["Variables"]["METRICS_NAMESPACE"], "dpft/dpft")

    def test_an_alarm_of_each_kind_watches_each_function(self):
        alarms = self.world.client("cloudwatch").describe_alarms()["MetricAlarms"]
        watched = {(alarm["MetricName"], dimension["Value"]) for alarm in alarms for dimension in alarm.get("Dimensions", [])}
        for role in ("ApiFunction", "FinetuneFunction", "DeadLetterFunction", "SweepFunction"):
            for metric in ("Errors", "Throttles"):
                self.assertIn((metric, self.world.physical(role)), watched)
        self.assertIn(("ApproximateNumberOfMessagesVisible", "dpft-dead-letters"), watched)
        self.assertIn(("ApproximateAgeOfOldestMessage", "dpft-jobs"), watched)

    def test_every_file_of_the_page_has_the_strict_policy(self):
        site = self.world.outputs["SiteUrl"].removeprefix("https://")
        port = self.world.emulator.port
        for name, kind in (("index.html", "text/html"), ("worker.js", "text/javascript")):
            body = (steps.SITE / name).read_bytes()
            # The emulator speaks plain HTTP; this header says that the viewer's side of CloudFront was encrypted.
            answer = send(f"http://{site}:{port}/{name}", headers={"x-forwarded-proto": "https"})
            self.assertEqual((answer.status, answer.body), (200, body), answer)
            self.assertEqual(answer.headers["content-type"].split(";")[0], kind)
            policy = answer.headers["content-security-policy"]
            self.assertTrue(policy.startswith("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'"), policy)
            allowed = f"connect-src 'self' https://{self.world.bucket}.s3.{aws.REGION}.amazonaws.com {self.world.emulator.endpoint};"
            self.assertIn(allowed, policy)
        plain = send(f"http://{site}:{port}/index.html")
        self.assertIn(plain.status, (301, 302, 307, 308), "plain HTTP is redirected")


class Access(Case):
    """Who may do what."""

    def test_without_a_key_nothing_is_shown(self):
        for path in ("models", "files", "fine_tuning/jobs"):
            self.assert_error(self.world.nobody.get(path), 401)

    def test_a_wrong_key_is_refused(self):
        wrong = Service(self.world.outputs["ApiUrl"], self.world.alice.key[:-1] + "!")
        self.assert_error(wrong.get("models"), 401)
        made_up = Service(self.world.outputs["ApiUrl"], self.world.alice.key[:-8] + "00000000")
        self.assert_error(made_up.get("models"), 401)

    def test_the_model_is_offered_and_its_links_work(self):
        offered = [model["id"] for model in self.world.alice.get("models").json()["data"]]
        self.assertEqual(offered, [MODEL])
        files = self.world.alice.get(f"models/{MODEL}").json()["files"]
        self.assertIn("tokenizer.json", files)
        for link in files.values():
            content = send(link["url"])
            self.assertEqual((content.status, sha256(content.body)), (200, link["sha256"]), content)

    def test_another_tenants_file_does_not_exist(self):
        file = self.upload(self.world.alice, b"alice's perturbed tokens\n")
        self.assertEqual(self.world.alice.get(f"files/{file}").json()["status"], "processed")
        for answer in (self.world.bob.get(f"files/{file}"), self.world.bob.call("DELETE", f"files/{file}")):
            self.assert_error(answer, 404)
        request = {"model": MODEL, "training_file": file}
        self.assertIn(self.world.bob.post("fine_tuning/jobs", request).status, (400, 404))
        self.assertEqual(self.world.alice.get(f"files/{file}").status, 200)

    def test_a_tampered_upload_link_is_refused(self):
        content = b"some perturbed tokens\n"
        ticket = self.world.alice.ticket(content, sha256(content))
        upload = ticket["upload"]
        elsewhere = {**upload, "url": upload["url"].replace("/tenants/alice/", "/tenants/bob/")}
        self.assertNotEqual(elsewhere["url"], upload["url"])
        self.assertEqual(put(elsewhere, content).status, 403)
        longer = {**upload, "url": upload["url"].replace("X-Amz-Expires=900", "X-Amz-Expires=90000")}
        self.assertNotEqual(longer["url"], upload["url"])
        self.assertEqual(put(longer, content).status, 403)
        other_size = put(upload, content + content)
        self.assertEqual(other_size.status, 403, other_size)
        self.assertEqual(self.world.alice.get(f"files/{ticket['id']}").json()["status"], "pending")

    def test_an_upload_link_takes_one_content_once(self):
        content, other = b"some perturbed tokens\n", b"SOME PERTURBED TOKENS\n"
        upload = self.world.alice.ticket(content, sha256(content))["upload"]
        self.assertEqual(put(upload, other).status, 400, "same size, other hash")
        self.assertEqual(put(upload, content).status, 200)
        self.assertEqual(put(upload, content).status, 412, "a second upload would overwrite")

    def test_a_tampered_download_link_is_refused(self):
        content = b"a file to download\n"
        file = self.upload(self.world.alice, content)
        link = self.world.alice.get(f"files/{file}").json()["download_url"]
        self.assertEqual(send(link).body, content)
        self.assertEqual(send(link.replace("/tenants/alice/", "/tenants/bob/")).status, 403)
        self.assertEqual(send(link.split("?")[0]).status, 403, "without the signature")

    def test_the_page_may_upload_from_its_origin_only(self):
        content = b"tokens\n"
        upload = self.world.alice.ticket(content, sha256(content))["upload"]
        wanted = {"access-control-request-method": "PUT", "access-control-request-headers": ",".join(sorted(upload["headers"]))}
        allowed = send(upload["url"], "OPTIONS", {"origin": PAGE_ORIGIN, **wanted})
        self.assertEqual((allowed.status, allowed.headers.get("access-control-allow-origin")), (200, PAGE_ORIGIN), allowed)
        refused = send(upload["url"], "OPTIONS", {"origin": "https://elsewhere.example", **wanted})
        self.assertEqual(refused.status, 403, refused)


class Options(test_options.OptionsTests):
    """A domain name and a key of one's own: test_options.py."""

    @classmethod
    def setUpClass(cls):
        cls.emulator = WORLD.emulator
        super().setUpClass()


class Emulated(unittest.TestCase):
    """`deploy.py --emulated`, as a person would use it."""

    def test_it_shows_page_api_and_key_and_stops_when_told(self):
        command = [sys.executable, str(ROOT / "infra/aws/deploy.py"), "--emulated"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                shown = self.shown(process)
                page = send(shown["Page"] + "/")
                self.assertEqual((page.status, page.body), (200, (steps.SITE / "index.html").read_bytes()))
                for base in (shown["API"].removesuffix("/v1"), shown["Page"]):
                    models = Service(base, shown["Key"].split()[0]).get("models")
                    self.assertEqual((models.status, [model["id"] for model in models.json()["data"]]), (200, [MODEL]), models)
                    self.assertEqual(Service(base).get("models").status, 401)
            finally:
                process.send_signal(signal.SIGINT)
            self.assertIn("stopped", process.stdout.read())
        self.assertEqual(process.returncode, 0)
        with self.assertRaises(OSError):
            send(shown["Page"] + "/")
        with self.assertRaises(OSError):
            send(shown["API"])

    def shown(self, process):
        """What it says once everything is up."""
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Everything runs on this machine"):
                break
        else:
            self.fail("it ended:\n" + "".join(lines))
        pairs = (line.split(":", 1) for line in lines if line.split(":", 1)[0] in ("API", "Page", "Key"))
        return {name: value.strip() for name, value in pairs}


class Roles(test_access.AccessTests):
    """The roles' own credentials: test_access.py."""

    @classmethod
    def setUpClass(cls):
        cls.world = WORLD
        super().setUpClass()


class OfficialClient(Case):
    """OpenAI's own Python client works unchanged: only its base URL and key are ours."""

    def client(self, key):
        base = urllib.parse.urlsplit(self.world.outputs["ApiUrl"])
        # As in service.py: connect to the loopback interface and name the API's host in the header.
        return openai.OpenAI(
            base_url=f"{self.world.emulator.endpoint}/v1",
            api_key=key,
            default_headers={"host": base.netloc},
            max_retries=0,
        )

    def setUp(self):
        super().setUp()
        self.alice = self.client(self.world.alice.key)

    def test_files(self):
        content = b"perturbed tokens\n" * 100
        made = self.alice.files.create(file=("notes.dptok", content), purpose="fine-tune")
        self.assertEqual((made.bytes, made.filename, made.status), (len(content), "notes.dptok", "processed"))
        self.assertIn(made.id, [file.id for file in self.alice.files.list(purpose="fine-tune")])
        self.assertEqual(self.alice.files.retrieve(made.id).id, made.id)
        self.assertTrue(self.alice.files.delete(made.id).deleted)
        with self.assertRaises(openai.NotFoundError):
            self.alice.files.retrieve(made.id)

    def test_models_and_jobs(self):
        self.assertEqual([model.id for model in self.alice.models.list()], [MODEL])
        with self.assertRaises(openai.NotFoundError):
            self.alice.fine_tuning.jobs.create(model="gpt-0", training_file="file-" + "0" * 24)
        with self.assertRaises(openai.NotFoundError):
            self.alice.fine_tuning.jobs.retrieve("ftjob-" + "0" * 24)

    def test_wrong_key(self):
        with self.assertRaises(openai.AuthenticationError):
            self.client(self.world.alice.key[:-8] + "00000000").models.list()


class Training(Case):
    """Whole jobs: one that succeeds in slices, and beside it one that cannot, and messages that make no sense."""

    def test_a_job_trains_in_slices_while_another_ends_as_a_dead_letter(self):
        self.send_bad_messages()
        hopeless = self.start_hopeless_job()
        job = self.start_job(self.world.alice, self.upload(self.world.alice, self.world.perturbed_text()))
        self.assert_error(self.world.bob.get(f"fine_tuning/jobs/{job}"), 404)
        self.assert_error(self.world.bob.post(f"fine_tuning/jobs/{job}/cancel", {}), 404)

        done = self.world.alice.wait_for_job(job, JOB_SECONDS)
        self.assertEqual(done["status"], "succeeded", done)
        self.assertEqual(done["progress"]["step"], STEPS)
        self.assertGreaterEqual(done["progress"]["slices"], STEPS - 1, "too few slices: the test shows nothing about checkpoints")
        self.check_adapter(done)
        self.check_account(done)
        self.check_events(job)
        self.check_leftovers(job)

        failed = self.world.bob.wait_for_job(hopeless, VISIBILITY_SECONDS * (MAX_RECEIVES + 2))
        self.assertEqual((failed["status"], failed["error"]["type"]), ("failed", "server_error"), failed)
        self.assertEqual(failed["result_files"], [])
        self.wait_until_queues_are_empty()

    def start_job(self, service, file):
        settings = {"epsilon": 8.0, "batch_size": 8, "steps": STEPS, "max_length": 32}
        request = {"model": MODEL, "training_file": file, "method": {"type": "dp_lora", "dp_lora": settings}, "suffix": "notes"}
        created = service.post("fine_tuning/jobs", request)
        self.assertEqual(created.status, 200, created)
        return created.json()["id"]

    def send_bad_messages(self):
        """Neither asks for a slice that exists; both must go away without doing harm."""
        queue = self.world.client("sqs")
        unknown = {"tenant": "alice", "job": "ftjob-" + "0" * 24, "slice": 0}
        for body in ("this is no message", json.dumps(unknown)):
            queue.send_message(QueueUrl=self.world.outputs["QueueUrl"], MessageBody=body)

    def start_hopeless_job(self):
        """A job of Bob's whose file the worker may not read: each attempt fails, until the dead-letter function gives it up."""
        file = self.upload(self.world.bob, self.world.perturbed_text())
        deny = {"Effect": "Deny", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{self.world.bucket}/tenants/bob/files/{file}/content"}
        self.world.client("iam").put_role_policy(
            RoleName=self.world.physical("FinetuneRole"),
            PolicyName="deny-one-file",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [deny]}),
        )
        return self.start_job(self.world.bob, file)

    def check_leftovers(self, job):
        """Of a finished job only its state and one adapter remain."""
        keys = self.world.client("s3").list_objects_v2(Bucket=self.world.bucket, Prefix=f"tenants/alice/jobs/{job}/")["Contents"]
        kinds = {key["Key"].split("/")[4].split("-")[0] for key in keys}
        self.assertEqual(kinds, {"state.json", "adapter"}, keys)

    def check_adapter(self, job):
        files = {}
        for file in job["result_files"]:
            entry = self.world.alice.get(f"files/{file}").json()
            files[entry["filename"]] = send(entry["download_url"]).body
            self.assertEqual(len(files[entry["filename"]]), entry["bytes"])
            self.assert_error(self.world.bob.get(f"files/{file}"), 404)
        self.assertLessEqual({"adapter_model.safetensors", "adapter_config.json", "privacy.json"}, set(files))
        header = int.from_bytes(files["adapter_model.safetensors"][:8], "little")
        tensors = json.loads(files["adapter_model.safetensors"][8 : 8 + header])
        self.assertTrue(any(name.endswith("lora_B.weight") for name in tensors), sorted(tensors)[:4])
        self.check_certificate(files, job)

    def check_certificate(self, files, job):
        text = files["privacy.json"].decode()
        json.loads(text)
        # The certificate names what it certifies by hash.
        self.assertIn(sha256(files["adapter_model.safetensors"]), text)
        self.assertLessEqual(job["progress"]["epsilon_spent"], 8.0)
        self.assertGreater(job["progress"]["epsilon_spent"], 0.0)
        folder = self.world.folder / "adapter"
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        key = self.world.alice.get("privacy/key").json()["public_key"]
        self.world.dpft("verify", str(folder / "privacy.json"), "--public-key", key)

    def check_account(self, job):
        """The file's account holds what the job released, and its owner alone can see it."""
        path = f"files/{job['training_file']}/privacy"
        account = self.world.alice.get(path).json()
        charges = [(charge["id"], charge["state"]) for charge in account["charges"]]
        self.assertEqual(charges, [(job["id"], "settled")])
        self.assertLessEqual(account["epsilon_spent"], 8.0)
        self.assertGreater(account["epsilon_spent"], 7.5)
        self.assert_error(self.world.bob.get(path), 404)

    def check_events(self, job):
        events = self.world.alice.get(f"fine_tuning/jobs/{job}/events?limit=100").json()["data"]
        self.assertGreaterEqual(len(events), 4)
        self.assertNotIn("noise_seed", json.dumps(events))

    def wait_until_queues_are_empty(self):
        """Both queues end empty: nothing circulates for ever."""
        deadline = time.monotonic() + VISIBILITY_SECONDS * (MAX_RECEIVES + 2)
        urls = [self.world.outputs["QueueUrl"], self.world.outputs["DeadLetterQueueUrl"]]
        while any(self.waiting(url) for url in urls):
            self.assertLess(time.monotonic(), deadline, {url: self.waiting(url) for url in urls})
            time.sleep(1)

    def waiting(self, url):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"]
        attributes = self.world.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(map(int, attributes.values()))


def main():
    global WORLD
    with tempfile.TemporaryDirectory(prefix="dpft-deploy-") as folder, aws.running() as emulator:
        start = time.monotonic()
        WORLD = World(emulator, Path(folder))
        print(f"deployed after {time.monotonic() - start:.1f} s", flush=True)
        suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
        result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
        failed = len(result.failures) + len(result.errors)
        if failed:
            print(emulator.log_tail(), file=sys.stderr)
    print(f"{result.testsRun - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
