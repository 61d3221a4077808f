#!/usr/bin/env python3
"""Holds converted base models against the programs that read them.

    check-converted-models.py T2L GOLDEN [NAME...]

Each model of GOLDEN/models (and tests/golden/models beside it, if given more than once by
--models) becomes a GGUF file and that a directory. The gguf package must know every key and
tensor of the file under its architecture; transformers must load the directory, in which it must
find all weights that it wants and no other, and give the logits that it gives for the original.
Wanted: torch, transformers, safetensors, gguf. Exit status: 0 all fine, 1 not, 77 a package is
absent."""
import argparse
import pathlib
import subprocess
import sys
import tempfile

try:
    import gguf
    import torch
    import transformers
except ImportError as absent:
    print(f"check-converted-models: {absent}", file=sys.stderr)
    sys.exit(77)

TOLERANCE = 2e-4  # f32 on both sides; Gemma's 1 is added to norms and taken off again


def known_keys():
    """Formats of all keys that the gguf package names: '{arch}.block_count', ..."""
    found = set()

    def walk(holder):
        for name, value in vars(holder).items():
            if isinstance(value, str) and not name.startswith("_"):
                found.add(value)
            elif isinstance(value, type):
                walk(value)

    walk(gguf.Keys)
    return found


# Keys that the package writes by other means, and ours: a window of a "llama" file.
OTHER_KEYS = {"tokenizer.chat_template", "tokenizer.huggingface.json"}


def check_names(path):
    reader = gguf.GGUFReader(path)
    arch = reader.fields["general.architecture"].contents()
    kind = next(k for k, name in gguf.MODEL_ARCH_NAMES.items() if name == arch)
    keys = {key.replace("{arch}", arch) for key in known_keys()} | OTHER_KEYS
    faults = [f"key {name}" for name in reader.fields
              if not name.startswith("GGUF.") and name not in keys]
    allowed = {gguf.TENSOR_NAMES[t] for t in gguf.MODEL_TENSORS[kind]}
    for tensor in reader.tensors:
        stem, _, suffix = tensor.name.rpartition(".")
        parts = stem.split(".")
        if parts[0] == "blk":
            parts[1] = "{bid}"
        if ".".join(parts) not in allowed or suffix not in ("weight", "bias"):
            faults.append(f"tensor {tensor.name}")
    return arch, faults


def logits(directory, ids):
    model, told = transformers.AutoModelForCausalLM.from_pretrained(
        directory, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    faults = [f"{what}: {names}" for what, names in told.items() if names and what != "error_msgs"]
    model.eval()
    with torch.no_grad():
        return model(ids[:, :model.config.vocab_size], use_cache=False).logits[0], faults


def check(t2l, source, work):
    print(f"{source.name}: ", end="")
    file, back = work / "model.gguf", work / "back"
    for arguments in ([source, file, "--precision", "f32"], [file, back, "--precision", "f32"]):
        run = subprocess.run([t2l, "convert", *map(str, arguments), "--force", "--quiet"],
                             capture_output=True, text=True)
        if run.returncode != 0:
            if "cannot say this" in run.stderr or "no GGUF form" in run.stderr:
                print("refused by name")
                return True
            print(run.stderr.strip())
            return False
    arch, faults = check_names(file)
    config = transformers.AutoConfig.from_pretrained(back)
    ids = torch.tensor([[(i * 37 + 5) % config.vocab_size for i in range(24)]])
    want, _ = logits(source, ids)
    is_now, told = logits(back, ids)
    worst = (want - is_now).abs().max().item()
    print(f"{arch}, logits differ by {worst:.1e}" + "".join(f"; {f}" for f in faults + told))
    return worst <= TOLERANCE and not faults and not told


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("t2l")
    parser.add_argument("golden", type=pathlib.Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--models", type=pathlib.Path, action="append", default=[])
    arguments = parser.parse_args()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    failed = 0
    for folder in [arguments.golden / "models", *arguments.models]:
        for source in sorted(folder.iterdir()):
            if not (source / "config.json").exists() or \
                    (arguments.names and source.name not in arguments.names):
                continue
            with tempfile.TemporaryDirectory() as work:
                failed += not check(arguments.t2l, source, pathlib.Path(work))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
