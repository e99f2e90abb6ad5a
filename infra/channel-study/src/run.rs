//! One corpus, ready to be perturbed, trained on and measured.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use dp::{Epsilon, Purpose, SecretSeed};
use finetune::{
    ALL_LINEAR, Adapter, BaseModel, ChannelCorrection, LearningRate, LoraConfig, ModelFiles, Privacy,
    RecordOptions, Records, Schedule, Trainer, TrainingConfig, evaluate,
};
use perturb::{Channel, Domain, Mechanism, NeighbourTable, Tokenizer};

use crate::corpus::{Corpus, Source};
use crate::method::Method;
use crate::results::{Key, Results, Run};

/// Tokens of one sequence.
const MAX_LENGTH: usize = 64;
/// Records of one step.
const BATCH: usize = 8;
/// LoRA rank.
const RANK: usize = 8;
/// The seed that tunes.
const TUNING_SEED: u8 = 0;

/// What does not change between runs.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Worker threads.
    pub threads: usize,
    /// Passes over the training text.
    pub epochs: u64,
}

/// A corpus and a model.
pub struct Bench {
    name: String,
    model: Arc<BaseModel>,
    domain: Domain,
    table: NeighbourTable,
    options: RecordOptions,
    train: Vec<Vec<u32>>,
    validation: Records,
    test: Records,
    setting: Setting,
}

// A study measures: here is its edge.
#[allow(clippy::disallowed_methods)]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

impl Bench {
    /// Loads model and corpus, and makes the neighbour table.
    ///
    /// # Errors
    /// If a file cannot be read or does not fit.
    pub fn new(folder: &Path, source: &Source, train_tokens: usize, setting: Setting) -> Result<Self> {
        let files = ModelFiles::from_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
        let tokenizer = Tokenizer::from_bytes(&files.tokenizer_json)?;
        let model = Arc::new(BaseModel::load(&files)?);
        let corpus = Corpus::read(source, &tokenizer, train_tokens)?;
        let options = RecordOptions::for_model(model.config(), source.unit, MAX_LENGTH, usize::MAX);
        let (embeddings, width) = model.input_embeddings()?;
        let domain = tokenizer.domain().clone();
        let table = NeighbourTable::build(&embeddings, width, &domain, perturb::MAX_NEIGHBOURS)?;
        Ok(Self {
            name: source.name.clone(),
            validation: Records::from_sequences(&corpus.validation, &options)?,
            test: Records::from_sequences(&corpus.test, &options)?,
            train: corpus.train,
            model,
            domain,
            table,
            options,
            setting,
        })
    }

    /// Measures the model as it is.
    ///
    /// # Errors
    /// If the results cannot be written.
    pub fn base(&self, results: &mut Results) -> Result<()> {
        let key = Key { corpus: self.name.clone(), method: Method::Base, epsilon: 0.0, neighbours: 0 };
        if results.find(&key, 0, 0.0).is_some() {
            return Ok(());
        }
        let start = now();
        let validation = Some(self.perplexity(None, &self.validation)?);
        let test = Some(self.perplexity(None, &self.test)?);
        let seconds = start.elapsed().as_secs_f64();
        results.push(Run { key, seed: 0, learning_rate: 0.0, validation, test, tokens: 0, steps: 0, seconds })
    }

    /// Makes the final runs of a cell, with the learning rate that did best on the validation text of the cell `tuning`;
    /// tunes first if that is the same one.
    ///
    /// # Errors
    /// If a run fails, the results cannot be written, or the other cell has not been tuned.
    pub fn cell(
        &self,
        key: &Key,
        (tuning, rates): (&Key, &[f64]),
        seeds: &[u8],
        results: &mut Results,
    ) -> Result<()> {
        if key.method == Method::Base {
            return Ok(());
        }
        let mut best = (f64::INFINITY, f64::NAN);
        for &rate in rates {
            let perplexity = match results.find(tuning, TUNING_SEED, rate).and_then(|run| run.validation) {
                Some(perplexity) => perplexity,
                None if tuning == key => self.record(key, TUNING_SEED, rate, results)?,
                None => bail!("{tuning:?} has no run of seed {TUNING_SEED} at {rate}: run that cell first"),
            };
            if perplexity < best.0 {
                best = (perplexity, rate);
            }
        }
        for &seed in seeds {
            if results.find(key, seed, best.1).is_none() {
                self.record(key, seed, best.1, results)?;
            }
        }
        Ok(())
    }

