#!/usr/bin/env python3
"""Rewrite the reference's hypernet checkpoints as checkpoints of this program, for the tests.

usage: make-hypernet-goldens.py GOLDEN_HYPERNET_DIR TARGET_DIR

For each case TARGET_DIR/<case>/ gets
  weights.safetensors  the trained parameters of hypermod.pt (without AB_offset and the reconstruction statistics) under the reference's names, with the metadata of our format;
                       modules in the order of the heads.* keys, the only one that belongs to the weights
  golden.safetensors   task_emb [n, d], and what the heads give: A.<module> [n, layers, r, in], B.<module>
                       [n, layers, out, r], that is the reference's values less AB_offset where it has one
  golden.json          a copy: sizes and max_abs_value

Needs torch and safetensors. Written from the format's description in engine/hypernet/checkpoint.c, not by it.
"""
import json
import os
import shutil
import sys

import torch
from safetensors.torch import load_file, save_file

CASES = ("L_sft", "M_sft", "S_sft_rope", "S_sft_learnpos", "Lrow_sft_rope", "Lrow_sft_learnpos",
         "L_sft_all7_llama", "M_sft_all7_mistral")
UNUSED = ("AB_offset.", "mean_recon_target.", "std_recon_target.")


def config_of(golden, state):
    flags = golden["flags"]
    order = [key.split(".")[1] for key in state if key.startswith("heads.") and key.endswith(".weight")]
    assert order == golden["module_order"]
    return {
        "variant": "S" if flags["shared"] and flags["autoreg"] else "M" if flags["shared"] else "L",
        "shared_head": flags["shared"],
        "rowwise": flags["autoreg"],
        "learned_positions": flags["learnpos"],
        "embedding_size": golden["task_emb_size"],
        "latent_size": golden["latent_size"],
        "head_in_size": golden["head_in_size"],
        "n_layers": golden["base_config"]["num_hidden_layers"],
        "rank": golden["r"],
        "lora_alpha": golden["lora_alpha"],
        "use_rslora": flags["rslora"],
        "head_bias": f"heads.{order[0]}.bias" in state,
        "dropout": 0.05,
        "modules": [{"name": name, "in": golden["in_features"][name], "out": golden["out_features"][name]}
                    for name in order],
    }


def convert(source, target):
    golden = json.load(open(os.path.join(source, "golden.json")))
    state = torch.load(os.path.join(source, "hypermod.pt"), map_location="cpu", weights_only=True)
    weights = {key: value.contiguous() for key, value in state.items() if not key.startswith(UNUSED)}
    os.makedirs(target, exist_ok=True)
    save_file(weights, os.path.join(target, "weights.safetensors"), metadata={
        "t2l.kind": "hypernet",
        "t2l.version": "1",
        "t2l.config": json.dumps(config_of(golden, state)),
        "t2l.name": golden["name"],
        "t2l.base": golden["base"],
        "t2l.encoder": "random",
    })
    values = load_file(os.path.join(source, "golden.safetensors"))
    expected = {"task_emb": values["task_emb"]}
    for name in golden["module_order"]:
        for part in "AB":
            offset = state[f"AB_offset.{part}.{name}"]
            expected[f"{part}.{name}"] = (values[f"{part}.{name}"].double() - offset.double()).float()
    save_file(expected, os.path.join(target, "golden.safetensors"))
    shutil.copyfile(os.path.join(source, "golden.json"), os.path.join(target, "golden.json"))
    os.chmod(os.path.join(target, "golden.json"), 0o644)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    for case in CASES:
        convert(os.path.join(sys.argv[1], case), os.path.join(sys.argv[2], case))


main()
