"""Loads an adapter of ours into peft and compares the logits.

Usage: peft_check.py MODEL_DIR ADAPTER_DIR TOKENS.json      (versions: ../fixtures/requirements.txt)

TOKENS.json is `{"tokens": [...], "logits": [[...], ...]}`: token ids, and for each the logits that we computed with the
adapter. Prints the largest difference; fails when it is above 1e-4 times the largest logit, or when the adapter
does not change the model, or has a tensor that peft does not know, or lacks one.
"""

import json
import pathlib
import sys

import torch
from peft import LoraConfig, PeftModel, get_peft_model_state_dict
from safetensors import safe_open
from transformers import AutoModelForCausalLM

TOLERANCE = 1e-4


def logits(model, tokens):
    with torch.no_grad():
        return model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0]


def main():
    folder, adapter, path = (pathlib.Path(argument) for argument in sys.argv[1:4])
    given = json.loads(path.read_text())
    ours = torch.tensor(given["logits"])
    # From the folder as it lies there: nothing may be looked up by the name of the base model.
    config = LoraConfig.from_pretrained(adapter)
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
    base = logits(model, given["tokens"])
    adapted = PeftModel.from_pretrained(model, adapter, config=config).eval()
    theirs = logits(adapted, given["tokens"])

    with safe_open(adapter / "adapter_model.safetensors", "pt") as file:
        different = set(file.keys()) ^ set(get_peft_model_state_dict(adapted))
    assert not different, f"tensors that only one side knows: {sorted(different)}"
    assert ours.shape == theirs.shape, f"{tuple(ours.shape)} logits were given, peft computes {tuple(theirs.shape)}"
    assert not torch.equal(base, theirs), "the adapter changes nothing, so this would show nothing"
    difference = (ours - theirs).abs().max().item()
    bound = TOLERANCE * max(1.0, theirs.abs().max().item())
    print(f"peft: largest difference of a logit {difference:.2e}, allowed {bound:.1e}")
    assert difference <= bound, "peft computes other logits with this adapter"


if __name__ == "__main__":
    main()
