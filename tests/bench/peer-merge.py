#!/usr/bin/env python3
"""What bench-merge measures, done by PEFT's add_weighted_adapter. Usage: peer-merge.py [layers [strategy...]]"""
import resource
import sys
import time

import torch
from peft import LoraConfig, get_peft_model

RANK, WEIGHTS = 16, [0.5, 0.3, 0.2]


class Layer(torch.nn.Module):
    def __init__(self, with_down):
        super().__init__()
        self.q_proj = torch.nn.Linear(4096, 4096, bias=False)
        if with_down:
            self.down_proj = torch.nn.Linear(11008, 4096, bias=False)


class Model(torch.nn.Module):
    def __init__(self, n_layers, with_down):
        super().__init__()
        self.layers = torch.nn.ModuleList(Layer(with_down) for _ in range(n_layers))


def measure(strategy, n_layers, with_down):
    with torch.device("meta"):
        base = Model(n_layers, with_down)
    base = base.to_empty(device="cpu")  # the base's numbers take no part
    names = ["x", "y", "z"]
    config = LoraConfig(r=RANK, lora_alpha=32, target_modules=["q_proj", "down_proj"] if with_down else ["q_proj"])
    model = get_peft_model(base, config, adapter_name=names[0])
    for name in names[1:]:
        model.add_adapter(name, config)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "lora_" in key:
                parameter.uniform_(-0.02, 0.02)
    more = {"density": 0.5} if strategy.startswith(("ties", "magnitude", "dare")) else {}
    n, best = n_layers * (2 if with_down else 1), (1e9, 1e9)
    for trial in range(3):
        wall, cpu = time.monotonic(), time.process_time()
        model.add_weighted_adapter(names, WEIGHTS, "m%d" % trial, combination_type=strategy, **more)
        best = (min(best[0], time.monotonic() - wall), min(best[1], time.process_time() - cpu))
        if best[0] > 2:
            break
    print("%-20s %3d modules  %10.2f ms wall  %10.2f ms cpu a module  peak %d MiB" % (
        strategy, n, best[0] * 1e3 / n, best[1] * 1e3 / n,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024), flush=True)


def main():
    n_layers = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    for strategy in sys.argv[2:] or ["linear", "cat", "ties", "magnitude_prune", "svd", "ties_svd"]:
        forms = "svd" in strategy
        measure(strategy, 1 if forms else n_layers, not forms)


main()
