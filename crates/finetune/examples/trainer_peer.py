"""The peer of `trainer.rs`: the same LoRA training steps by peft, and by peft with Opacus, as one JSON line.

Usage: trainer_peer.py --shape S|M --mode MODE [--attention eager|sdpa] [--batch N] [--length N] [--rank N]
                       [--steps N] [--warmup N] [--threads N] [--avx512]     (versions: ../fixtures/requirements.txt)

Modes:  peft              not private: the reference for speed
        opacus            Opacus' hooks materialise every sample's gradient; flat clipping, Gaussian noise
        opacus-functorch  the same by vmap over the per-sample gradient
        opacus-ew         the same by expanded weights
        opacus-ghost      clipping factors from one backward pass, the clipped sum from another (fast gradient clipping)
Each also with `-bf16` at its end: frozen weights, adapters and activations in bfloat16.

The model has random weights, the batch random tokens of full length; a step is forward, backward, clipping and noise
where the mode is private, and AdamW. Model and batch are made before the clock starts; the first steps are not counted.
The bench measures both `opacus` and `opacus-ew`: in CPU time they were too close to tell apart. `opacus-ghost` computes
the norms in an extra backward pass and was clearly slower with adapters this small. `torch.compile` is off. Adapters of
a bfloat16 model are bfloat16 too.

Poisson sampling is left out, so that every step has exactly `--batch` samples: this flatters the peer.

On processors that are not Intel's, MKL takes a branch of its kernels that does without AVX-512. With `--avx512` its
question for the vendor is answered by a function of ours (built with gcc, preloaded), so that it goes by the
instructions alone; `mkl_branch` in the output says which branch was taken (14 is AVX-512, 2 the other one).
"""

import argparse
import ctypes
import json
import os
import resource
import statistics
import subprocess
import sys
import time
import warnings

import torch
import torch.nn.functional as F
from opacus.grad_sample.utils import wrap_model
from opacus.optimizers import DPOptimizer, DPOptimizerFastGradientClipping
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig
from transformers.utils import logging

SHAPES = {
    "S": dict(
        hidden_size=288, num_hidden_layers=6, num_attention_heads=6, num_key_value_heads=6, intermediate_size=768,
        vocab_size=32000, max_position_embeddings=1024, tie_word_embeddings=False,
    ),
    # SmolLM2-135M
    "M": dict(
        hidden_size=576, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3, intermediate_size=1536,
        vocab_size=49152, max_position_embeddings=8192, tie_word_embeddings=True, rope_theta=100000.0,
    ),
}
BATCH = {"S": 16, "M": 8}
MODES = ["peft", "opacus", "opacus-functorch", "opacus-ew", "opacus-ghost"]
MAX_GRAD_NORM = 1.0
NOISE_MULTIPLIER = 1.0


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", choices=SHAPES, required=True)
    parser.add_argument("--mode", choices=MODES + [f"{mode}-bf16" for mode in MODES], required=True)
    parser.add_argument("--attention", choices=["eager", "sdpa"], default="sdpa")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--avx512", action="store_true")
    given = parser.parse_args()
    given.batch = given.batch or BATCH[given.shape]
    return given


def preload_answer():
    """Starts this program again with MKL's question for the vendor answered by `yes`."""
    library = os.path.join(sys.prefix, "libmkl_vendor.so")
    source = "int mkl_serv_intel_cpu_true(void) { return 1; }"
    compiler = ["gcc", "-shared", "-fPIC", "-O1", "-x", "c", "-", "-o", library]
    subprocess.run(compiler, input=source, text=True, check=True)
    os.execve(sys.executable, [sys.executable] + sys.argv, os.environ | {"LD_PRELOAD": library})


class Logits(torch.nn.Module):
    """A network from token ids to logits with one positional argument: expanded weights know no other."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, tokens):
        return self.network(input_ids=tokens, use_cache=False).logits


def adapted_model(shape, dtype, attention, rank):
    """A frozen model with adapters on q, k, v and o whose B is not zero."""
    model = AutoModelForCausalLM.from_config(LlamaConfig(**SHAPES[shape]), attn_implementation=attention).to(dtype)
    modules = ["q_proj", "k_proj", "v_proj", "o_proj"]
    config = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules=modules, task_type="CAUSAL_LM")
    # By default peft keeps adapters in f32 beside a bf16 model, and then converts every activation there and back.
    model = get_peft_model(model, config, autocast_adapter_dtype=False)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.02)
    return Logits(model).train()


def losses(model, tokens):
    """Each sample's mean next-token loss."""
    # The last position has no next token. Leaving it out by its target spares a copy of all logits.
    targets = F.pad(tokens[:, 1:], (0, 1), value=-100)
    each = F.cross_entropy(model(tokens).flatten(0, 1), targets.flatten(), reduction="none")
    return each.view(len(tokens), -1).sum(1) / (tokens.shape[1] - 1)


