use perturb::text::Message;

use super::*;

const CHATML: &str = "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}\
     {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

fn chat(turns: &[(Role, &str)]) -> Vec<Message> {
    turns.iter().map(|&(role, content)| Message { role, content: content.to_owned() }).collect()
}

fn two_answers() -> Vec<Message> {
    chat(&[
        (Role::System, "Be brief."),
        (Role::User, "Hi"),
        (Role::Assistant, "Ho"),
        (Role::User, "And?"),
        (Role::Assistant, "No."),
    ])
}

fn written(template: &str, messages: &[Message]) -> Result<Written, ChatError> {
    let template = ChatTemplate::of(None, None, Some(template)).unwrap().unwrap();
    Written::by(&template, messages, 4)
}

fn said(written: &Written) -> Vec<&str> {
    written.assistant.iter().map(|span| &written.text[span.clone()]).collect()
}

#[test]
fn an_answer_is_what_follows_the_generation_prompt() {
    let found = written(CHATML, &two_answers()).unwrap();
    assert_eq!(said(&found), ["Ho<|im_end|>\n", "No.<|im_end|>\n"]);
    assert!(found.text.starts_with("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi"));
    assert!(!found.is_assistants(0));
    let at = found.text.find("Ho").unwrap();
    assert!(found.is_assistants(at) && !found.is_assistants(at - 1));
}

#[test]
fn a_chat_without_answers_has_no_spans() {
    let found = written(CHATML, &chat(&[(Role::User, "Hi")])).unwrap();
    assert!(found.assistant.is_empty());
}

#[test]
fn a_template_that_rewrites_earlier_turns_is_refused() {
    // Only the last answer shows its thoughts, as in some reasoning models' templates.
    let template = "{% for m in messages %}[{{ m.role }}]{% if loop.last and m.role == 'assistant' %}<think></think>{% endif %}\
         {{ m.content }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}";
    assert_eq!(
        written(template, &two_answers()).unwrap_err(),
        ChatError::NotPrefixStable { line: 4, message: 3 }
    );
    let one = written(template, &two_answers()[..3]).unwrap();
    assert_eq!(said(&one), ["<think></think>Ho"]);
}

#[test]
fn a_generation_prompt_that_is_no_beginning_of_the_answer_is_refused() {
    let template = "{% for m in messages %}{{ m.role }}: {{ m.content }};{% endfor %}{% if add_generation_prompt %}bot> {% endif %}";
    let error = written(template, &two_answers()).unwrap_err();
    assert!(matches!(error, ChatError::NotPrefixStable { message: 3, .. }), "{error}");
}

#[test]
fn generation_blocks_say_it_themselves() {
    let template = "{% for m in messages %}\n\
         {%- if m.role == 'assistant' -%}\n\
         A: {% generation %}{{ m.content }}</s>{% endgeneration %}\n\
         {%- else -%}\n\
         U: {{ m.content }}\n\
         {%- endif -%}\n\
         {% endfor %}{% if loop is defined %}{% endif %}";
    let found = written(template, &two_answers()).unwrap();
    assert_eq!(found.text, "U: Be brief.U: HiA: Ho</s>U: And?A: No.</s>");
    assert_eq!(said(&found), ["Ho</s>", "No.</s>"]);
}
