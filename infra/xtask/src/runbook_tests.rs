use super::*;

const TEMPLATE: &str = "\
Resources:
  JobsWaitAlarm:
    Type: AWS::CloudWatch::Alarm
    Properties: {}
  Queue:
    Type: AWS::SQS::Queue
  ApiErrorsAlarm:
    Type: AWS::CloudWatch::Alarm
";

#[test]
fn each_alarm_has_its_section() {
    let runbook =
        "# Runbook\n\n## Alarms\n\n### ApiErrors\n\ntext\n\n### JobsWait\n\n## Procedures\n\n### Revoke\n";
    assert_eq!(alarms(TEMPLATE, runbook), Vec::<String>::new());
}

#[test]
fn an_alarm_without_a_section_and_a_section_without_an_alarm_are_named() {
    let problems = alarms(TEMPLATE, "# Runbook\n\n## Alarms\n\n### ApiErrors\n\n### Fire\n");
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].contains("alarm JobsWait has no section"));
    assert!(problems[1].contains("section Fire, but template.yaml no such alarm"));
}

#[test]
fn a_section_elsewhere_does_not_count() {
    let problems = alarms(TEMPLATE, "## Alarms\n\n## Procedures\n\n### ApiErrors\n\n### JobsWait\n");
    assert_eq!(problems.len(), 2, "{problems:?}");
}

#[test]
fn a_template_that_is_read_wrongly_is_noticed() {
    assert_eq!(alarms("Resources: {}", ""), ["template.yaml has no alarm"]);
}

#[test]
fn a_skip_needs_its_reason() {
    assert!(unexplained_skips("skip-check:\n  # It costs too much.\n  - CKV_AWS_1\n").is_empty());
    let bare = unexplained_skips("skip-check:\n  # It costs too much.\n  - CKV_AWS_1\n  - CKV_AWS_2\n");
    assert_eq!(bare, ["infra/aws/checkov.yaml leaves out CKV_AWS_2 without a reason above it"]);
}
