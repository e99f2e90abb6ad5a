//! `perturb`: text in, perturbed tokens out, on this machine alone.

use crate::args::{MechanismName, OutputFormat, PerturbArgs, RegionName, UnitName};
use crate::commands::{report, tables};
use crate::{edge, files, show};
use anyhow::{Context as _, bail};
use dp::mechanism::{Region, VectorGaussian};
use dp::{Delta, Epsilon, PrivacyUnit};
use perturb::{
    Embedding, Lexicon, Manifest, Mechanism, Needs, NeighbourTable, Payload, PerturbedText, Perturber, Tables,
};
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::ops::ControlFlow;
use std::path::Path;

/// Reading and drawing are two kinds of work, so progress is a share of both.
const BAR_STEPS: u64 = 1000;

impl From<UnitName> for PrivacyUnit {
    fn from(name: UnitName) -> Self {
        match name {
            UnitName::Line => Self::Line,
            UnitName::Paragraph => Self::Paragraph,
            UnitName::JsonRecord => Self::JsonRecord,
        }
    }
}

/// Perturbs stdin to stdout, or only says what that would mean.
pub(crate) fn run(args: PerturbArgs) -> anyhow::Result<()> {
    let stdout = std::io::stdout();
    if args.format == OutputFormat::Container && !args.report && stdout.is_terminal() {
        bail!(
            "the container is binary: send it to a file with `> perturbed.dptok`, or look at the text with `--format text`"
        );
    }
    let perturber = chosen(&args)?;
    let mut text = Vec::new();
    std::io::stdin().read_to_end(&mut text).context("cannot read stdin")?;
    if args.report {
        return report::run(&args, &perturber, text);
    }
    let unit = args.unit.into();
    if args.format == OutputFormat::Text && unit == PrivacyUnit::JsonRecord {
        return jsonl(&perturber, &text);
    }
    let perturbed = perturb(&perturber, text, unit, &model_name(&args.model))?;
    let output = render(&perturber, &perturbed, args.format)?;
    if let Some(path) = &args.manifest {
        files::write_file(path, &serde_json::to_vec_pretty(&perturbed.manifest)?)?;
    }
    stdout.lock().write_all(&output).context("cannot write stdout")?;
    describe(&perturber, &perturbed.manifest);
    Ok(())
}

/// JSON records with their shape and perturbed values, to look at.
fn jsonl(perturber: &Perturber, text: &[u8]) -> anyhow::Result<()> {
    let records = perturber.perturb_jsonl(text, &mut edge::generator()?)?;
    let mut stdout = std::io::stdout().lock();
    records
        .iter()
        .try_for_each(|record| writeln!(stdout, "{}", serde_json::to_string(record)?).map_err(Into::into))
}

/// The perturber that the arguments ask for.
pub(crate) fn chosen(args: &PerturbArgs) -> anyhow::Result<Perturber> {
    let (needs, columns) = needs(args);
    let (lexicon, tables) = match &args.vocabulary {
        Some(folder) => tables::of_words(folder, needs)?,
        None => tables::of_model(&args.model, needs, columns)?,
    };
    let mechanism = mechanism(args, &lexicon, &tables)?;
    Ok(Perturber::new(lexicon, tables, mechanism)?)
}

/// A perturber over a model's own tokens; set-rr takes the most informative size.
pub(crate) fn perturber(model: &Path, epsilon: Epsilon) -> anyhow::Result<Perturber> {
    let (lexicon, tables) = tables::of_model(model, Needs::Neighbours, 0)?;
    let mechanism = set_rr(epsilon, None, &lexicon, &tables)?;
    Ok(Perturber::new(lexicon, tables, mechanism)?)
}

