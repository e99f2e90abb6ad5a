#!/usr/bin/env bash
# Lints template.yaml twice: as SAM sees it, and as AWS would deploy it. The first needs a region, the second the translated template.
# Run with the Python environment of infra/aws/requirements.txt first in PATH; `cargo xtask test --only template` does that.
set -euo pipefail
cd "$(dirname "$0")/../.."
export AWS_DEFAULT_REGION="${AWS_DEFAULT_REGION:-eu-central-1}" SAM_CLI_TELEMETRY=0

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

sam validate --lint --template-file template.yaml
python infra/aws/translate.py template.yaml > "$work/translated.json"
cfn-lint --regions "$AWS_DEFAULT_REGION" --template "$work/translated.json"

# The lint must be able to fail: with a visibility timeout below the function's, it has to complain.
sed 's/"VisibilityTimeout": 5400/"VisibilityTimeout": 600/' "$work/translated.json" > "$work/broken.json"
if cfn-lint --regions "$AWS_DEFAULT_REGION" --template "$work/broken.json" > "$work/complaint.txt"; then
    echo "lint.sh: cfn-lint accepted a queue whose visibility timeout is below its function's timeout" >&2
    exit 1
fi
grep -q E3505 "$work/complaint.txt"
echo "template.yaml: both lints are clean"
