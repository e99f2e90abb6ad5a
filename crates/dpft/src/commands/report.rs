//! `perturb --report`: what a setting means for a text, in numbers and by attacks on the text itself. Nothing is written.

use crate::args::PerturbArgs;
use crate::commands::perturb::unit_name;
use crate::{edge, show};
use finetune::ModelFiles;
use perturb::attack::{Reader, Trial};
use perturb::language_model::LanguageModel;
use perturb::numbers::Numbers;
use perturb::{Encoded, Perturber, Reading, Tokenizer};
use std::path::Path;
use std::sync::Arc;

/// Tokens that are attacked: half a width of 3 % at 95 %, in seconds.
const ATTACKED: usize = 1000;
/// Bytes of text between two looks at the bar.
const CHUNK: usize = 1 << 20;

/// Prints the numbers and what the attacks recovered.
pub(crate) fn run(args: &PerturbArgs, perturber: &Perturber, text: Vec<u8>) -> anyhow::Result<()> {
    let encoded = read(perturber, text, args)?;
    let mut rng = edge::generator()?;
    let numbers = Numbers::new(perturber.channel(), encoded.counts(), encoded.ids(), &mut rng);
    let reader = reader(&args.model);
    let mut trial = Trial::begin(&encoded, perturber, reader.as_ref().ok(), ATTACKED, &mut rng)?;
    let bar = show::bar(ATTACKED as u64, "attacking (tokens)");
    loop {
        let progress = trial.step(16)?;
        bar.set_position(progress.done as u64);
        if progress.done == progress.total {
            break;
        }
    }
    bar.finish_and_clear();
    let attacks = trial.finish()?;
    if args.json {
        let mechanism = perturber.channel().mechanism();
        let report = serde_json::json!({ "mechanism": mechanism, "numbers": numbers, "attacks": attacks });
        println!("{}", serde_json::to_string_pretty(&report)?);
        return Ok(());
    }
    let unit = unit_name(perturber);
    let counts = encoded.counts();
    println!(
        "{} records, {} {unit}s, the longest record has {}",
        counts.records, counts.tokens, counts.max_tokens_in_a_record
    );
    numbers.sentences(unit).iter().for_each(|sentence| println!("{sentence}"));
    attacks.lines(&format!("{unit}s")).iter().for_each(|line| println!("{line}"));
    if let Err(why) = reader {
        println!("No language model took part: {}", show::error(&why));
    }
    Ok(())
}

fn read(perturber: &Perturber, text: Vec<u8>, args: &PerturbArgs) -> anyhow::Result<Encoded> {
    let mut reading = Reading::begin(text, args.unit.into())?;
    while !reading.is_done() {
        reading.step(perturber.lexicon(), CHUNK)?;
    }
    Ok(reading.finish()?)
}

/// The model as the attacker reads it. One that is too large for this leaves the attacks without context.
fn reader(folder: &Path) -> anyhow::Result<Reader> {
    let files = ModelFiles::from_dir(folder)?;
    let [(_, weights)] = &files.weights[..] else { anyhow::bail!("its weights are in several files") };
    let model = LanguageModel::load(&files.config_json, weights)?;
    Ok(Reader { model: Arc::new(model), tokenizer: Tokenizer::from_bytes(&files.tokenizer_json)? })
}
