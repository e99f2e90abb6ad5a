//! What must agree about the deployment: each alarm of the template has its section in the runbook, and each check that the scan leaves out its reason.

use std::collections::BTreeSet;

/// A sentence for each alarm without a section of infra/aws/RUNBOOK.md, and for each section without an alarm.
pub(crate) fn alarms(template: &str, runbook: &str) -> Vec<String> {
    let (alarms, sections) = (template_alarms(template), sections(runbook));
    let without_section = alarms.difference(&sections);
    let without_alarm = sections.difference(&alarms);
    let mut problems: Vec<String> = without_section
        .map(|name| {
            format!("template.yaml's alarm {name} has no section `### {name}` in infra/aws/RUNBOOK.md")
        })
        .chain(without_alarm.map(|name| {
            format!("infra/aws/RUNBOOK.md has a section {name}, but template.yaml no such alarm")
        }))
        .collect();
    if alarms.is_empty() {
        problems.push("template.yaml has no alarm".into());
    }
    problems
}

/// Names of the resources that are alarms, without their last word.
fn template_alarms(template: &str) -> BTreeSet<&str> {
    let lines: Vec<&str> = template.lines().collect();
    let named = lines.windows(2).filter(|pair| pair[1].trim() == "Type: AWS::CloudWatch::Alarm");
    named
        .filter_map(|pair| pair[0].trim().strip_suffix(':'))
        .map(|name| name.strip_suffix("Alarm").unwrap_or(name))
        .collect()
}

/// Headings of the third level below the heading "Alarms".
fn sections(runbook: &str) -> BTreeSet<&str> {
    let after = runbook.split_once("\n## Alarms\n").map_or("", |(_, rest)| rest);
    let alarms = after.split_once("\n## ").map_or(after, |(alarms, _)| alarms);
    alarms.lines().filter_map(|line| line.strip_prefix("### ")).map(str::trim).collect()
}

/// A sentence for each check that infra/aws/checkov.yaml leaves out without a comment above it.
pub(crate) fn unexplained_skips(settings: &str) -> Vec<String> {
    let lines: Vec<&str> = settings.lines().map(str::trim).collect();
    let skipped = lines.windows(2).filter(|pair| pair[1].starts_with("- CKV"));
    skipped
        .filter(|pair| !pair[0].starts_with("# "))
        .map(|pair| format!("infra/aws/checkov.yaml leaves out {} without a reason above it", &pair[1][2..]))
        .collect()
}

#[cfg(test)]
#[path = "runbook_tests.rs"]
mod tests;
