//! The small language model of `perturb` against candle's, and the attacks that use it on the bundled example.

// A failing helper of a test should panic as the test does.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use dp::PrivacyUnit;
use finetune::{BaseModel, GenerateOptions, ModelFiles, RecordOptions, Records, evaluate, generate};
use perturb::attack::{
    Attack, AttackError, AttackOptions, ChannelLikelihood, Prior, Record, Report, Sample, TokenContext,
};
use perturb::language_model::{KeyValueCache, LanguageModel, log_softmax};
use perturb::{Channel, Mechanism, NeighbourTable, Tokenizer};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

const TEXT: &str = "The restaurant is near the river and serves cheap food, which the whole family likes.";

struct Demo {
    candle: BaseModel,
    model: Arc<LanguageModel>,
    tokenizer: Tokenizer,
}

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn demo() -> Demo {
    let files = ModelFiles::from_dir(&root().join("models/demo-llama-4m")).unwrap();
    Demo {
        model: Arc::new(LanguageModel::load(&files.config_json, &files.weights[0].1).unwrap()),
        tokenizer: Tokenizer::from_bytes(&files.tokenizer_json).unwrap(),
        candle: BaseModel::load(&files).unwrap(),
    }
}

/// Σ −ln p over the tokens after the first, by candle.
fn candle_loss(model: &BaseModel, sequence: &[u32]) -> f64 {
    let options = RecordOptions {
        bos_token_id: None,
        eos_token_id: None,
        ..RecordOptions::for_model(model.config(), PrivacyUnit::Line, 512, 1)
    };
    let records = Records::from_sequences(&[sequence.to_vec()], &options).unwrap();
    let found = evaluate(model, None, &records, 1).unwrap();
    assert_eq!(found.tokens, sequence.len() - 1);
    found.loss * found.tokens as f64
}

/// ln p of each token after the sequence, by our own.
fn next(model: &LanguageModel, cache: &mut KeyValueCache, tokens: &[u32]) -> Vec<f32> {
    let mut logits = model.advance(&mut [(cache, tokens)]).unwrap().pop().unwrap();
    log_softmax(&mut logits);
    logits
}

#[test]
fn log_probabilities_equal_candles() {
    let Demo { candle, model, tokenizer } = demo();
    let mut sequence = vec![candle.config().bos_token_id.unwrap()];
    sequence.extend(tokenizer.encode(TEXT).unwrap());
    let (mut cache, mut sum, mut largest) = (KeyValueCache::new(), 0.0, 0.0_f64);
    for (length, &token) in (1..).zip(&sequence) {
        let ours = next(&model, &mut cache, &[token]);
        let so_far = if length > 1 { candle_loss(&candle, &sequence[..length]) } else { 0.0 };
        // The sum over the prefix, and 32 tokens spread over the vocabulary as its continuation.
        assert!((sum - so_far).abs() < 1e-3, "{sum} against {so_far} at {length}");
        for other in (0..4096_u32).step_by(128) {
            let longer = [&sequence[..length], &[other]].concat();
            let theirs = so_far - candle_loss(&candle, &longer);
            largest = largest.max((f64::from(ours[other as usize]) - theirs).abs());
        }
        if let Some(&following) = sequence.get(length) {
            sum -= f64::from(ours[following as usize]);
        }
    }
    println!("largest difference of ln p: {largest:.2e}");
    // A comparison that cannot fail would pass on another theta as well.
    assert!(largest < 1e-3 && largest > 0.0, "{largest}");
}

#[test]
fn another_rope_theta_is_told_apart() {
    let Demo { candle, tokenizer, .. } = demo();
    let files = ModelFiles::from_dir(&root().join("models/demo-llama-4m")).unwrap();
    let config = String::from_utf8(files.config_json.clone()).unwrap();
    let changed = config.replace("\"rope_theta\": 10000.0", "\"rope_theta\": 11000.0");
    assert_ne!(config, changed);
    let model = LanguageModel::load(changed.as_bytes(), &files.weights[0].1).unwrap();
    let sequence = tokenizer.encode(TEXT).unwrap();
    let (last, prefix) = sequence.split_last().unwrap();
    let ours = next(&model, &mut KeyValueCache::new(), prefix)[*last as usize];
    let theirs = candle_loss(&candle, prefix) - candle_loss(&candle, &sequence);
    assert!((f64::from(ours) - theirs).abs() > 1e-3, "{ours} against {theirs}");
}

#[test]
fn the_likeliest_continuation_equals_candles() {
    let Demo { candle, model, tokenizer } = demo();
    let options = GenerateOptions { max_tokens: 60, temperature: 0.0, ..GenerateOptions::default() };
    let theirs = generate(&candle, None, &tokenizer, TEXT, &options).unwrap();
    let (mut cache, mut ours) = (KeyValueCache::new(), Vec::new());
    let mut input = vec![candle.config().bos_token_id.unwrap()];
    input.extend(tokenizer.encode(TEXT).unwrap());
    while ours.len() < 60 {
        let next = next(&model, &mut cache, &input);
        let best =
            (0..next.len()).max_by(|&a, &b| next[a].total_cmp(&next[b]).then(b.cmp(&a))).unwrap() as u32;
        if candle.config().eos_token_ids.contains(&best) {
            break;
        }
        ours.push(best);
        input = vec![best];
    }
    assert_eq!(tokenizer.decode(&ours), theirs);
}

struct Example {
    demo: Demo,
    lines: Vec<String>,
    table: NeighbourTable,
}

