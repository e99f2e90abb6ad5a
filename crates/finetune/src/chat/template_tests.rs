use perturb::text::Role;

use super::*;

fn template(source: &str) -> ChatTemplate {
    ChatTemplate::of(None, None, Some(source)).unwrap().unwrap()
}

fn messages() -> Vec<Message> {
    vec![
        Message { role: Role::User, content: " Hi \"there\" <b> ".to_owned() },
        Message { role: Role::Assistant, content: "Ho".to_owned() },
    ]
}

fn rendered(source: &str) -> String {
    template(source).render(&messages(), true, 1).unwrap()
}

fn refused(source: &str) -> String {
    template(source).render(&messages(), false, 9).unwrap_err().to_string()
}

/// Expected texts as Python's Jinja writes them:
///
/// ```python
/// import json
/// from jinja2.ext import loopcontrols
/// from jinja2.sandbox import ImmutableSandboxedEnvironment
/// env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
/// env.filters["tojson"] = lambda x, indent=None: json.dumps(x, ensure_ascii=False, indent=indent)
/// messages = [{"role": "user", "content": " Hi \"there\" <b> "}, {"role": "assistant", "content": "Ho"}]
/// for source in SOURCES:
///     print(repr(env.from_string(source).render(messages=messages, add_generation_prompt=True, tools=None)))
/// ```
#[test]
fn rendering_is_pythons() {
    for (source, expected) in [
        (
            "{% for m in messages %}\n  {% if m['role'] == 'user' %}\n<{{ m.content.strip() }}>\n  {% endif %}\n{% endfor %}\n",
            "<Hi \"there\" <b>>\n",
        ),
        (
            "{{ messages[0].content | trim }}{{ messages[0]['content'] | tojson }}",
            "Hi \"there\" <b>\" Hi \\\"there\\\" <b> \"",
        ),
        ("{{ {'a': [1, 2], 'b': none} | tojson }}", "{\"a\": [1, 2], \"b\": null}"),
        ("{{ [{'a': []}] | tojson(indent=2) }}", "[\n  {\n    \"a\": []\n  }\n]"),
        (
            "{%- set ns = namespace(n=0) -%}{%- for m in messages[1:] -%}{%- set ns.n = ns.n + 1 -%}{%- endfor -%}{{ ns.n }}",
            "1",
        ),
        (
            "{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{{ loop.index0 ~ m.role.upper() }}{% endfor %}",
            "1ASSISTANT",
        ),
        (
            "{{ messages[0].content.split('\"')[1] }} {{ 'the' in messages[0].content }}{{ messages[-1]['content'].startswith('H') }}",
            "there TrueTrue",
        ),
        (
            "{% macro f(x) %}[{{ x }}]{% endmacro %}{{ f(messages | length) }}{{ tools is none }}{{ missing is defined }}",
            "[2]TrueFalse",
        ),
        (
            "{{ bos_token }}{{ messages[0].get('name', 'nobody') }}{{ 'y' if add_generation_prompt else 'n' }}",
            "nobodyy",
        ),
        ("a\n{%- if true %}\n\nb\n{%- endif %}\n\n", "a\nb"),
    ] {
        assert_eq!(rendered(source), expected, "{source}");
    }
}

#[test]
fn every_day_is_the_same() {
    let source =
        "{{ strftime_now('%d %b %Y|%Y-%m-%d|%A %B %e, %H:%M %p|%j %q %%') }}{{ strftime_now is defined }}";
    let found = rendered(source).to_lowercase();
    assert_eq!(found, "26 jul 2024|2024-07-26|friday july 26, 00:00 am|208 %q %true");
    assert!(rendered("{{ strftime_now('%F') }}") == RENDER_DATE);
}

#[test]
fn an_exception_is_told_in_the_templates_words_and_never_in_the_owners() {
    let words = refused("{{ raise_exception('Roles must alternate!') }}");
    assert_eq!(words, "the chat template does not take the chat on line 9: Roles must alternate!");
    let leak = refused("{{ raise_exception('No: ' ~ messages[0].content) }}");
    assert!(leak.contains("line 1 of the template") && !leak.contains("Hi"), "{leak}");
    let failed = refused("\n{{ messages[0].name.first }}");
    assert!(failed.contains("line 2 of the template"), "{failed}");
    let endless = refused("{% for i in range(90000) %}{% for j in range(90000) %}{% endfor %}{% endfor %}");
    assert!(endless.contains("fuel"), "{endless}");
}

#[test]
fn a_template_that_is_no_jinja_is_refused_at_once() {
    let error = ChatTemplate::of(None, None, Some("{% for m in %}")).unwrap_err();
    assert!(matches!(error, ChatError::Template(_)), "{error}");
}

