use super::*;

const RULE: Rule = Rule { package: "perturb", members: &["dp"], forbidden: &["candle", "candle-", "aws-"] };

fn members() -> Vec<String> {
    ["dp", "perturb", "finetune"].map(str::to_owned).to_vec()
}

#[test]
fn what_is_allowed_passes() {
    let tree = "perturb v0.1.0 (/somewhere/crates/perturb)\ndp v0.1.0 (/somewhere/crates/dp)\nserde v1.0.0\nserde v1.0.0 (*)\n";
    assert!(broken(&RULE, tree, &members()).is_empty());
}

#[test]
fn what_is_forbidden_is_named_once() {
    let tree = "perturb v0.1.0\ncandle-core v0.11.1\ncandle-core v0.11.1 (*)\naws-config v1.0.0\n";
    assert_eq!(
        broken(&RULE, tree, &members()),
        [
            "`perturb` depends on `aws-config`, which it must not",
            "`perturb` depends on `candle-core`, which it must not"
        ]
    );
}

#[test]
fn other_members_are_foreign_unless_listed() {
    assert_eq!(broken(&RULE, "dp v0.1.0\nfinetune v0.1.0\n", &members()).len(), 1);
}

#[test]
fn a_name_that_merely_begins_alike_is_another_crate() {
    assert!(broken(&RULE, "candlestick v1.0.0\nawsome v1.0.0\n", &members()).is_empty());
}

#[test]
fn every_rule_says_something() {
    for rule in &RULES {
        assert!(!rule.forbidden.is_empty(), "{}", rule.package);
        let bad = format!("{}x v1.0.0\n", rule.forbidden[0].trim_end_matches('-'));
        assert!(broken(rule, &bad, &[]).is_empty(), "{bad} belongs to no family");
        let bad = rule
            .forbidden
            .iter()
            .map(|family| if family.ends_with(['-', '_']) { format!("{family}x") } else { (*family).into() });
        for name in bad {
            assert_eq!(broken(rule, &format!("{name} v1.0.0"), &[]).len(), 1, "{name}");
        }
    }
}
