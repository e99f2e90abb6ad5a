//! Samples per second of private training, on a model of random weights: one line of JSON.
//!
//! `cargo run --release -p finetune --example trainer -- --shape S` ; `cargo xtask bench trainer` runs it beside its peers.
//!
//! Options: `--shape S|M|L`, `--precision f32|bf16`, `--isa auto|avx512-bf16|avx512|avx2|neon|scalar`, `--batch N`,
//! `--length N`, `--rank N`, `--steps N`, `--threads N`. S is a Llama of 15 M parameters, M has the shape of SmolLM2-135M, L that
//! of TinyLlama-1.1B. The adapter is on q, k, v and o.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use dp::{Delta, DpSgdPlan, PlanParameters, PrivacyUnit, SecretSeed};
use finetune::{
    BaseModel, LoraConfig, MemoryEstimate, ModelFiles, Precision, Privacy, RecordOptions, Records, Trainer,
    TrainingConfig,
};
use kernels::Isa;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;

type Failure = Box<dyn std::error::Error>;

/// Hidden size, blocks, query heads, key and value heads, inner size, vocabulary, and whether the head is tied.
type Shape = (usize, usize, usize, usize, usize, usize, bool);

fn shape(name: &str) -> Result<(Shape, usize), Failure> {
    match name {
        "S" => Ok(((288, 6, 6, 6, 768, 32_000, true), 16)),
        "M" => Ok(((576, 30, 9, 3, 1536, 49_152, true), 8)),
        "L" => Ok(((2048, 22, 32, 4, 5632, 32_000, false), 4)),
        other => Err(format!("there is no shape {other}: S, M or L").into()),
    }
}

struct Options(HashMap<String, String>);

impl Options {
    fn read() -> Result<Self, Failure> {
        let all: Vec<String> = std::env::args().skip(1).collect();
        let pairs = all.chunks(2).map(|pair| match pair {
            [name, value] if name.starts_with("--") => Ok((name[2..].to_owned(), value.clone())),
            _ => Err(format!("{pair:?} is not an option with its value").into()),
        });
        pairs.collect::<Result<_, Failure>>().map(Self)
    }

    fn text(&self, name: &str, default: &str) -> String {
        self.0.get(name).cloned().unwrap_or_else(|| default.to_owned())
    }

    fn number(&self, name: &str, default: usize) -> Result<usize, Failure> {
        Ok(self.0.get(name).map_or(Ok(default), |text| text.parse())?)
    }
}

#[allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a program that measures time and prints")]
fn main() -> Result<(), Failure> {
    let options = Options::read()?;
    let name = options.text("shape", "S");
    let (shape, default_batch) = shape(&name)?;
    let (batch, length) = (options.number("batch", default_batch)?, options.number("length", 128)?);
    let (rank, steps) = (options.number("rank", 8)?, options.number("steps", 7)?);
    let threads = options.number("threads", std::thread::available_parallelism()?.get())?;
    let precision = match options.text("precision", "f32").as_str() {
        "f32" => Precision::F32,
        "bf16" => Precision::Bf16,
        other => return Err(format!("there is no precision {other}").into()),
    };
    match options.text("isa", "auto").as_str() {
        "auto" => {}
        isa => Isa::named(isa).ok_or(format!("this processor has no {isa}"))?.prefer(),
    }
    let isa = Isa::detect();
    let bf16 = precision == Precision::Bf16 && isa.has_bf16();

    let start = Instant::now();
    let (files, parameters) = random_model(shape)?;
    let made = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let model = Arc::new(BaseModel::load(&files)?);
    drop(files);
    let vocabulary = model.config().vocab_size as u32;
    let sequences: Vec<Vec<u32>> = (0..batch as u32)
        .map(|record| (0..=length as u32).map(|i| (record * 7919 + i * 104_729) % vocabulary).collect())
        .collect();
    let record_options = RecordOptions {
        bos_token_id: None,
        eos_token_id: None,
        ..RecordOptions::for_model(model.config(), PrivacyUnit::Line, length + 1, 1)
    };
    let records = Records::from_sequences(&sequences, &record_options)?;
    // A batch of all records, at a sampling rate of 1: every step has exactly `batch` samples.
    let plan = DpSgdPlan::with_noise_multiplier(
        PlanParameters {
            records: batch,
            expected_batch_size: batch,
            steps: steps as u64 + 1,
            max_grad_norm: 1.0,
            delta: Delta::try_from(1e-5)?,
            unit: PrivacyUnit::Line,
            loss_noise_multiplier: None,
            accountant: dp::Accountant::Rdp,
        },
        1.0,
    )?;
    let lora = LoraConfig { rank, alpha: 2.0 * rank as f64, ..LoraConfig::default() };
    let config = TrainingConfig {
        lora,
        precision,
        threads,
        max_length: length + 1,
        ..TrainingConfig::new(Privacy::DpSgd(plan))
    };
    let estimate = MemoryEstimate::of(model.config(), &config)?;
    let mut trainer = Trainer::new(model, records, config, SecretSeed::from_bytes([0; 32]))?;
    let loaded = start.elapsed().as_secs_f64();
    trainer.step()?; // the first step also touches all memory for the first time
    let first_step = start.elapsed().as_secs_f64();
    let mut seconds: Vec<f64> = (0..steps)
        .map(|_| {
            let start = Instant::now();
            trainer.step().map(|()| start.elapsed().as_secs_f64())
        })
        .collect::<Result<_, _>>()?;
    seconds.sort_by(f64::total_cmp);
    let rate = |seconds: f64| batch as f64 / seconds;
    let (median, best) = (rate(seconds[seconds.len() / 2]), rate(seconds[0]));
    // Two operations for each weight and token on the way there, two on the way back.
    let gflops = 4.0 * parameters as f64 * length as f64 * median / 1e9;
    let peak = kernels::peak(isa, bf16, threads);
    let line = json!({
        "mode": "ours", "shape": name, "precision": if bf16 { "bf16" } else { "f32" }, "isa": isa.name(),
        "batch": batch, "length": length, "rank": rank, "threads": threads,
        "samples_per_second": {"median": median, "best": best}, "peak_rss_mb": peak_rss_mb()?,
        "estimated_mb": estimate.total() as f64 / f64::from(1 << 20),
        "gflops": gflops, "peak_gflops": peak, "share_of_peak": gflops / peak,
        "seconds": {"make_model": made, "load_and_pack": loaded, "until_first_step": first_step},
    });
    println!("{line}");
    Ok(())
}