impl Example {
    fn new() -> Self {
        let demo = demo();
        let text = std::fs::read_to_string(root().join("examples/workshop-notes.txt")).unwrap();
        let (embedding, dim) = demo.candle.input_embeddings().unwrap();
        let table = NeighbourTable::build(&embedding, dim, demo.tokenizer.domain(), 4).unwrap();
        Self { lines: text.lines().map(str::to_owned).collect(), table, demo }
    }

    fn channel(&self, mechanism: Mechanism) -> Channel {
        Channel::new(mechanism, self.demo.tokenizer.domain().clone(), Some(self.table.clone())).unwrap()
    }

    /// `tokens` tokens of the example through the channel, attacked.
    fn attack(
        &self,
        channel: &Channel,
        tokens: usize,
        prior: Option<Prior>,
        options: AttackOptions,
    ) -> Report {
        let mut rng = ChaCha20Rng::seed_from_u64(11);
        let domain = channel.domain();
        let mut noise = ChaCha20Rng::seed_from_u64(12);
        let sample = Sample::draw(self.lines.len(), tokens, &mut rng, |index| {
            let ids = self.demo.tokenizer.encode(&self.lines[index])?;
            Record::from_ids(domain, &ids, &channel.perturb_tokens(&ids, &mut noise))
        });
        let sample: Sample = sample.map_err(|error: AttackError| error.to_string()).unwrap();
        let model = TokenContext::new(self.demo.model.clone(), domain).unwrap();
        let likelihood = ChannelLikelihood::new(channel).unwrap();
        let prior = prior.unwrap_or_else(|| Prior::uniform(domain.len()));
        let mut attack = Attack::begin(sample, likelihood, prior, model, options).unwrap();
        while !attack.is_done() {
            attack.step(50).unwrap();
        }
        attack.finish().unwrap()
    }

    /// What the whole perturbed text says of the frequencies in it.
    fn estimated_prior(&self, channel: &Channel) -> Prior {
        let mut noise = ChaCha20Rng::seed_from_u64(13);
        let ids = self.demo.tokenizer.encode(&self.lines.join("\n")).unwrap();
        let outputs = channel.perturb_tokens(&ids, &mut noise);
        let items = outputs.into_iter().map(|id| channel.domain().index(id).unwrap());
        Prior::from_outputs(&ChannelLikelihood::new(channel).unwrap(), items).unwrap()
    }
}

fn set_rr(epsilon: f64) -> Mechanism {
    Mechanism::SetRr { epsilon: epsilon.try_into().unwrap(), neighbours: 4 }
}

fn k_rr(epsilon: f64) -> Mechanism {
    Mechanism::KRr { epsilon: epsilon.try_into().unwrap() }
}

#[test]
fn context_recovers_no_less_than_no_context_and_clearly_more_where_neighbours_hide_a_word() {
    let example = Example::new();
    for mechanism in [set_rr, k_rr] {
        let mut before = 0;
        for epsilon in [6.0, 8.0, 10.0] {
            let channel = example.channel(mechanism(epsilon));
            let prior = example.estimated_prior(&channel);
            let report = example.attack(&channel, 500, Some(prior), AttackOptions::default());
            println!("{:?}\n{}", channel.mechanism(), report.lines("tokens").join("\n"));
            let with = report.with_context.unwrap();
            // Nowhere less, beyond chance. Where the output is one of four likely words, context tells which; at ε = 6 most of
            // the guessed context is wrong, and k-RR leaves a word as it is or says nothing of it.
            let is_clear = matches!(channel.mechanism(), Mechanism::SetRr { .. }) && epsilon > 6.0;
            let least = if is_clear { with.share } else { with.high };
            assert!(least > report.without_context.share, "{:?}: {report:?}", channel.mechanism());
            assert!(report.without_context.hits > report.unchanged.hits, "{report:?}");
            // A weaker channel cannot protect better.
            assert!(with.hits > before, "{report:?}");
            before = with.hits;
        }
    }
}

#[test]
fn a_channel_that_says_nothing_leaves_no_more_than_the_context_and_one_that_keeps_everything_leaves_all() {
    let example = Example::new();
    let blind = example.attack(&example.channel(k_rr(0.001)), 400, None, AttackOptions::default());
    // The attacker has its own guesses as context, not the true tokens.
    assert!(blind.with_context.unwrap().hits <= blind.context_alone.unwrap().hits, "{blind:?}");
    assert!(blind.unchanged.hits < 5 && blind.without_context.hits < 5, "{blind:?}");
    let open = example.attack(&example.channel(k_rr(28.0)), 400, None, AttackOptions::default());
    assert_eq!((open.with_context.unwrap().hits, open.unchanged.hits), (400, 400), "{open:?}");
    assert_eq!(open.context_alone, blind.context_alone);
}

#[test]
fn a_public_model_alone_recovers_less_than_with_what_the_output_says_of_its_words() {
    let example = Example::new();
    let channel = example.channel(set_rr(8.0));
    let prior = example.estimated_prior(&channel);
    let alone = AttackOptions { prior_weight: 0.0, ..AttackOptions::default() };
    let alone = example.attack(&channel, 300, None, alone);
    let informed = example.attack(&channel, 300, Some(prior), AttackOptions::default());
    // Of a uniform prior and a two-level channel nothing better than the output itself can be said.
    assert_eq!(alone.without_context, alone.unchanged);
    assert!(alone.with_context.unwrap().low > alone.unchanged.high, "{alone:?}");
    assert!(informed.with_context.unwrap().low > alone.with_context.unwrap().high, "{alone:?} {informed:?}");
}
