#!/usr/bin/env python3
"""Memory and time of commands over many adapters: the same over a tenth of them, and over all.

Usage: many-adapters.py T2L [N]. Makes N (10,000) tiny PEFT adapters in a temporary folder. Figures: wall and processor seconds, and the
largest resident memory, of one process each. What a command keeps for every adapter shows as the difference of the two columns; merge holds
all that it merges.
"""
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RANK, SIZE = 2, 16


def make(directory, seed):
    source = random.Random(seed)
    numbers = struct.pack("<%df" % (2 * RANK * SIZE), *(source.uniform(-1, 1) for _ in range(2 * RANK * SIZE)))
    half = len(numbers) // 2
    header = json.dumps({
        "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight":
            {"dtype": "F32", "shape": [RANK, SIZE], "data_offsets": [0, half]},
        "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight":
            {"dtype": "F32", "shape": [SIZE, RANK], "data_offsets": [half, 2 * half]}}).encode()
    directory.mkdir(parents=True)
    (directory / "adapter_model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + numbers)
    (directory / "adapter_config.json").write_text(json.dumps(
        {"peft_type": "LORA", "r": RANK, "lora_alpha": 4, "target_modules": ["q_proj"], "bias": "none"}))


def run(program, home, *arguments):
    begin = time.monotonic()
    with open(home / "out", "w") as out, open(home / "err", "w") as err:
        child = subprocess.Popen([program, *arguments], stdout=out, stderr=err,
                                 env={**os.environ, "T2L_HOME": str(home), "XDG_CONFIG_HOME": str(home)})
        _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit("t2l %s ended with %d: %s" % (arguments[0], os.waitstatus_to_exitcode(status), (home / "err").read_text()[-400:]))
    return time.monotonic() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def batch(path, folder, n, line):
    path.write_text("".join(line(folder / ("a%05d" % i), i) + "\n" for i in range(n)))
    return "batch", str(path), "--quiet"


def main():
    program, n = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 10000
    os.environ.setdefault("T2L_DATADIR", str(Path(__file__).resolve().parents[2] / "share"))
    with tempfile.TemporaryDirectory() as top:
        top = Path(top)
        for size in (n // 10, n):
            for i in range(size):
                make(top / str(size) / ("a%05d" % i), i)
        results = {}
        for size in (n // 10, n):
            folder, home = top / str(size), top / ("home%d" % size)
            home.mkdir()
            out = home / "files"
            out.mkdir()
            commands = {
                "import --recursive": ("import", "--recursive", str(folder)),
                "import --recursive (again)": ("import", "--recursive", str(folder)),
                "validate 'PATTERN'": ("validate", "--adapter", str(folder / "a*"), "--json"),
                "batch of inspect": batch(home / "inspect", folder, size, lambda a, i: "inspect %s" % a),
                "batch of export": batch(home / "export", folder, size,
                                         lambda a, i: "export --adapter %s --format ggml --output %s/e%d.ggml" % (a, out, i)),
                "batch of convert": batch(home / "convert", folder, size, lambda a, i: "convert %s %s/c%d.safetensors" % (a, out, i)),
                "batch of diff": batch(home / "diff", folder, size, lambda a, i: "diff %s %s" % (a, folder / "a00000")),
                "batch of merge": batch(home / "merge", folder, size,
                                        lambda a, i: "merge --adapters %s %s --merge-strategy ties --output %s/m%d.safetensors"
                                        % (a, folder / "a00000", out, i)),
                "merge 'PATTERN'": ("merge", "--adapters", str(folder / "a*"), "--output", str(out / "all.safetensors")),
            }
            for name, command in commands.items():
                results.setdefault(name, []).append(run(program, home, *command))
        print("%-28s %24s   %24s" % ("", "%d adapters" % (n // 10), "%d adapters" % n))
        for name, (few, many) in results.items():
            print("%-28s %7.1f s %6.1f s %6.1f MiB %7.1f s %6.1f s %6.1f MiB" % (name, *few, *many), flush=True)


main()