/// A Llama of random weights in bf16, as files, and the number of weights that a token is multiplied with.
fn random_model(
    (hidden, layers, heads, kv, inner, vocabulary, tied): Shape,
) -> Result<(ModelFiles, usize), Failure> {
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": vocabulary,
        "hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers,
        "num_attention_heads": heads, "num_key_value_heads": kv, "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": tied,
    });
    let (query, key) = (hidden, hidden / heads * kv);
    let mut tensors = vec![("model.embed_tokens.weight".to_owned(), vec![vocabulary, hidden])];
    for layer in 0..layers {
        let linear = [
            ("self_attn.q_proj", query, hidden),
            ("self_attn.k_proj", key, hidden),
            ("self_attn.v_proj", key, hidden),
            ("self_attn.o_proj", hidden, query),
            ("mlp.gate_proj", inner, hidden),
            ("mlp.up_proj", inner, hidden),
            ("mlp.down_proj", hidden, inner),
        ];
        let path = |part: &str| format!("model.layers.{layer}.{part}.weight");
        tensors.extend(linear.map(|(part, output, input)| (path(part), vec![output, input])));
        tensors
            .extend(["input_layernorm", "post_attention_layernorm"].map(|part| (path(part), vec![hidden])));
    }
    tensors.push(("model.norm.weight".to_owned(), vec![hidden]));
    if !tied {
        tensors.push(("lm_head.weight".to_owned(), vec![vocabulary, hidden]));
    }
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32 / (1u32 << 23) as f32 - 1.0) * 0.034
    };
    let data: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .into_iter()
        .map(|(name, shape)| {
            let count = shape.iter().product();
            let offset = if shape.len() == 1 { 1.0 } else { 0.0 };
            let bytes = (0..count).flat_map(|_| ((((next() + offset).to_bits()) >> 16) as u16).to_le_bytes());
            let bytes = bytes.collect();
            (name, shape, bytes)
        })
        .collect();
    let embeddings = if tied { 0 } else { vocabulary * hidden };
    let weights = data.iter().filter(|(_, shape, _)| shape.len() == 2);
    let parameters = weights.map(|(_, shape, _)| shape.iter().product::<usize>()).sum::<usize>() - embeddings;
    let views = data
        .iter()
        .map(|(name, shape, bytes)| Ok((name.as_str(), TensorView::new(Dtype::BF16, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    // Through a file, as a model is read: its pages are not the process's own.
    let folder = std::env::temp_dir().join(format!("trainer-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("config.json"), config.to_string())?;
    std::fs::write(folder.join("tokenizer.json"), "{}")?;
    std::fs::write(folder.join("model.safetensors"), safetensors::serialize(views, None)?)?;
    let files = ModelFiles::from_dir(&folder);
    std::fs::remove_dir_all(&folder)?;
    Ok((files?, parameters))
}

/// The most memory that this process has held, without what making the model took.
fn peak_rss_mb() -> Result<f64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<f64>()? / 1024.0)
}
