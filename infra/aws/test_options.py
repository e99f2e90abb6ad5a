"""What the stack becomes with a domain name and a key of one's own. Part of test_deploy.py, whose emulator it uses."""

import subprocess
import tempfile
import unittest
from pathlib import Path

import boto3

import emulator as aws
import package
import steps
from service import Service

STACK = "dpft-own"
DOMAIN = "tune.example.org"


class OptionsTests(unittest.TestCase):
    """Made by test_deploy.py, which sets `emulator`."""

    emulator = None

    @classmethod
    def setUpClass(cls):
        client = cls.emulator.client
        cls.key = client("kms").create_key()["KeyMetadata"]["Arn"]
        zone = client("route53").create_hosted_zone(Name="example.org", CallerReference=STACK)["HostedZone"]
        cls.zone = zone["Id"].rsplit("/", 1)[1]
        credentials = {"aws_access_key_id": aws.ACCOUNT, "aws_secret_access_key": aws.SECRET}
        certificates = boto3.client("acm", endpoint_url=cls.emulator.endpoint, region_name="us-east-1", **credentials)
        cls.certificate = certificates.request_certificate(DomainName=DOMAIN)["CertificateArn"]
        cls.target, cls.outputs = cls.deploy(
            KmsKeyArn=cls.key, DomainName=DOMAIN, CertificateArn=cls.certificate, HostedZoneId=cls.zone
        )

    @classmethod
    def tearDownClass(cls):
        cls.emulator.client("cloudformation").delete_stack(StackName=STACK)
        cls.emulator.client("cloudformation").get_waiter("stack_delete_complete").wait(StackName=STACK)

    @classmethod
    def deploy(cls, **parameters):
        own = {"Architecture": package.architecture(), "AwsEndpointUrl": cls.emulator.endpoint}
        target = steps.Target(STACK, own | parameters, cls.emulator.environment())
        with tempfile.TemporaryDirectory(prefix="dpft-own-") as folder:
            return target, steps.deploy(target, steps.assemble(Path(folder) / "build"))

    def test_the_page_has_its_name_and_tls_1_2(self):
        self.assertEqual(self.outputs["SiteUrl"], f"https://{DOMAIN}")
        distribution = self.emulator.client("cloudfront").get_distribution(Id=self.outputs["DistributionId"])["Distribution"]
        config = distribution["DistributionConfig"]
        self.assertEqual(config["Aliases"]["Items"], [DOMAIN])
        certificate = config["ViewerCertificate"]
        self.assertEqual((certificate["ACMCertificateArn"], certificate["MinimumProtocolVersion"]), (self.certificate, "TLSv1.2_2021"))
        records = self.emulator.client("route53").list_resource_record_sets(HostedZoneId=self.zone)["ResourceRecordSets"]
        self.assertEqual({record["Type"] for record in records if record["Name"] == f"{DOMAIN}."}, {"A", "AAAA"})
        rule = self.emulator.client("s3").get_bucket_cors(Bucket=self.outputs["FilesBucket"])["CORSRules"][0]
        self.assertEqual(set(rule["AllowedOrigins"]), {f"https://{DOMAIN}", f"https://{self.outputs['DistributionDomainName']}"})

    def test_queues_and_logs_are_under_the_key_and_roles_may_use_it_through_s3_and_sqs_alone(self):
        """The files bucket too, but the emulator does not keep what a template says of a bucket's encryption: lint.sh looks at that."""
        for url in (self.outputs["QueueUrl"], self.outputs["DeadLetterQueueUrl"]):
            attributes = self.emulator.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
            self.assertEqual(attributes["KmsMasterKeyId"], self.key)
        groups = self.emulator.client("logs").describe_log_groups(logGroupNamePrefix=f"/dpft/{STACK}/")["logGroups"]
        self.assertEqual([group.get("kmsKeyId") for group in groups], [self.key] * 5)
        services = [f"{service}.{aws.REGION}.amazonaws.com" for service in ("s3", "sqs")]
        for role, policy in (("ApiRole", "api"), ("FinetuneRole", "finetune"), ("DeadLetterRole", "dead-letter"), ("SweepRole", "sweep")):
            resource = {"StackName": STACK, "LogicalResourceId": role}
            described = self.emulator.client("cloudformation").describe_stack_resource(**resource)["StackResourceDetail"]
            document = self.emulator.client("iam").get_role_policy(RoleName=described["PhysicalResourceId"], PolicyName=policy)
            (statement,) = [entry for entry in document["PolicyDocument"]["Statement"] if entry["Sid"] == "UseKey"]
            self.assertEqual(statement["Resource"], self.key)
            self.assertEqual(statement["Condition"], {"StringEquals": {"kms:ViaService": services}})

    def test_the_service_works(self):
        steps.add_model(self.target, self.outputs, "models/demo-llama-4m")
        service = Service(self.outputs["ApiUrl"], steps.create_key(self.target, self.outputs, "alice"))
        self.assertEqual([model["id"] for model in service.get("models").json()["data"]], ["demo-llama-4m"])

    def test_a_domain_name_without_its_certificate_is_refused(self):
        with self.assertRaises(subprocess.CalledProcessError):
            fresh = steps.Target("dpft-bare", {"DomainName": DOMAIN, "AwsEndpointUrl": self.emulator.endpoint}, self.emulator.environment())
            with tempfile.TemporaryDirectory(prefix="dpft-bare-") as folder:
                steps.deploy(fresh, steps.assemble(Path(folder) / "build"))
        stacks = self.emulator.client("cloudformation").list_stacks()["StackSummaries"]
        made = {stack["StackName"] for stack in stacks if stack["StackStatus"] == "CREATE_COMPLETE"}
        self.assertNotIn("dpft-bare", made)
