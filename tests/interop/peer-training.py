#!/usr/bin/env python3
"""Training steps of the same network in PyTorch and in ours, one after the other, and their ratio.

usage: peer-training.py BENCH_TRAIN_PEER [--threads 2] [--steps 5] [--rounds 3]

BENCH_TRAIN_PEER is the program that `make bench-programs` builds as tests/bench/bench-train-peer; its
source states the shapes. The peer is transformers' Llama with hooks on q_proj and v_proj that add
scale * (x A^T) B^T for every sequence at once (bmm, no copy of A and B for each token), a hypernet
of design L in torch.nn, torch's AdamW (fused) and clipping. Both do the same work for a step:
64 x 64 rows through the base, as many losses, gradients of the hypernet alone, dropout 0.05.
Rounds take turns, so that other load on the machine meets both; the ratio is of the best steps.
Needs torch and transformers. Prints JSON lines. Exit status: 0 ours is at least as fast, 1 it is not,
2 something could not run.
"""
import argparse, json, math, os, subprocess, sys, time

os.environ.setdefault("HF_HUB_OFFLINE", "1")

SEQUENCES, TOKENS, VOCAB, EMBEDDING = 64, 64, 512, 1024
HIDDEN, LAYERS, LATENT, HEAD_IN, RANK, ALPHA = 256, 6, 128, 512, 8, 16
MODULES = ("q_proj", "v_proj")