/// Perturbs `text` with a progress bar and fresh randomness of the operating system.
pub(crate) fn perturb(
    perturber: &Perturber,
    text: Vec<u8>,
    unit: PrivacyUnit,
    model: &str,
) -> anyhow::Result<PerturbedText> {
    let bar = show::bar(BAR_STEPS, "perturbing (per mille)");
    let mut generator = edge::generator()?;
    let done = perturber.perturb_text(text, unit, Some(model.to_owned()), &mut generator, |progress| {
        bar.set_position((progress * BAR_STEPS as f64) as u64);
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
pub(crate) fn describe(perturber: &Perturber, manifest: &Manifest) {
    let unit = unit_name(perturber);
    let guarantee = manifest.delta.map_or("pure ε-LDP".to_owned(), |delta| format!("at δ = {delta}"));
    let kept = perturber.channel().response().map_or(String::new(), |response| {
        format!("; a {unit} survives with chance {:.1} %", 100.0 * response.keep_probability())
    });
    eprintln!(
        "{} records, {} {unit}s; {} with ε = {} per {unit} ({guarantee}) over {}{kept}; the longest record has {} {unit}s, so its worst case is ε = {:.0}",
        manifest.records,
        manifest.tokens,
        manifest.mechanism.name(),
        manifest.epsilon_per_token,
        manifest.domain_size,
        manifest.max_tokens_in_a_record,
        manifest.epsilon_of_longest_record(),
    );
}

/// What one item of the channel is called.
pub(crate) fn unit_name(perturber: &Perturber) -> &'static str {
    match perturber.lexicon() {
        Lexicon::Tokens(_) => "token",
        Lexicon::Words(_) => "word",
    }
}

/// The tables that the mechanism asked for takes, and how many neighbours of each at least.
fn needs(args: &PerturbArgs) -> (Needs, u32) {
    match args.mechanism {
        MechanismName::SetRr => (Needs::Neighbours, args.neighbours.unwrap_or(0)),
        MechanismName::KRr => (Needs::Nothing, 0),
        MechanismName::Exponential | MechanismName::Gaussian | MechanismName::Laplace => {
            (Needs::Embedding, 0)
        }
    }
}

fn mechanism(args: &PerturbArgs, lexicon: &Lexicon, tables: &Tables) -> anyhow::Result<Mechanism> {
    if args.sigma.is_some() && args.mechanism != MechanismName::Gaussian {
        bail!("--sigma is for the gaussian mechanism: give --epsilon, or add --mechanism gaussian");
    }
    let region = match args.region {
        RegionName::UnitBall => Region::UnitBall,
        RegionName::Box => Region::Box,
    };
    // The parser asks for one of the two.
    let epsilon = args.epsilon.map(Epsilon::try_from).transpose()?;
    let needed = || epsilon.context("give --epsilon");
    Ok(match args.mechanism {
        MechanismName::SetRr => set_rr(needed()?, args.neighbours, lexicon, tables)?,
        MechanismName::KRr => Mechanism::KRr { epsilon: needed()? },
        MechanismName::Exponential => Mechanism::Exponential { epsilon: needed()? },
        MechanismName::Laplace => Mechanism::Laplace { epsilon: needed()?, region },
        MechanismName::Gaussian => {
            let delta = Delta::try_from(args.delta)?;
            let dimension = tables.embedding.as_ref().map_or(1, Embedding::dimension);
            let standard_deviation = match (args.sigma, epsilon) {
                (Some(sigma), _) => sigma,
                (None, Some(epsilon)) => {
                    VectorGaussian::with_epsilon(dimension, region, epsilon, delta)?.standard_deviation()
                }
                (None, None) => bail!("give --epsilon or --sigma"),
            };
            Mechanism::Gaussian { standard_deviation, delta, region }
        }
    })
}

fn set_rr(
    epsilon: Epsilon,
    neighbours: Option<u32>,
    lexicon: &Lexicon,
    tables: &Tables,
) -> anyhow::Result<Mechanism> {
    let columns = tables.neighbours.as_ref().map_or(1, NeighbourTable::columns);
    match neighbours {
        Some(neighbours) => Ok(Mechanism::SetRr { epsilon, neighbours }),
        None => Ok(Mechanism::set_rr(epsilon, lexicon.domain().len() as u32, columns)?),
    }
}

fn render(perturber: &Perturber, perturbed: &PerturbedText, format: OutputFormat) -> anyhow::Result<Vec<u8>> {
    let lines: Vec<String> = match (&perturbed.records, format) {
        (_, OutputFormat::Container) => return Ok(perturbed.to_bytes()?),
        (Payload::Tokens(records), OutputFormat::Jsonl) => {
            records.iter().map(|ids| serde_json::json!({ "tokens": ids }).to_string()).collect()
        }
        (Payload::Tokens(records), OutputFormat::Text) => {
            // A perturbed token may hold a line break, which would look like a record's end.
            records.iter().map(|ids| perturber.decode(ids).replace(['\n', '\r'], " ")).collect()
        }
        (Payload::Text(records), OutputFormat::Jsonl) => {
            records.iter().map(|text| serde_json::json!({ "text": text }).to_string()).collect()
        }
        (Payload::Text(records), OutputFormat::Text) => records.clone(),
    };
    Ok(lines.iter().flat_map(|line| [line.as_bytes(), b"\n"]).flatten().copied().collect())
}
