use std::sync::Arc;

use kernels::Isa;

use super::*;
use crate::engine::{PackedEngine, PackedModel};
use crate::fixtures::families::goldens;
use crate::gradient::GradientEngine;
use crate::lora::{ALL_LINEAR, LoraConfig};
use crate::records::{Chunk, Record};

/// What the packed model and a thread's buffers really take, for every family and format.
#[test]
fn the_estimate_is_what_a_run_takes() {
    for golden in goldens() {
        for (isa, bf16) in Isa::available().into_iter().flat_map(|isa| [(isa, false), (isa, isa.has_bf16())])
        {
            let format = Format { isa, bf16 };
            for purpose in [Use::Inference, Use::Training] {
                let model = PackedModel::load(&golden.files(), format, purpose, 1).unwrap();
                let estimate = weights(&model.config, format, purpose);
                assert_eq!(model.packed_bytes(), estimate, "{} {format:?}", golden.name);
            }
            let model = Arc::new(PackedModel::load(&golden.files(), format, Use::Training, 1).unwrap());
            let config = model.config.clone();
            let lora =
                LoraConfig { target_modules: vec![ALL_LINEAR.into()], rank: 4, ..LoraConfig::default() };
            let layout = LoraLayout::new(&config, &lora).unwrap();
            let engine = PackedEngine::new(model, layout.clone(), 1.0, 64);
            let tokens: Vec<u32> = (0..24).collect();
            let record = Record::new(vec![Chunk::new(tokens)]);
            engine.add_record_gradient(&record, &mut vec![0.0; layout.parameters()]).unwrap();
            let (found, estimate) = (engine.workspace_bytes(), workspace(&config, &layout, format, 23));
            // A buffer that different stages share was left at the size of the last one.
            let close = (found..found + found / 8).contains(&(estimate + estimate / 100));
            assert!(close, "{} {format:?}: {estimate} estimated, {found} taken", golden.name);
        }
    }
}

/// 4·N·t for the weights, and what attention adds.
#[test]
fn operations_are_those_of_every_weight_and_token() {
    let golden = goldens().into_iter().find(|golden| golden.name == "llama2").unwrap();
    let config = ModelConfig::from_json(&golden.files().config_json).unwrap();
    let options = crate::records::RecordOptions {
        bos_token_id: None,
        eos_token_id: None,
        ..crate::fixtures::options(13, 9)
    };
    let records = Records::from_sequences(&[(0..13).collect()], &options).unwrap();
    let (d, inner) = (config.hidden_size, config.intermediate_size);
    let (q, kv) = (config.query_width(), config.key_value_width());
    let weights =
        config.num_hidden_layers * (d * (q + 2 * kv) + q * d + 3 * d * inner) + d * config.vocab_size;
    let attention = 7 * 12 * 12 * q * config.num_hidden_layers;
    assert_eq!(operations(&config, &records), (4 * 12 * weights + attention) as f64);
}
