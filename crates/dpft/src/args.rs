//! The words of the command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Private fine-tuning of language models: perturb text on your own machine, train a LoRA adapter under DP-SGD.
#[derive(Debug, Parser)]
#[command(name = "dpft", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the whole service on this machine: page, API, storage, queue and workers.
    Serve(ServeArgs),
    /// Run one whole job on the bundled text, from perturbation to the adapter.
    Demo(DemoArgs),
    /// Perturb text from stdin under local differential privacy.
    Perturb(PerturbArgs),
    /// Learn word vectors from text and write a vocabulary with its tables.
    Word2vec(Word2vecArgs),
    /// Say what ε a DP-SGD run spends.
    Account(AccountArgs),
    /// Find the noise multiplier, sampling rate or number of steps that meets a target ε.
    Calibrate(CalibrateArgs),
    /// Train a LoRA adapter on this machine.
    Finetune(Box<FinetuneArgs>),
    /// Measure loss and perplexity on a text.
    Evaluate(EvaluateArgs),
    /// Write text with a model.
    Generate(GenerateArgs),
    /// Fold an adapter into its base model: a plain model folder.
    Merge(MergeArgs),
    /// Add or list base models.
    #[command(subcommand)]
    Model(ModelCommand),
    /// Make an API key for a tenant.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Upload a file to a running service and start a job.
    Submit(SubmitArgs),
    /// Show a job of a running service.
    Status(JobArgs),
    /// Download the adapter of a finished job.
    Download(DownloadArgs),
    /// Delete a job with all that is left of it, running or not, and print the receipt.
    Delete(JobArgs),
    /// Put a job back to work that failed for a reason on the service's side (operators).
    Redrive(RedriveArgs),
    /// Look after jobs that nobody works on and objects that nothing refers to (operators; the service does so by itself once an hour).
    Sweep(OperatorArgs),
    /// Check a certificate offline: signature, ε, and the files it speaks of.
    Verify(VerifyArgs),
    /// Show what jobs on an uploaded file have spent of its privacy budget.
    Budget(BudgetArgs),
    /// Work for the service that started this process and says on standard input what to do.
    #[command(hide = true)]
    Worker,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Port of the page and the API; storage listens on the next one.
    #[arg(long, default_value_t = 8787)]
    pub(crate) port: u16,
    /// Where files, jobs and keys are kept.
    #[arg(long, default_value = "dpft-data")]
    pub(crate) data_dir: PathBuf,
    /// Folder of model folders to offer.
    #[arg(long, default_value = "models")]
    pub(crate) models: PathBuf,
    /// Folder of the built page; without it only the API is served.
    #[arg(long, default_value = "web-client/site")]
    pub(crate) site: PathBuf,
    /// Threads that train, shared by all workers; default all cores.
    #[arg(long)]
    pub(crate) threads: Option<usize>,
    /// Jobs that are worked on at once, each by a process of its own; one is worked on in this process.
    #[arg(long, default_value_t = 1)]
    pub(crate) workers: usize,
    /// Seconds of one training slice.
    #[arg(long, default_value_t = 60)]
    pub(crate) slice_seconds: u64,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Where the adapter and everything else of the run is written.
    #[arg(long, default_value = "demo-out")]
    pub(crate) out: PathBuf,
    /// Text to perturb and train on.
    #[arg(long, default_value = "examples/workshop-notes.txt")]
    pub(crate) data: PathBuf,
    /// Folder of model folders; the first model is used.
    #[arg(long, default_value = "models")]
    pub(crate) models: PathBuf,
    /// ε of the perturbation, per token.
    #[arg(long, default_value_t = 10.0)]
    pub(crate) token_epsilon: f64,
    /// ε of training, for the whole job.
    #[arg(long, default_value_t = 8.0)]
    pub(crate) epsilon: f64,
    /// Expected passes over the records.
    #[arg(long, default_value_t = 3.0)]
    pub(crate) epochs: f64,
}

/// A perturbation mechanism that the command line offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MechanismName {
    /// Two-level randomised response over each token's neighbour set.
    SetRr,
    /// Randomised response over the whole vocabulary.
    KRr,
    /// The nearer a token's vector, the likelier.
    Exponential,
    /// Gaussian noise on the token's vector, then the nearest token.
    Gaussian,
    /// Laplace noise on the token's vector, then the nearest token.
    Laplace,
}

