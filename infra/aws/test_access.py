"""What the functions' roles may do, by real calls with each role's own credentials, and what an upload link may be made to do.

Part of test_deploy.py, which deploys the stack.
"""

import base64
import datetime
import hashlib
import json
import unittest
import unittest.mock
import urllib.parse

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

import emulator as aws
from service import put, send

# Where AWS says that a caller may not; anything else that goes wrong says that it might have.
DENIED = {"AccessDenied", "AccessDeniedException", "403"}

ROLES = ("ApiRole", "FinetuneRole", "DeadLetterRole", "SweepRole")

# Objects, and what each role may do with them: r(ead), w(rite), d(elete).
RIGHTS = {
    "keys/x.json": {"ApiRole": "r", "FinetuneRole": "", "DeadLetterRole": "", "SweepRole": ""},
    "models/m/index.json": {"ApiRole": "r", "FinetuneRole": "r", "DeadLetterRole": "", "SweepRole": ""},
    "service/signing-key": {"ApiRole": "", "FinetuneRole": "rw", "DeadLetterRole": "", "SweepRole": ""},
    "service/verifying-key": {"ApiRole": "r", "FinetuneRole": "rw", "DeadLetterRole": "", "SweepRole": ""},
    "service/anything-else": {"ApiRole": "", "FinetuneRole": "", "DeadLetterRole": "", "SweepRole": ""},
    "ledgers/t/x.json": {"ApiRole": "rw", "FinetuneRole": "rw", "DeadLetterRole": "rw", "SweepRole": "rw"},
    "usage/t.json": {"ApiRole": "rw", "FinetuneRole": "rw", "DeadLetterRole": "rw", "SweepRole": "rw"},
    "quotas/t.json": {"ApiRole": "r", "FinetuneRole": "r", "DeadLetterRole": "", "SweepRole": ""},
    "tenants/t/files/f/content": {"ApiRole": "rwd", "FinetuneRole": "r", "DeadLetterRole": "", "SweepRole": "rd"},
    "tenants/t/files/f/meta.json": {"ApiRole": "rwd", "FinetuneRole": "rwd", "DeadLetterRole": "d", "SweepRole": "rd"},
    "tenants/t/uploads/u/part": {"ApiRole": "rwd", "FinetuneRole": "", "DeadLetterRole": "", "SweepRole": "rd"},
    "tenants/t/jobs/j/state.json": {"ApiRole": "rwd", "FinetuneRole": "rwd", "DeadLetterRole": "rwd", "SweepRole": "rd"},
    "tenants/t/jobs/j/checkpoint-1-1": {"ApiRole": "rwd", "FinetuneRole": "rwd", "DeadLetterRole": "d", "SweepRole": "rd"},
    "tenants/t/jobs/j/shard-1-000": {"ApiRole": "rwd", "FinetuneRole": "rwd", "DeadLetterRole": "rd", "SweepRole": "rd"},
    "elsewhere/x": {"ApiRole": "", "FinetuneRole": "", "DeadLetterRole": "", "SweepRole": ""},
}

# Of these the stack has its own, which nothing here may spoil.
REAL = {"service/signing-key", "service/verifying-key"}

# Headers that would change what an upload stores or who may read it. The link signs none of them.
SMUGGLED = {
    "x-amz-acl": "public-read",
    "x-amz-grant-read": 'uri="http://acs.amazonaws.com/groups/global/AllUsers"',
    "x-amz-tagging": "team=evil",
    "x-amz-storage-class": "GLACIER",
    "x-amz-website-redirect-location": "https://evil.example",
    "x-amz-meta-note": "smuggled",
    "x-amz-object-lock-mode": "COMPLIANCE",
}
REFUSED_BY_THE_EMULATOR = {"x-amz-acl", "x-amz-grant-read", "x-amz-object-lock-mode"}


class Roles:
    """The roles' credentials. They trust Lambda alone; the emulator lets an account's root, whom the tests are, assume them all the same."""

    def __init__(self, world):
        self.world = world
        self.credentials = {role: self.assume(role) for role in ROLES}

    def arn(self, role):
        return f"arn:aws:iam::{aws.ACCOUNT}:role/{self.world.physical(role)}"

    def assume(self, role):
        return self.world.client("sts").assume_role(RoleArn=self.arn(role), RoleSessionName="test")["Credentials"]

    def client(self, role, service):
        made = self.credentials[role]
        return self.world.emulator.client(service, made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])


def allowed(call, **arguments):
    """Whether AWS lets the call through, whatever comes of it then."""
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"] not in DENIED
    return True


