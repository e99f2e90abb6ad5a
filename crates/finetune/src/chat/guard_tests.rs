use perturb::text::Role;

use super::*;

fn tokens() -> Vec<String> {
    ["<|end|>", "<|end|>x", "</s>", ""].map(str::to_owned).to_vec()
}

fn message(content: &str) -> Message {
    Message { role: Role::User, content: content.to_owned() }
}

fn guarded_text(content: &str) -> String {
    guarded(&[message(content)], &tokens(), 1).unwrap().remove(0).content
}

#[test]
fn control_tokens_are_marked_longest_first_and_nothing_else_is_changed() {
    assert_eq!(guarded_text("plain <text> é"), "plain <text> é");
    assert_eq!(guarded_text("a</s>b"), "a\u{fdd0}</s>\u{fdd1}b");
    assert_eq!(guarded_text("<|end|>x<|end|>"), "\u{fdd0}<|end|>x\u{fdd1}\u{fdd0}<|end|>\u{fdd1}");
    assert_eq!(guarded_text("<<|end|"), "<<|end|");
}

#[test]
fn a_text_is_cut_at_its_marks() {
    let text = format!("[{}]", guarded_text("a</s>b"));
    let expected = [
        Piece::Template { start: 0, text: "[a" },
        Piece::Literal { start: 5, text: "</s>" },
        Piece::Template { start: 12, text: "b]" },
    ];
    assert_eq!(pieces(&text), expected);
    assert_eq!(pieces(""), []);
}

#[test]
fn a_torn_pair_leaves_a_literal() {
    let text = "a\u{fdd0}</s>b";
    assert_eq!(
        pieces(text),
        [Piece::Template { start: 0, text: "a" }, Piece::Literal { start: 4, text: "</s>b" }]
    );
    assert_eq!(
        pieces("a\u{fdd1}b"),
        [Piece::Template { start: 0, text: "a" }, Piece::Template { start: 4, text: "b" }]
    );
}

#[test]
fn marks_in_a_message_are_refused() {
    for mark in [LITERAL, LITERAL_END, TURN, TURN_END] {
        let error = guarded(&[message(&format!("a{mark}"))], &tokens(), 7).err().unwrap();
        assert_eq!(error, ChatError::Reserved { line: 7 });
    }
}