/// Where vectors are brought before noise is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RegionName {
    /// L2 norm at most 1: the least noise for an ε.
    UnitBall,
    /// Each coordinate in [−1, 1]: the original service's choice.
    Box,
}

/// What `perturb` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// The binary file that the service and `finetune` take: manifest and token ids.
    Container,
    /// The perturbed text, to look at; JSON records keep their shape. Training on it would lose the token boundaries.
    Text,
    /// One JSON object a line, with the token ids, or the text of perturbed words.
    Jsonl,
}

/// Unit of privacy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum UnitName {
    /// Each line is a record.
    Line,
    /// Records are separated by blank lines.
    Paragraph,
    /// Each line is a JSON object with the record's text.
    JsonRecord,
}

#[derive(Debug, Args)]
pub(crate) struct PerturbArgs {
    /// How to perturb.
    #[arg(long, value_enum, default_value_t = MechanismName::SetRr)]
    pub(crate) mechanism: MechanismName,
    /// ε per token: pure ε-LDP, but for gaussian, where it is at `--delta`.
    #[arg(long, required_unless_present = "sigma")]
    pub(crate) epsilon: Option<f64>,
    /// Standard deviation of gaussian's noise on each coordinate, in place of ε.
    #[arg(long, conflicts_with = "epsilon")]
    pub(crate) sigma: Option<f64>,
    /// δ of one token, for gaussian.
    #[arg(long, default_value_t = 1e-5)]
    pub(crate) delta: f64,
    /// Where gaussian and laplace bring vectors before the noise.
    #[arg(long, value_enum, default_value_t = RegionName::UnitBall)]
    pub(crate) region: RegionName,
    /// Size of the neighbour sets of set-rr; default the one that tells a reader most at this ε (mutual information).
    #[arg(long)]
    pub(crate) neighbours: Option<u32>,
    /// Model whose tokens are perturbed, and whose guesses `--report` tries.
    #[arg(long, default_value = "models/demo-llama-4m")]
    pub(crate) model: PathBuf,
    /// Perturb words in place of tokens: folder of a vocabulary with its tables, as `word2vec` writes it (`tables/english` is shipped).
    #[arg(long)]
    pub(crate) vocabulary: Option<PathBuf>,
    /// Say what the setting means for this text, try attacks on it, and write nothing.
    #[arg(long)]
    pub(crate) report: bool,
    /// With `--report`: print JSON.
    #[arg(long, requires = "report")]
    pub(crate) json: bool,
    /// What a record is.
    #[arg(long, value_enum, default_value_t = UnitName::Line)]
    pub(crate) unit: UnitName,
    /// What to write.
    #[arg(long, value_enum, default_value_t = OutputFormat::Container)]
    pub(crate) format: OutputFormat,
    /// Also write the channel manifest here.
    #[arg(long)]
    pub(crate) manifest: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Word2vecArgs {
    /// Text, plain or gzipped. It must be public: the vocabulary and its vectors tell what it says.
    #[arg(long)]
    pub(crate) corpus: PathBuf,
    /// Folder to write: vocabulary.bin, embedding.bin and neighbours.bin.
    #[arg(long)]
    pub(crate) out: PathBuf,
    /// Coordinates of a vector.
    #[arg(long, default_value_t = 50)]
    pub(crate) dimension: usize,
    /// Passes over the text.
    #[arg(long, default_value_t = 5)]
    pub(crate) epochs: u32,
    /// Words on each side that a word is learned from, at most.
    #[arg(long, default_value_t = 5)]
    pub(crate) window: u32,
    /// Negative samples of each word.
    #[arg(long, default_value_t = 8)]
    pub(crate) negative: u32,
    /// Rarer words are left out.
    #[arg(long, default_value_t = 3)]
    pub(crate) min_count: u64,
    /// Words that are kept, the most frequent ones.
    #[arg(long, default_value_t = 100_000)]
    pub(crate) vocabulary: usize,
    /// Where vectors are kept while they learn: unit-ball makes vector noise weaker at one ε.
    #[arg(long, value_enum, default_value_t = RegionName::Box)]
    pub(crate) region: RegionName,
    /// Columns of the neighbour table.
    #[arg(long, default_value_t = 16)]
    pub(crate) neighbours: u32,
    /// Threads; default all cores. One thread gives the same vectors every time.
    #[arg(long)]
    pub(crate) threads: Option<usize>,
    /// Seed of everything random.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// An accountant that the command line offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AccountantName {
    /// Privacy loss distributions: exact up to the grid.
    Pld,
    /// Rényi differential privacy: an upper bound, some per cent higher.
    Rdp,
}

#[derive(Debug, Args)]
pub(crate) struct AccountArgs {
    /// Standard deviation of the noise over the clipping norm.
    #[arg(long)]
    pub(crate) noise_multiplier: f64,
    /// Chance that a record is in a step's batch (Poisson sampling).
    #[arg(long)]
    pub(crate) sampling_rate: f64,
    /// Number of steps.
    #[arg(long)]
    pub(crate) steps: u64,
    /// δ.
    #[arg(long)]
    pub(crate) delta: f64,
    /// How to compose the steps.
    #[arg(long, value_enum, default_value_t = AccountantName::Pld)]
    pub(crate) accountant: AccountantName,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Two of noise multiplier, sampling rate and steps are given; the third is found.
#[derive(Debug, Args)]
pub(crate) struct CalibrateArgs {
    /// Target ε.
    #[arg(long)]
    pub(crate) epsilon: f64,
    /// δ.
    #[arg(long)]
    pub(crate) delta: f64,
    /// Standard deviation of the noise over the clipping norm; leave it out to find the least.
    #[arg(long)]
    pub(crate) noise_multiplier: Option<f64>,
    /// Chance that a record is in a step's batch; leave it out to find the largest.
    #[arg(long)]
    pub(crate) sampling_rate: Option<f64>,
    /// Number of steps; leave it out to find the largest.
    #[arg(long)]
    pub(crate) steps: Option<u64>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// How training allows for the channel that perturbed tokens passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CorrectionName {
    /// Take the perturbed tokens for the owner's.
    Off,
    /// Corrected loss, perturbed tokens as context.
    Received,
    /// Corrected loss, posterior means as context.
    PosteriorMean,
    /// Corrected loss, posterior means by the model's own expectation as context.
    Denoised,
}

/// How a record's gradient is brought within the clipping norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClippingName {
    /// Longer gradients are shortened to the norm.
    Flat,
    /// Every gradient is brought to nearly the norm (AUTO-S): the norm needs no tuning.
    Auto,
    /// Each transformer block's part is shortened to its share of the norm.
    PerLayer,
}

/// What turns a step's gradient into an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OptimizerChoice {
    /// Adam with decoupled weight decay.
    Adamw,
    /// Stochastic gradient descent with momentum.
    Sgd,
}