def optimizer_of(model):
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.optim.AdamW(trained, lr=1e-3, fused=True)


def plain_step(model, tokens):
    optimizer = optimizer_of(model)

    def step():
        optimizer.zero_grad()
        losses(model, tokens).mean().backward()
        optimizer.step()

    return step


def private_step(model, tokens, mode):
    """Per-sample gradients in memory, then clipping and noise inside of the optimizer's step."""
    model = wrap_model(model, grad_sample_mode=mode, batch_first=True, loss_reduction="mean")
    optimizer = DPOptimizer(
        optimizer_of(model), noise_multiplier=NOISE_MULTIPLIER, max_grad_norm=MAX_GRAD_NORM,
        expected_batch_size=len(tokens), loss_reduction="mean",
    )

    def step():
        optimizer.zero_grad()
        losses(model, tokens).mean().backward()
        optimizer.step()

    return step


def ghost_step(model, tokens):
    """Two backward passes: the first for the norms, the second of the losses weighted by the clipping factors."""
    model = wrap_model(
        model, grad_sample_mode="ghost", batch_first=True, loss_reduction="mean", max_grad_norm=MAX_GRAD_NORM,
        use_ghost_clipping=True,
    )
    optimizer = DPOptimizerFastGradientClipping(
        optimizer_of(model), noise_multiplier=NOISE_MULTIPLIER, max_grad_norm=MAX_GRAD_NORM,
        expected_batch_size=len(tokens), loss_reduction="mean",
    )

    def step():
        optimizer.zero_grad()
        each = losses(model, tokens)
        each.mean().backward(retain_graph=True)
        optimizer.zero_grad()
        weighted = (model.get_clipping_coef() * each).sum()
        model.disable_hooks()
        weighted.backward()
        model.enable_hooks()
        optimizer.step()

    return step


def step_of(mode, model, tokens):
    if mode == "peft":
        return plain_step(model, tokens)
    if mode == "opacus-ghost":
        return ghost_step(model, tokens)
    return private_step(model, tokens, {"opacus": "hooks"}.get(mode, mode.removeprefix("opacus-")))


def mkl_branch():
    """Which branch of its kernels MKL takes; `None` in a build of torch without MKL."""
    library = os.path.join(os.path.dirname(torch.__file__), "lib", "libtorch_cpu.so")
    branch = getattr(ctypes.CDLL(library), "mkl_serv_cbwr_get_auto_branch", None)
    return branch and branch()


def measured(step, warmup, steps):
    """Seconds of each counted step."""
    for _ in range(warmup):
        step()
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return seconds


def main():
    given = arguments()
    if given.avx512 and "LD_PRELOAD" not in os.environ:
        preload_answer()
    warnings.simplefilter("ignore")
    logging.set_verbosity_error()
    torch.manual_seed(1)
    torch.set_num_threads(given.threads)
    bf16 = given.mode.endswith("-bf16")
    model = adapted_model(given.shape, torch.bfloat16 if bf16 else torch.float32, given.attention, given.rank)
    tokens = torch.randint(0, SHAPES[given.shape]["vocab_size"], (given.batch, given.length))
    seconds = measured(step_of(given.mode.removesuffix("-bf16"), model, tokens), given.warmup, given.steps)
    print(json.dumps({
        "program": "peer", "mode": given.mode, "shape": given.shape, "attention": given.attention,
        "batch": given.batch, "length": given.length, "rank": given.rank, "steps": given.steps,
        "threads": given.threads,
        "samples_per_second": {
            "median": round(given.batch / statistics.median(seconds), 3), "best": round(given.batch / min(seconds), 3),
        },
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "torch": torch.__version__, "isa": torch.backends.cpu.get_cpu_capability(), "mkl_branch": mkl_branch(),
    }))


if __name__ == "__main__":
    main()