def make_hypernet(torch):
    nn = torch.nn

    def block(width, out):
        return [nn.Linear(width, 4 * width), nn.SiLU(), nn.Dropout(0.05), nn.Linear(4 * width, out), nn.SiLU()]

    class Hypernet(nn.Module):
        """Text-to-LoRA, design L: one pass for all tasks, layers and modules."""

        def __init__(self):
            super().__init__()
            self.task = nn.Sequential(nn.Linear(EMBEDDING, LATENT // 2), nn.LayerNorm(LATENT // 2))
            self.depth = nn.Sequential(nn.Embedding(LAYERS, LATENT // 4), nn.LayerNorm(LATENT // 4))
            self.kind = nn.Sequential(nn.Embedding(len(MODULES), LATENT // 4), nn.LayerNorm(LATENT // 4))
            self.mixer = nn.Sequential(nn.Dropout(0.05), *block(LATENT, LATENT), nn.Dropout(0.05))
            self.mlp1 = nn.Sequential(nn.LayerNorm(LATENT), *block(LATENT, LATENT), nn.Dropout(0.05))
            self.mlp2 = nn.Sequential(nn.LayerNorm(LATENT), *block(LATENT, LATENT), nn.Dropout(0.05))
            self.mlp3 = nn.Sequential(nn.LayerNorm(LATENT), *block(LATENT, HEAD_IN))
            self.heads = nn.ModuleList(nn.Linear(HEAD_IN, 2 * RANK * HIDDEN) for _ in MODULES)
            for head in self.heads:  # the first adapter changes nothing: B is 0
                nn.init.zeros_(head.weight)
                nn.init.zeros_(head.bias)
                nn.init.uniform_(head.bias.data[:RANK * HIDDEN], -HIDDEN ** -0.5, HIDDEN ** -0.5)

        def forward(self, embeddings):
            n = embeddings.shape[0]
            task = self.task(embeddings)[None, :, None].expand(len(MODULES), n, LAYERS, -1)
            depth = self.depth(torch.arange(LAYERS))[None, None].expand(len(MODULES), n, LAYERS, -1)
            kind = self.kind(torch.arange(len(MODULES)))[:, None, None].expand(-1, n, LAYERS, -1)
            z = self.mixer(torch.cat((task, depth, kind), -1))
            z = z + self.mlp1(z)
            z = z + self.mlp2(z)
            z = self.mlp3(z)
            out = {}
            for i, module in enumerate(MODULES):
                a, bt = self.heads[i](z[i]).view(n, LAYERS, 2, RANK, HIDDEN).unbind(2)
                out[module] = (a, bt)
            return out

    return Hypernet()


def make_step(torch):
    """-> (a function that makes one step and returns its loss, parameters of base and hypernet)"""
    from transformers import LlamaConfig, LlamaForCausalLM

    base = LlamaForCausalLM(LlamaConfig(
        hidden_size=HIDDEN, num_hidden_layers=LAYERS, num_attention_heads=8, num_key_value_heads=8,
        intermediate_size=768, vocab_size=VOCAB, max_position_embeddings=2 * TOKENS,
        tie_word_embeddings=False, use_cache=False, attn_implementation="sdpa")).float()
    base.requires_grad_(False)
    hypernet = make_hypernet(torch)
    adapters, scale = {}, ALPHA / math.sqrt(RANK)

    def hook(module, layer):
        def add(_, inputs, y):
            a, bt = (t[:, layer] for t in adapters[module])
            return torch.baddbmm(y, torch.bmm(inputs[0], a.transpose(1, 2)), bt, alpha=scale)
        return add

    for i, layer in enumerate(base.model.layers):
        for module in MODULES:
            getattr(layer.self_attn, module).register_forward_hook(hook(module, i))
    ids = torch.randint(VOCAB, (SEQUENCES, TOKENS + 1))
    embeddings = torch.randn(SEQUENCES, EMBEDDING)
    optimiser = torch.optim.AdamW(hypernet.parameters(), lr=1e-4, weight_decay=1e-2, fused=True)

    def step():
        optimiser.zero_grad()
        adapters.update(hypernet(embeddings))
        logits = base(input_ids=ids[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, VOCAB), ids[:, 1:].reshape(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(hypernet.parameters(), 1.0)
        optimiser.step()
        return loss.item()

    def count(module):
        return sum(p.numel() for p in module.parameters())

    return step, count(base), count(hypernet)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    try:
        import torch
        torch.set_num_threads(options.threads)
        torch.manual_seed(1)
        step, n_base, n_hypernet = make_step(torch)
    except ImportError as error:
        print(f"peer-training.py: {error}", file=sys.stderr)
        return 2
    theirs, ours = [], []
    first = step()
    step()
    for _ in range(options.rounds):
        for _ in range(options.steps):
            start = time.perf_counter()
            last = step()
            theirs.append(time.perf_counter() - start)
        run = subprocess.run([options.program, str(options.steps), str(options.threads)],
                             capture_output=True, text=True)
        if run.returncode != 0:
            print(f"peer-training.py: {options.program}: {run.stderr.strip()}", file=sys.stderr)
            return 2
        result = json.loads(run.stdout)
        if (result["base_parameters"], result["hypernet_parameters"]) != (n_base, n_hypernet):
            print("peer-training.py: the two networks differ in size", file=sys.stderr)
            return 2
        ours.append(result)
    theirs.sort()
    best = min(r["step_s_best"] for r in ours)
    medians = sorted(r["step_s_median"] for r in ours)
    rows = SEQUENCES * TOKENS
    print(json.dumps({"torch": torch.__version__, "threads": options.threads, "loss_first": round(first, 4),
                      "loss_last": round(last, 4), "step_s_best": round(theirs[0], 3),
                      "step_s_median": round(theirs[len(theirs) // 2], 3),
                      "tokens_per_s_best": round(rows / theirs[0])}))
    print(json.dumps({"t2l": [r["tokens_per_s_best"] for r in ours], "step_s_best": best,
                      "step_s_median": medians[len(medians) // 2], "tokens_per_s_best": round(rows / best)}))
    print(json.dumps({"ours_to_torch_best": round(theirs[0] / best, 2),
                      "ours_to_torch_median": round(theirs[len(theirs) // 2] / medians[len(medians) // 2], 2)}))
    return 0 if best <= theirs[0] else 1


sys.exit(main())
