//! `perturb`: text in, perturbed tokens out, on this machine alone.

use crate::args::{MechanismName, OutputFormat, PerturbArgs, UnitName};
use crate::{edge, files, show};
use anyhow::{Context as _, bail};
use dp::{Epsilon, PrivacyUnit};
use finetune::{BaseModel, ModelFiles};
use perturb::{MAX_NEIGHBOURS, Mechanism, NeighbourTable, PerturbedText, Perturber, Tokenizer};
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::ops::ControlFlow;
use std::path::Path;

impl From<UnitName> for PrivacyUnit {
    fn from(name: UnitName) -> Self {
        match name {
            UnitName::Line => Self::Line,
            UnitName::Paragraph => Self::Paragraph,
            UnitName::JsonRecord => Self::JsonRecord,
        }
    }
}

/// Perturbs stdin to stdout.
pub(crate) fn run(args: PerturbArgs) -> anyhow::Result<()> {
    let stdout = std::io::stdout();
    if args.format == OutputFormat::Container && stdout.is_terminal() {
        bail!(
            "the container is binary: send it to a file with `> perturbed.dptok`, or look at the text with `--format text`"
        );
    }
    let perturber = perturber(&args.model, mechanism(&args)?)?;
    let mut text = Vec::new();
    std::io::stdin().read_to_end(&mut text).context("cannot read stdin")?;
    let perturbed = perturb(&perturber, text, args.unit.into(), &model_name(&args.model))?;
    let output = render(&perturber, &perturbed, args.format)?;
    if let Some(path) = &args.manifest {
        files::write_file(path, &serde_json::to_vec_pretty(&perturbed.manifest)?)?;
    }
    stdout.lock().write_all(&output).context("cannot write stdout")?;
    describe(&perturber, &perturbed);
    Ok(())
}

/// A perturber over a model's own tokens; the neighbour table, where needed, comes from its input embeddings.
pub(crate) fn perturber(model: &Path, mechanism: Mechanism) -> anyhow::Result<Perturber> {
    let folder = ModelFiles::from_dir(model)?;
    let tokenizer = Tokenizer::from_bytes(&folder.tokenizer_json)?;
    let table = match mechanism {
        Mechanism::SetRr { .. } => {
            let (embedding, dim) = BaseModel::load(&folder)?.input_embeddings();
            Some(NeighbourTable::build(&embedding, dim, tokenizer.domain(), MAX_NEIGHBOURS)?)
        }
        _ => None,
    };
    Ok(Perturber::new(tokenizer, table, mechanism)?)
}

/// Perturbs `text` with a progress bar and fresh randomness of the operating system.
pub(crate) fn perturb(
    perturber: &Perturber,
    text: Vec<u8>,
    unit: PrivacyUnit,
    model: &str,
) -> anyhow::Result<PerturbedText> {
    let bar = show::bar(text.len() as u64, "perturbing (bytes)");
    let mut generator = edge::generator()?;
    let done = perturber.perturb_text(text, unit, Some(model.to_owned()), &mut generator, |progress| {
        bar.set_position(progress.bytes_done as u64);
        ControlFlow::Continue(())
    });
    bar.finish_and_clear();
    Ok(done?)
}

/// The model's name as its folder says it.
pub(crate) fn model_name(model: &Path) -> String {
    model.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Says on stderr what was promised.
pub(crate) fn describe(perturber: &Perturber, perturbed: &PerturbedText) {
    let (channel, counts) = (perturber.channel(), perturbed.manifest.counts());
    eprintln!(
        "{} records, {} tokens; ε = {} per token (pure ε-LDP, {} tokens to hide among); a token survives with chance {:.1} %; \
         the longest record has {} tokens, so its worst case is ε = {:.0}",
        counts.records,
        counts.tokens,
        channel.epsilon_per_token(),
        channel.domain().len(),
        100.0 * channel.survival_probability(),
        counts.max_tokens_in_a_record,
        perturbed.manifest.epsilon_of_longest_record(),
    );
}

fn mechanism(args: &PerturbArgs) -> anyhow::Result<Mechanism> {
    let epsilon = Epsilon::try_from(args.epsilon)?;
    Ok(match args.mechanism {
        MechanismName::SetRr => Mechanism::SetRr { epsilon, neighbours: args.neighbours },
        MechanismName::KRr => Mechanism::KRr { epsilon },
    })
}

fn render(perturber: &Perturber, perturbed: &PerturbedText, format: OutputFormat) -> anyhow::Result<Vec<u8>> {
    let line = |ids: &Vec<u32>| match format {
        OutputFormat::Jsonl => serde_json::json!({ "tokens": ids }).to_string(),
        // A perturbed token may hold a line break, which would look like a record's end.
        _ => perturber.decode(ids).replace(['\n', '\r'], " "),
    };
    match format {
        OutputFormat::Container => Ok(perturbed.to_bytes()?),
        _ => Ok(perturbed.records.iter().flat_map(|ids| (line(ids) + "\n").into_bytes()).collect()),
    }
}