class AccessTests(unittest.TestCase):
    """Made of the deployed stack by test_deploy.py, which sets `world`."""

    world = None
    roles = None

    @classmethod
    def setUpClass(cls):
        cls.roles = Roles(cls.world)

    def expect(self, wanted, call, what, **arguments):
        self.assertEqual(allowed(call, **arguments), wanted, what)

    def test_only_lambda_may_assume_the_roles(self):
        """A user whose own policy allows it every role is refused by each, and so are the roles by one another."""
        identity = self.world.client("iam")
        identity.create_user(UserName="intruder")
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}]}
        identity.put_user_policy(UserName="intruder", PolicyName="all-roles", PolicyDocument=json.dumps(policy))
        made = identity.create_access_key(UserName="intruder")["AccessKey"]
        intruder = self.world.emulator.client("sts", made["AccessKeyId"], made["SecretAccessKey"])
        for role in ROLES:
            wanted = {"RoleArn": self.roles.arn(role), "RoleSessionName": "test"}
            self.expect(False, intruder.assume_role, f"a user becomes {role}", **wanted)
            for other in ROLES:
                mine = self.roles.client(other, "sts")
                self.expect(False, mine.assume_role, f"{other} becomes {role}", **wanted)

    def test_each_role_does_with_objects_what_it_must_and_nothing_else(self):
        storage = self.world.client("s3")
        for key, rights in RIGHTS.items():
            for role in ROLES:
                mine, bucket = self.roles.client(role, "s3"), {"Bucket": self.world.bucket, "Key": key}
                if key not in REAL:
                    storage.put_object(**bucket, Body=b"x")
                    self.expect("r" in rights[role], mine.get_object, f"{role} reads {key}", **bucket)
                    self.expect("w" in rights[role], mine.put_object, f"{role} writes {key}", **bucket, Body=b"y")
                    self.expect("d" in rights[role], mine.delete_object, f"{role} deletes {key}", **bucket)
                    storage.delete_object(**bucket)
                    continue
                self.expect("r" in rights[role], mine.get_object, f"{role} reads {key}", **bucket)
                write = {**bucket, "Body": b"y", "IfMatch": '"0"'}
                self.expect("w" in rights[role], mine.put_object, f"{role} writes {key}", **write)
                self.expect(False, mine.delete_object, f"{role} deletes {key}", **bucket)

    def test_no_role_reaches_another_bucket(self):
        storage = self.world.client("s3")
        storage.create_bucket(Bucket="somebody-elses", CreateBucketConfiguration={"LocationConstraint": aws.REGION})
        for bucket in ("somebody-elses", self.world.outputs["SiteBucket"]):
            storage.put_object(Bucket=bucket, Key="tenants/t/files/f/content", Body=b"x")
            for role in ROLES:
                mine, place = self.roles.client(role, "s3"), {"Bucket": bucket, "Key": "tenants/t/files/f/content"}
                self.expect(False, mine.get_object, f"{role} reads {bucket}", **place)
                self.expect(False, mine.put_object, f"{role} writes {bucket}", **place, Body=b"y")
                self.expect(False, mine.list_objects_v2, f"{role} lists {bucket}", Bucket=bucket)
            storage.delete_object(Bucket=bucket, Key="tenants/t/files/f/content")

    def test_no_role_lists_keys_or_ledgers_or_changes_the_bucket(self):
        lists = {"ApiRole": ("models/", "tenants/"), "FinetuneRole": ("models/", "tenants/"), "DeadLetterRole": ("tenants/",), "SweepRole": ("tenants/", "usage/")}
        for role in ROLES:
            mine, bucket = self.roles.client(role, "s3"), self.world.bucket
            for prefix in ("models/", "tenants/", "keys/", "ledgers/", "service/", "usage/", "quotas/"):
                wanted = prefix in lists[role]
                self.expect(wanted, mine.list_objects_v2, f"{role} lists {prefix}", Bucket=bucket, Prefix=prefix)
            self.expect(False, mine.delete_bucket_policy, role, Bucket=bucket)
            self.expect(False, mine.put_bucket_versioning, role, Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
            self.expect(False, mine.delete_bucket_lifecycle, role, Bucket=bucket)

    def test_queues_take_from_each_role_what_it_sends_and_no_more(self):
        jobs, dead = self.world.outputs["QueueUrl"], self.world.outputs["DeadLetterQueueUrl"]
        attributes = {"AttributeNames": ["ApproximateNumberOfMessages"]}
        # A body that is no message: the worker drops it.
        for role in ROLES:
            mine = self.roles.client(role, "sqs")
            self.expect(True, mine.send_message, f"{role} sends", QueueUrl=jobs, MessageBody="no message")
            self.expect(False, mine.send_message, f"{role} sends dead letters", QueueUrl=dead, MessageBody="no message")
            for queue, reader in ((jobs, "FinetuneRole"), (dead, "DeadLetterRole")):
                self.expect(role == reader, mine.get_queue_attributes, f"{role} looks at {queue}", QueueUrl=queue, **attributes)
                self.expect(False, mine.purge_queue, f"{role} purges {queue}", QueueUrl=queue)
                self.expect(False, mine.delete_queue, f"{role} deletes {queue}", QueueUrl=queue)
            self.expect(role == "FinetuneRole", mine.receive_message, f"{role} receives", QueueUrl=jobs, VisibilityTimeout=0)

    def test_no_role_reaches_what_no_function_needs(self):
        for role in ROLES:
            name = self.world.physical(role)
            administrator = "arn:aws:iam::aws:policy/AdministratorAccess"
            identity, functions = self.roles.client(role, "iam"), self.roles.client(role, "lambda")
            function = self.world.physical("FinetuneFunction")
            for what, call, arguments in (
                ("iam:ListRoles", identity.list_roles, {}),
                ("iam:AttachRolePolicy", identity.attach_role_policy, {"RoleName": name, "PolicyArn": administrator}),
                ("iam:PutRolePolicy", identity.put_role_policy, {"RoleName": name, "PolicyName": "x", "PolicyDocument": "{}"}),
                ("iam:CreateUser", identity.create_user, {"UserName": "x"}),
                ("lambda:InvokeFunction", functions.invoke, {"FunctionName": function, "Payload": b"{}"}),
                ("lambda:UpdateFunctionConfiguration", functions.update_function_configuration, {"FunctionName": function, "Timeout": 3}),
                ("lambda:ListFunctions", functions.list_functions, {}),
                ("logs:DeleteLogGroup", self.roles.client(role, "logs").delete_log_group, {"logGroupName": "/dpft/dpft/api"}),
                ("s3:ListAllMyBuckets", self.roles.client(role, "s3").list_buckets, {}),
                ("cloudformation:DeleteStack", self.roles.client(role, "cloudformation").delete_stack, {"StackName": "dpft"}),
            ):
                self.expect(False, call, f"{role} {what}", **arguments)

    def test_headers_that_an_upload_link_does_not_sign_open_nothing(self):
        """S3 refuses `x-amz-` headers that are not signed. The emulator does not, so here it is shown that none is signed, what is refused all the
        same, and that the rest neither changes what was uploaded nor lets anybody read it."""
        refused = set()
        for number, (header, value) in enumerate(SMUGGLED.items()):
            content = f"perturbed tokens {number}\n".encode()
            ticket = self.world.alice.ticket(content, hashlib.sha256(content).hexdigest())
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(ticket["upload"]["url"]).query)
            self.assertNotIn(header, query["X-Amz-SignedHeaders"][0].split(";"))
            answer = put(ticket["upload"], content, **{header: value})
            path = f"/{self.world.bucket}/tenants/alice/files/{ticket['id']}/content"
            self.assertEqual(send(self.world.emulator.endpoint + path).status, 403, f"{header}: read without a signature")
            if answer.status in (400, 403):
                refused.add(header)
            else:
                # By its hash, for what went to the storage class GLACIER cannot be read at once.
                place = {"Bucket": self.world.bucket, "Key": path.split("/", 2)[2], "ChecksumMode": "ENABLED"}
                stored = base64.b64decode(self.world.client("s3").head_object(**place)["ChecksumSHA256"])
                self.assertEqual((answer.status, stored), (200, hashlib.sha256(content).digest()), header)
        self.assertEqual(refused, REFUSED_BY_THE_EMULATOR)

    def test_a_link_ends_when_it_says(self):
        """Both links are signed by the API's role; of one the clock says that a quarter of an hour and a second have passed."""
        key = {"Bucket": self.world.bucket, "Key": "tenants/t/files/f/content"}
        storage, made = self.world.client("s3"), self.roles.credentials["ApiRole"]
        signer = Credentials(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])
        storage.put_object(**key, Body=b"x")
        now = datetime.datetime.now(datetime.timezone.utc)

        def read(signed_at):
            request = AWSRequest("GET", f"{self.world.emulator.endpoint}/{key['Bucket']}/{key['Key']}")
            with unittest.mock.patch("botocore.auth.get_current_datetime", return_value=signed_at):
                S3SigV4QueryAuth(signer, "s3", aws.REGION, expires=900).add_auth(request)
            return send(request.url)

        self.assertEqual(read(now).status, 200)
        late = read(now - datetime.timedelta(seconds=901))
        self.assertEqual(late.status, 403)
        self.assertIn(b"expired", late.body)
        storage.delete_object(**key)
        upload = self.world.alice.ticket(b"x", hashlib.sha256(b"x").hexdigest())["upload"]["url"]
        self.assertEqual(urllib.parse.parse_qs(urllib.parse.urlsplit(upload).query)["X-Amz-Expires"], ["900"])
