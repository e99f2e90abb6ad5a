"""Expands the SAM template into the CloudFormation template that AWS would deploy, for more lints.

Some mistakes only show there: that a queue's visibility timeout is shorter than its function's timeout, for instance.
Usage: python translate.py TEMPLATE [PARAMETER=VALUE...] > TRANSLATED

With values, every choice that the template leaves to its parameters is made, so that a scanner which cannot follow `Fn::If` sees what is deployed.
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


def put_in(template, values):
    """Replaces references to the parameters in `values` by their values."""

    def replaced(value):
        if isinstance(value, dict):
            if len(value) == 1 and value.get("Ref") in values:
                return values[value["Ref"]]
            return {key: replaced(inner) for key, inner in value.items()}
        return [replaced(inner) for inner in value] if isinstance(value, list) else value

    template["Resources"] = replaced(template["Resources"])


def put_in_numbers(template):
    """The linter compares numbers, not references to them, so the defaults of numeric parameters stand in their place."""
    parameters = template["Parameters"]
    put_in(template, {name: parameters.pop(name)["Default"] for name in list(parameters) if parameters[name]["Type"] == "Number"})


NO_VALUE = {"Ref": "AWS::NoValue"}


def holds(condition, conditions, values):
    """Whether a condition holds for these values of the parameters."""

    def value(operand):
        return values[operand["Ref"]] if isinstance(operand, dict) else operand

    ((function, operands),) = condition.items()
    if function == "Condition":
        return holds(conditions[operands], conditions, values)
    if function == "Fn::Equals":
        return value(operands[0]) == value(operands[1])
    inner = [holds(operand, conditions, values) for operand in operands]
    return {"Fn::Not": lambda: not inner[0], "Fn::And": lambda: all(inner), "Fn::Or": lambda: any(inner)}[function]()


def decide(template, chosen):
    """Replaces every `Fn::If` by the branch it takes with the parameters `chosen`, and drops what exists only under a condition that fails."""
    values = {name: parameter.get("Default") for name, parameter in template["Parameters"].items()}
    unknown = set(chosen) - set(values)
    if unknown:
        sys.exit(f"translate.py: the template has no parameters {sorted(unknown)}")
    values.update(chosen)
    conditions = template["Conditions"]
    holding = {name for name, condition in conditions.items() if holds(condition, conditions, values)}

    def decided(value):
        if isinstance(value, dict) and "Fn::If" in value:
            name, then, otherwise = value["Fn::If"]
            return decided(then if name in holding else otherwise)
        if isinstance(value, dict):
            entries = {key: decided(inner) for key, inner in value.items()}
            return {key: inner for key, inner in entries.items() if inner != NO_VALUE}
        if isinstance(value, list):
            return [inner for inner in map(decided, value) if inner != NO_VALUE]
        return value

    for section in ("Globals", "Resources", "Outputs"):
        exists = {name: entry for name, entry in template[section].items() if entry.get("Condition") in holding | {None}}
        template[section] = decided(exists)
    put_in(template, chosen)


def main(path, *choices):
    with open(path, encoding="utf-8") as file:
        template = yaml_parse(file)
    point_code_at_bucket(template)
    if choices:
        decide(template, dict(choice.split("=", 1) for choice in choices))
    put_in_numbers(template)
    json.dump(transform(template, {}, NoManagedPolicies()), sys.stdout, indent=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
