#!/usr/bin/env bash
# Lints template.yaml as SAM sees it and as AWS would deploy it, scans the latter for insecure settings, and shows that each lint can fail.
# Run with the Python environment of infra/aws/requirements.txt first in PATH, and CHECKOV naming the program of requirements-checkov.txt;
# `cargo xtask test --only template` does that.
set -euo pipefail
cd "$(dirname "$0")/../.."
export AWS_DEFAULT_REGION="${AWS_DEFAULT_REGION:-eu-central-1}" SAM_CLI_TELEMETRY=0
checkov="${CHECKOV:-checkov}"
settings=infra/aws/checkov.yaml

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

fail() {
    echo "lint.sh: $1" >&2
    exit 1
}

sam validate --lint --template-file template.yaml
python infra/aws/translate.py template.yaml > "$work/translated.json"
cfn-lint --regions "$AWS_DEFAULT_REGION" --template "$work/translated.json"

# A copy with a visibility timeout below the function's must be refused.
sed 's/"VisibilityTimeout": 5400/"VisibilityTimeout": 600/' "$work/translated.json" > "$work/broken.json"
if cfn-lint --regions "$AWS_DEFAULT_REGION" --template "$work/broken.json" > "$work/complaint.txt"; then
    fail "cfn-lint accepted a queue whose visibility timeout is below its function's timeout"
fi
grep -q E3505 "$work/complaint.txt"

# With the options of a careful operator: a domain name, which brings TLS 1.2, and a key of one's own.
python infra/aws/translate.py template.yaml > "$work/decided.json" \
    DomainName=tune.example.org HostedZoneId=Z0123456789ABC \
    CertificateArn=arn:aws:acm:us-east-1:000000000001:certificate/example KmsKeyArn=arn:aws:kms:eu-central-1:000000000001:key/example
"$checkov" --config-file "$settings" --file "$work/decided.json"

# A copy with a bucket that may be made public, old TLS and a queue without encryption must be refused for each of them.
sed -e 's/"BlockPublicPolicy": true/"BlockPublicPolicy": false/' -e 's/TLSv1.2_2021/TLSv1/' -e '/"KmsMasterKeyId"/d' \
    "$work/decided.json" > "$work/broken.json"
if "$checkov" --config-file "$settings" --file "$work/broken.json" > "$work/complaint.txt"; then
    fail "checkov accepted a template with three holes"
fi
for check in CKV_AWS_54 CKV_AWS_174 CKV_AWS_27; do
    grep -q "Check: $check:" "$work/complaint.txt" || fail "checkov did not see the hole that $check is for"
done

# What is left out of the scan must be in need of it.
sed '/^skip-check:/,$d' "$settings" > "$work/everything.yaml"
"$checkov" --config-file "$work/everything.yaml" --file "$work/decided.json" > "$work/complaint.txt" || true
for check in $(sed -n 's/^ *- \(CKV[0-9A-Z_]*\)$/\1/p' "$settings"); do
    grep -q "Check: $check:" "$work/complaint.txt" || fail "$settings leaves out $check, which passes"
done
echo "template.yaml: all lints are clean"
