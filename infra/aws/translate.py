"""Expands the SAM template into the CloudFormation template that AWS would deploy, for a second lint.

Some mistakes only show there: that a queue's visibility timeout is shorter than its function's timeout, for instance.
Usage: python translate.py TEMPLATE > TRANSLATED
"""

import json
import sys

from samtranslator.public.translator import ManagedPolicyLoader
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse


class NoManagedPolicies(ManagedPolicyLoader):
    """The template names no managed policy, so nothing asks AWS for their ARNs."""

    def __init__(self):
        super().__init__(iam_client=None)

    def load(self):
        return {}


def point_code_at_bucket(template):
    """`sam package` replaces a local CodeUri by an S3 address; any will do for a lint."""
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://artifacts/function.zip"
            resource.pop("Metadata", None)


def put_in_numbers(template):
    """Replaces references to numeric parameters by their defaults: the linter compares numbers, not references."""
    parameters = template["Parameters"]
    numbers = {name: parameters.pop(name)["Default"] for name in list(parameters) if parameters[name]["Type"] == "Number"}

    def replaced(value):
        if isinstance(value, dict):
            if len(value) == 1 and value.get("Ref") in numbers:
                return numbers[value["Ref"]]
            return {key: replaced(inner) for key, inner in value.items()}
        return [replaced(inner) for inner in value] if isinstance(value, list) else value

    template["Resources"] = replaced(template["Resources"])


def main(path):
    with open(path, encoding="utf-8") as file:
        template = yaml_parse(file)
    point_code_at_bucket(template)
    put_in_numbers(template)
    json.dump(transform(template, {}, NoManagedPolicies()), sys.stdout, indent=1)


if __name__ == "__main__":
    main(sys.argv[1])