/// Course of the learning rate after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScheduleName {
    /// Stays at the peak.
    Constant,
    /// Falls on a line towards 0.
    Linear,
    /// Falls on half a cosine towards 0.
    Cosine,
}

/// Arithmetic of the frozen model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PrecisionName {
    /// 32-bit floating point.
    F32,
    /// bfloat16 products, added up in f32.
    Bf16,
}

#[derive(Debug, Args)]
pub(crate) struct FinetuneArgs {
    /// Base model folder.
    #[arg(long)]
    pub(crate) model: PathBuf,
    /// Text, JSONL or a file that `perturb` wrote.
    #[arg(long)]
    pub(crate) data: PathBuf,
    /// Where to write the adapter folder.
    #[arg(long, required_unless_present = "dry_run")]
    pub(crate) out: Option<PathBuf>,
    /// Adapter folder to go on from; rank, alpha and target modules are its own unless they are given.
    #[arg(long)]
    pub(crate) adapter: Option<PathBuf>,
    /// Say what the run would be (records, tokens, steps, ε) and train nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Target ε of training.
    #[arg(long, default_value_t = 8.0)]
    pub(crate) epsilon: f64,
    /// δ; default by the number of records.
    #[arg(long)]
    pub(crate) delta: Option<f64>,
    /// LoRA rank; default 8.
    #[arg(long)]
    pub(crate) rank: Option<u32>,
    /// LoRA alpha; default twice the rank.
    #[arg(long)]
    pub(crate) alpha: Option<f64>,
    /// Layers that get an adapter, by PEFT's names with commas between them, or all-linear, or attention, which is the default.
    #[arg(long, value_delimiter = ',')]
    pub(crate) target_modules: Option<Vec<String>>,
    /// Scale updates by alpha/√rank in place of alpha/rank (rank-stabilised LoRA).
    #[arg(long)]
    pub(crate) rslora: bool,
    /// Expected batch size.
    #[arg(long, default_value_t = 64)]
    pub(crate) batch_size: u32,
    /// Number of steps.
    #[arg(long, conflicts_with = "epochs")]
    pub(crate) steps: Option<u64>,
    /// Expected passes over the records; default 3.
    #[arg(long)]
    pub(crate) epochs: Option<f64>,
    /// Peak learning rate.
    #[arg(long, default_value_t = 2e-3)]
    pub(crate) learning_rate: f64,
    /// Steps in which the learning rate rises to its peak.
    #[arg(long, default_value_t = 0)]
    pub(crate) warmup_steps: u64,
    /// Course of the learning rate after that.
    #[arg(long, value_enum, default_value_t = ScheduleName::Linear)]
    pub(crate) schedule: ScheduleName,
    /// What turns a step's gradient into an update.
    #[arg(long, value_enum, default_value_t = OptimizerChoice::Adamw)]
    pub(crate) optimizer: OptimizerChoice,
    /// Momentum of sgd; default 0.9.
    #[arg(long)]
    pub(crate) momentum: Option<f64>,
    /// Decoupled weight decay.
    #[arg(long, default_value_t = 0.0)]
    pub(crate) weight_decay: f64,
    /// Clipping norm.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) max_grad_norm: f64,
    /// How a gradient is brought within it; the guarantee is the same under each.
    #[arg(long, value_enum, default_value_t = ClippingName::Flat)]
    pub(crate) clipping: ClippingName,
    /// Arithmetic of the frozen model.
    #[arg(long, value_enum, default_value_t = PrecisionName::F32)]
    pub(crate) precision: PrecisionName,
    /// Tokens of a sequence.
    #[arg(long, default_value_t = 128)]
    pub(crate) max_length: u32,
    /// Unit of privacy; by default json-record where the data begins with a JSON object, else line.
    #[arg(long, value_enum)]
    pub(crate) unit: Option<UnitName>,
    /// Jinja file that writes chats, in place of the model's own template (of JSON records).
    #[arg(long)]
    pub(crate) chat_template: Option<PathBuf>,
    /// Threads; default all cores.
    #[arg(long)]
    pub(crate) threads: Option<usize>,
    /// File with the key to sign the certificate with, 64 hexadecimal digits; without it the certificate is unsigned.
    #[arg(long)]
    pub(crate) signing_key: Option<PathBuf>,
    /// How to allow for the channel of perturbed tokens; default what was found best (docs/channel-aware-training.md).
    #[arg(long, value_enum)]
    pub(crate) correction: Option<CorrectionName>,
    /// Train without noise or clipping: no privacy at all, for comparison.
    #[arg(long)]
    pub(crate) non_private: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EvaluateArgs {
    /// Model folder.
    #[arg(long)]
    pub(crate) model: PathBuf,
    /// Adapter folder.
    #[arg(long)]
    pub(crate) adapter: Option<PathBuf>,
    /// Text to measure on.
    #[arg(long)]
    pub(crate) data: PathBuf,
    /// What a record is; by default json-record where the data begins with a JSON object, else line.
    #[arg(long, value_enum)]
    pub(crate) unit: Option<UnitName>,
    /// Jinja file that writes chats, in place of the model's own template (of JSON records); the answers are measured.
    #[arg(long)]
    pub(crate) chat_template: Option<PathBuf>,
    /// Tokens of a sequence.
    #[arg(long, default_value_t = 128)]
    pub(crate) max_length: u32,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// Model folder.
    #[arg(long)]
    pub(crate) model: PathBuf,
    /// Adapter folder.
    #[arg(long)]
    pub(crate) adapter: Option<PathBuf>,
    /// Text to go on from.
    #[arg(long)]
    pub(crate) prompt: String,
    /// Tokens to write, at most.
    #[arg(long, default_value_t = 64)]
    pub(crate) max_tokens: usize,
    /// 0 always takes the likeliest token; 1 samples as the model says.
    #[arg(long, default_value_t = 0.7)]
    pub(crate) temperature: f64,
    /// Seed of the sampling.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct MergeArgs {
    /// Base model folder.
    #[arg(long)]
    pub(crate) model: PathBuf,
    /// Adapter folder.
    #[arg(long)]
    pub(crate) adapter: PathBuf,
    /// Folder to write.
    #[arg(long)]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Offer a model: a folder, or a name on the Hugging Face hub.
    Add {
        /// A folder with config.json, safetensors and tokenizer.json, or a hub name such as HuggingFaceTB/SmolLM2-135M.
        source: String,
        /// Name to offer it under; default the last part of `source`.
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        target: Target,
    },
    /// List what is offered.
    List {
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key and print it, once; only its hash is stored.
    Create {
        /// Whose key: lower-case letters, digits and hyphens. A tenant may have several.
        #[arg(long)]
        tenant: String,
        /// Days after which the key ends by itself; without it, it never does.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(1..=36_500))]
        expires_in: Option<u64>,
        #[command(flatten)]
        target: Target,
    },
    /// List all keys: the first digits of the hash, tenant, created, expires, revoked.
    List {
        #[command(flatten)]
        target: Target,
    },
    /// Revoke a key for good; the service refuses it within a minute.
    Revoke {
        /// The first digits of the key's hash, as `key list` shows them.
        hash: String,
        #[command(flatten)]
        target: Target,
    },
}

/// Which service: the one on this machine, or one on AWS by its files bucket.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// Data folder of a service on this machine.
    #[arg(long, default_value = "dpft-data")]
    pub(crate) data_dir: PathBuf,
    /// Files bucket of a service on AWS (credentials as for the AWS command line).
    #[arg(long, conflicts_with = "data_dir")]
    pub(crate) bucket: Option<String>,
}

/// A service and its queue.
#[derive(Debug, Args)]
pub(crate) struct OperatorArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Queue of a service on AWS: the stack's output QueueUrl. A service on this machine asks for every unfinished job when it starts.
    #[arg(long, requires = "bucket")]
    pub(crate) queue_url: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RedriveArgs {
    /// The job, ftjob-….
    pub(crate) job: String,
    /// Whose job it is.
    #[arg(long)]
    pub(crate) tenant: String,
    #[command(flatten)]
    pub(crate) operator: OperatorArgs,
}

/// How to reach a running service. Its `Debug` does not show the key.
#[derive(Args)]
pub(crate) struct Remote {
    /// Address of the API.
    #[arg(long, default_value = "http://127.0.0.1:8787/v1")]
    pub(crate) url: String,
    /// API key; the environment variable keeps it out of the shell's history.
    #[arg(long, env = "DPFT_API_KEY", hide_env_values = true)]
    pub(crate) api_key: String,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").field("url", &self.url).finish_non_exhaustive()
    }
}