#[test]
fn the_file_comes_before_the_configuration_and_what_is_given_before_both() {
    let config = br#"{"chat_template": "config {{ bos_token }}{{ eos_token }}", "bos_token": "<s>",
        "eos_token": {"content": "</s>", "special": true}, "pad_token": null, "model_max_length": 1}"#;
    let of = |file: Option<&[u8]>, given: Option<&str>| {
        ChatTemplate::of(Some(config), file, given).unwrap().unwrap().render(&messages(), false, 1).unwrap()
    };
    assert_eq!(of(None, None), "config <s></s>");
    assert_eq!(of(Some(b"file {{ bos_token }}"), None), "file <s>");
    assert_eq!(of(Some(b"file"), Some("given {{ eos_token }}")), "given </s>");
    assert!(ChatTemplate::of(Some(b"{\"bos_token\": \"<s>\"}"), None, None).unwrap().is_none());
    assert!(ChatTemplate::of(None, None, None).unwrap().is_none());
}

#[test]
fn of_named_templates_the_default_one_is_taken() {
    let named = |name: &str| {
        format!(
            r#"{{"chat_template": [{{"name": "rag", "template": "r"}}, {{"name": "{name}", "template": "d"}}]}}"#
        )
    };
    let of = |name: &str| ChatTemplate::of(Some(named(name).as_bytes()), None, None);
    assert_eq!(of("default").unwrap().unwrap().render(&messages(), false, 1).unwrap(), "d");
    let error = of("tool_use").unwrap_err().to_string();
    assert!(error.contains("rag, tool_use") && error.contains("--chat-template"), "{error}");
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let config = ChatTemplate::of(Some(b"no json"), None, None).unwrap_err().to_string();
    assert!(config.starts_with("tokenizer_config.json"), "{config}");
    let file = ChatTemplate::of(None, Some(b"\xff"), None).unwrap_err().to_string();
    assert!(file.contains("chat_template.jinja"), "{file}");
}

#[test]
fn generation_tags_become_a_filter_with_their_whitespace_control() {
    let source = "a {%- generation -%} b {% endgeneration +%} {% if x %}{%generation%}";
    let (jinja, found) = with_marked_turns(source);
    assert_eq!(
        jinja,
        "a {%- filter assistant_turn -%} b {% endfilter +%} {% if x %}{%filter assistant_turn%}"
    );
    assert!(found);
    assert_eq!(
        with_marked_turns("{% set generation = 1 %}{%"),
        ("{% set generation = 1 %}{%".to_owned(), false)
    );
}

#[test]
fn an_indentation_that_would_take_all_memory_is_refused() {
    for width in ["17", "1000000000000", "18446744073709551615"] {
        let error = refused(&format!("{{{{ messages | tojson(indent={width}) }}}}"));
        assert!(error.contains("line 9") && error.contains("line 1 of the template"), "{error}");
    }
    assert!(rendered("{{ messages | tojson(indent=16) }}").contains("\n                {"));
}

#[test]
fn an_error_repeats_a_templates_words_in_one_line() {
    let error = refused("{{ raise_exception('two\nlines\u{1b}[2J') }}");
    assert!(error.contains("two\u{fffd}lines\u{fffd}[2J") && !error.contains(char::is_control), "{error:?}");
}

#[test]
fn a_template_that_would_take_all_memory_is_refused() {
    for source in [
        "{% set ns = namespace(x='aaaaaaaaaaaaaaaa') %}{% for i in range(40) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{% for i in range(90000) %}{% for j in range(90000) %}aaaaaaaaaaaaaaaa{% endfor %}{% endfor %}",
        "{% set x %}{% for i in range(90000) %}{{ [messages] * 900 }}{% endfor %}{% endset %}",
    ] {
        let error = refused(source);
        assert!(error.contains("line 9") && error.contains("ran out of fuel"), "{error}");
    }
}

#[test]
fn a_long_chat_has_work_to_spare() {
    let content = "x".repeat(100);
    let said = |role| Message { role, content: content.clone() };
    let chat: Vec<Message> = (0..5_000).flat_map(|_| [said(Role::User), said(Role::Assistant)]).collect();
    let source = "{% for m in messages %}{% if m.role == 'user' and loop.index0 % 2 %}{{ raise_exception('roles') }}{% endif %}\
                  <|im_start|>{{ m.role ~ '\n' ~ m['content'] | trim }}<|im_end|>\n{% endfor %}";
    assert!(template(source).render(&chat, false, 1).unwrap().len() > 1 << 20);
}