    /// One run, kept in the results; gives the perplexity that it measured.
    fn record(&self, key: &Key, seed: u8, learning_rate: f64, results: &mut Results) -> Result<f64> {
        let start = now();
        let mut trainer = self.trainer(key, seed, learning_rate)?;
        let steps = trainer.total_steps();
        for _ in 0..steps {
            trainer.step()?;
        }
        let tuning = seed == TUNING_SEED;
        let measured =
            self.perplexity(Some(&trainer.adapter()), if tuning { &self.validation } else { &self.test })?;
        let (validation, test) = if tuning { (Some(measured), None) } else { (None, Some(measured)) };
        let tokens =
            self.train.iter().map(|record| record.len() + 1).sum::<usize>() * self.setting.epochs as usize;
        let seconds = start.elapsed().as_secs_f64();
        results.push(Run {
            key: key.clone(),
            seed,
            learning_rate,
            validation,
            test,
            tokens,
            steps,
            seconds,
        })?;
        Ok(measured)
    }

    fn trainer(&self, key: &Key, seed: u8, learning_rate: f64) -> Result<Trainer> {
        let seed = SecretSeed::from_bytes([seed; 32]);
        let records = self.records(key, &seed)?;
        let steps = self.setting.epochs * records.len().div_ceil(BATCH) as u64;
        let mut config = TrainingConfig::new(Privacy::NonPrivate { batch_size: BATCH, steps });
        config.lora = LoraConfig {
            rank: RANK,
            alpha: 2.0 * RANK as f64,
            target_modules: vec![ALL_LINEAR.to_owned()],
            use_rslora: false,
        };
        config.learning_rate =
            LearningRate { peak: learning_rate, warmup_steps: 4, schedule: Schedule::Linear };
        config.max_length = MAX_LENGTH;
        config.threads = self.setting.threads;
        config.correction = key.method.correction();
        Ok(Trainer::new(self.model.clone(), records, config, seed)?)
    }

    /// The training text as a trainer would receive it.
    fn records(&self, key: &Key, seed: &SecretSeed) -> Result<Records> {
        if key.method == Method::Clean {
            return Ok(Records::from_sequences(&self.train, &self.options)?);
        }
        let epsilon = Epsilon::try_from(key.epsilon)?;
        let mechanism = match key.neighbours {
            1 => Mechanism::KRr { epsilon },
            neighbours => Mechanism::SetRr { epsilon, neighbours },
        };
        let channel = Channel::new(mechanism, self.domain.clone(), Some(self.table.clone()))?;
        let mut rng = seed.stream(Purpose::Perturbation, 0);
        let received: Vec<Vec<u32>> =
            self.train.iter().map(|record| channel.perturb_tokens(record, &mut rng)).collect();
        let records = Records::from_sequences(&received, &self.options)?;
        let vocab_size = self.options.vocab_size;
        let correction =
            ChannelCorrection::for_mechanism(mechanism, &self.domain, Some(&self.table), vocab_size)?;
        Ok(records.with_channel(Arc::new(correction)))
    }

    fn perplexity(&self, adapter: Option<&Adapter>, records: &Records) -> Result<f64> {
        Ok(evaluate(&self.model, adapter, records, self.setting.threads)?.perplexity)
    }

    /// Least wall time of one step of each cell, in turns, so that whatever else the machine does strikes all of them.
    ///
    /// # Errors
    /// If a step fails.
    pub fn seconds_of_a_step(&self, keys: &[Key]) -> Result<Vec<f64>> {
        const ROUNDS: usize = 20;
        let trainers = keys.iter().map(|key| self.trainer(key, TUNING_SEED, 1e-3));
        let mut trainers = trainers.collect::<Result<Vec<_>>>()?;
        let mut least = vec![f64::INFINITY; keys.len()];
        for _ in 0..ROUNDS {
            for (trainer, least) in trainers.iter_mut().zip(&mut least) {
                let start = now();
                trainer.step()?;
                *least = least.min(start.elapsed().as_secs_f64());
            }
        }
        Ok(least)
    }
}