#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    #[command(flatten)]
    pub(crate) remote: Remote,
    /// File that `perturb` wrote (or text, which then leaves this machine as it is).
    #[arg(long)]
    pub(crate) data: PathBuf,
    /// Base model, by the service's name of it.
    #[arg(long)]
    pub(crate) model: String,
    /// Settings of the method as JSON, for example '{"epsilon": 4, "epochs": 2}'.
    #[arg(long, default_value = "{}")]
    pub(crate) settings: String,
    /// Follow the job until it ends.
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct JobArgs {
    #[command(flatten)]
    pub(crate) remote: Remote,
    /// Name of the job.
    pub(crate) job: String,
}

#[derive(Debug, Args)]
pub(crate) struct DownloadArgs {
    #[command(flatten)]
    pub(crate) remote: Remote,
    /// Name of the job.
    pub(crate) job: String,
    /// Folder to write.
    #[arg(long)]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The adapter's privacy.json; the files beside it are checked too.
    pub(crate) certificate: PathBuf,
    /// Key that must have signed it (GET /v1/privacy/key of the service), 64 hexadecimal digits.
    #[arg(long)]
    pub(crate) public_key: Option<String>,
    /// Also check that this is the base model's folder.
    #[arg(long)]
    pub(crate) model: Option<PathBuf>,
    /// Also check that this is the training file.
    #[arg(long)]
    pub(crate) data: Option<PathBuf>,
    /// Do not ask for a signature.
    #[arg(long)]
    pub(crate) allow_unsigned: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BudgetArgs {
    #[command(flatten)]
    pub(crate) remote: Remote,
    /// Name of the file.
    pub(crate) file: String,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
