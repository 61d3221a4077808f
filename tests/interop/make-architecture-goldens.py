"""Makes tests/golden/models/{mistral-nemo,qwen3-moe,phi-head-norms,qwen1}: tiny random models and what they compute.

    python3 make-architecture-goldens.py OUTPUT

All but the last come from transformers (with peft for the adapter), in float32 on the weights as
stored, one sequence at a time, without a cache. Qwen 1 is not part of transformers: its numbers come
from the oracle below, written from the published modelling code (fused c_attn with bias, RMSNorm,
w1 * silu(w2), rotary halves, untied head) in float64.
"""

import json
import math
import os
import sys

import numpy as np
import torch
from safetensors.torch import save_file

torch.set_num_threads(1)

VOCAB = 96
N_GREEDY = 8


def sequences(seed):
    draw = np.random.default_rng(seed)
    return {name: torch.tensor(draw.integers(5, VOCAB, n)) for name, n in (("a", 24), ("b", 11), ("c", 1))}


def widen(model):
    """Weights rounded to bfloat16, computed with in float32."""
    for parameter in model.parameters():
        parameter.data = parameter.data.to(torch.bfloat16).to(torch.float32)


def spread(model, seed):
    """Larger weights than training starts with, so that every part shows in the logits."""
    torch.manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "norm" in name:
            parameter.data = 1 + 0.2 * torch.randn_like(parameter)
        elif "embed" in name:
            parameter.data = torch.randn_like(parameter)
        else:
            parameter.data = torch.randn_like(parameter) * 1.2 / math.sqrt(parameter.shape[-1])


def golden(logits_of, hidden_of, out):
    """tokens, logits, greedy continuations, and the states of sequence a."""
    result = {}
    for name, tokens in sequences(7).items():
        result["tokens_" + name] = tokens
        result["logits_" + name] = logits_of(tokens)
        if name == "c":
            continue
        now = tokens
        for _ in range(N_GREEDY):
            now = torch.cat([now, logits_of(now)[-1].argmax().reshape(1)])
        result["greedy_" + name] = now[len(tokens):]
    if hidden_of is not None:
        states = hidden_of(result["tokens_a"])
        for i, state in enumerate(states[:-1]):
            result["hidden_a_%d" % i] = state
        result["hidden_a_norm"] = states[-1]
    save_file({k: v.contiguous() for k, v in result.items()}, out)


@torch.no_grad()
def from_transformers(out, config, seed, targets):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    config._attn_implementation = "eager"
    model = AutoModelForCausalLM.from_config(config).float().eval()
    spread(model, seed)
    widen(model)
    os.makedirs(out, exist_ok=True)
    model.to(torch.bfloat16).save_pretrained(out)
    # Not the same model back in float32: its rotary frequencies have been rounded as well.
    model = AutoModelForCausalLM.from_pretrained(
        out, torch_dtype=torch.float32, attn_implementation="eager").eval()
    if os.path.exists(os.path.join(out, "generation_config.json")):
        os.remove(os.path.join(out, "generation_config.json"))

    states = []

    def logits_of(tokens):
        return model(tokens[None], use_cache=False).logits[0]

    def hidden_of(tokens):
        states.clear()
        hooks = [layer.register_forward_pre_hook(lambda _, args: states.append(args[0][0].clone()))
                 for layer in model.model.layers[:1]]
        hooks += [layer.register_forward_hook(
            lambda _, args, y: states.append((y[0] if isinstance(y, tuple) else y).reshape(-1, config.hidden_size).clone()))
            for layer in model.model.layers]
        last = getattr(model.model, "final_layernorm", None) or model.model.norm
        hooks.append(last.register_forward_hook(lambda _, args, y: states.append(y[0].clone())))
        logits_of(tokens)
        for hook in hooks:
            hook.remove()
        return list(states)

    golden(logits_of, hidden_of, os.path.join(out, "golden.safetensors"))
    if targets is None:
        return
    adapted = get_peft_model(model, LoraConfig(r=3, lora_alpha=6, target_modules=targets)).eval()
    torch.manual_seed(seed + 1)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            parameter.data = torch.randn_like(parameter) * 0.3
    path = os.path.join(out, "adapters", "all")
    adapted.save_pretrained(path)
    if os.path.exists(os.path.join(path, "README.md")):
        os.remove(os.path.join(path, "README.md"))
    with open(os.path.join(path, "adapter_config.json")) as file:
        written = json.load(file)
    written["base_model_name_or_path"] = None
    with open(os.path.join(path, "adapter_config.json"), "w") as file:
        json.dump(written, file, indent=2)
    golden(lambda tokens: adapted(tokens[None], use_cache=False).logits[0], None,
           os.path.join(path, "adapter_golden.safetensors"))


# ---- Qwen 1 ----

QWEN = dict(hidden=32, heads=4, layers=2, ffn=48, theta=10000.0, epsilon=1e-6)


def qwen_weights(seed):
    torch.manual_seed(seed)
    d, f = QWEN["hidden"], QWEN["ffn"]

    def matrix(rows, cols):
        return torch.randn(rows, cols) * 1.2 / math.sqrt(cols)

    weights = {"transformer.wte.weight": torch.randn(VOCAB, d), "lm_head.weight": matrix(VOCAB, d),
               "transformer.ln_f.weight": 1 + 0.2 * torch.randn(d)}
    for i in range(QWEN["layers"]):
        at = "transformer.h.%d." % i
        weights[at + "ln_1.weight"] = 1 + 0.2 * torch.randn(d)
        weights[at + "ln_2.weight"] = 1 + 0.2 * torch.randn(d)
        weights[at + "attn.c_attn.weight"] = matrix(3 * d, d)
        weights[at + "attn.c_attn.bias"] = 0.5 * torch.randn(3 * d)
        weights[at + "attn.c_proj.weight"] = matrix(d, d)
        weights[at + "mlp.w1.weight"] = matrix(f, d)
        weights[at + "mlp.w2.weight"] = matrix(f, d)
        weights[at + "mlp.c_proj.weight"] = matrix(d, f)
    return {k: v.to(torch.bfloat16) for k, v in weights.items()}


def qwen_forward(weights, tokens, adapter=None, scale=0.0):
    """-> logits, states: float64 numpy."""
    w = {k: v.to(torch.float64).numpy() for k, v in weights.items()}
    d, h, n = QWEN["hidden"], QWEN["heads"], len(tokens)
    hd = d // h

    def norm(x, weight):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + QWEN["epsilon"]) * weight

    def linear(x, path):
        y = x @ w[path + ".weight"].T
        if path + ".bias" in w:
            y = y + w[path + ".bias"]
        if adapter is not None and path in adapter:
            a, b = adapter[path]
            y = y + scale * (x @ a.T) @ b.T
        return y

    frequency = QWEN["theta"] ** (-np.arange(0, hd, 2) / hd)
    angle = np.concatenate([np.outer(np.arange(n), frequency)] * 2, -1)[:, None, :]

    def turn(x):
        half = np.concatenate([-x[..., hd // 2:], x[..., :hd // 2]], -1)
        return x * np.cos(angle) + half * np.sin(angle)

    x = w["transformer.wte.weight"][tokens]
    states = [x]
    for i in range(QWEN["layers"]):
        at = "transformer.h.%d." % i
        q, k, v = np.split(linear(norm(x, w[at + "ln_1.weight"]), at + "attn.c_attn"), 3, -1)
        q, k, v = turn(q.reshape(n, h, hd)), turn(k.reshape(n, h, hd)), v.reshape(n, h, hd)
        scores = np.einsum("qhd,khd->hqk", q, k) / math.sqrt(hd)
        scores = np.where(np.tril(np.ones((n, n), bool)), scores, -np.inf)
        p = np.exp(scores - scores.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        x = x + linear(np.einsum("hqk,khd->qhd", p, v).reshape(n, d), at + "attn.c_proj")
        m = norm(x, w[at + "ln_2.weight"])
        gate = linear(m, at + "mlp.w2")
        x = x + linear(linear(m, at + "mlp.w1") * gate / (1 + np.exp(-gate)), at + "mlp.c_proj")
        states.append(x)
    states.append(norm(x, w["transformer.ln_f.weight"]))
    return linear(states[-1], "lm_head"), states


def qwen1(out):
    os.makedirs(out, exist_ok=True)
    weights = qwen_weights(5)
    save_file(weights, os.path.join(out, "model.safetensors"), metadata={"format": "pt"})
    config = {"architectures": ["QWenLMHeadModel"], "model_type": "qwen", "hidden_size": QWEN["hidden"],
              "intermediate_size": 2 * QWEN["ffn"], "num_hidden_layers": QWEN["layers"],
              "num_attention_heads": QWEN["heads"], "kv_channels": QWEN["hidden"] // QWEN["heads"],
              "layer_norm_epsilon": QWEN["epsilon"], "rotary_emb_base": QWEN["theta"], "rotary_pct": 1.0,
              "seq_length": 128, "max_position_embeddings": 128, "vocab_size": VOCAB, "no_bias": True,
              "tie_word_embeddings": False, "use_dynamic_ntk": True, "use_logn_attn": True, "bf16": True}
    with open(os.path.join(out, "config.json"), "w") as file:
        json.dump(config, file, indent=1)

    def f32(x):
        return torch.tensor(x, dtype=torch.float32)

    golden(lambda t: f32(qwen_forward(weights, t.numpy())[0]),
           lambda t: [f32(s) for s in qwen_forward(weights, t.numpy())[1]],
           os.path.join(out, "golden.safetensors"))

    path = os.path.join(out, "adapters", "all")
    os.makedirs(path, exist_ok=True)
    torch.manual_seed(6)
    tensors, adapter = {}, {}
    for i in range(QWEN["layers"]):
        for name in ("attn.c_attn", "attn.c_proj", "mlp.w1", "mlp.w2", "mlp.c_proj"):
            module = "transformer.h.%d.%s" % (i, name)
            rows, cols = weights[module + ".weight"].shape
            a, b = torch.randn(3, cols) / math.sqrt(cols), 0.3 * torch.randn(rows, 3)
            tensors["base_model.model.%s.lora_A.weight" % module] = a
            tensors["base_model.model.%s.lora_B.weight" % module] = b
            adapter[module] = (a.double().numpy(), b.double().numpy())
    save_file(tensors, os.path.join(path, "adapter_model.safetensors"), metadata={"format": "pt"})
    with open(os.path.join(path, "adapter_config.json"), "w") as file:
        json.dump({"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 3, "lora_alpha": 6, "bias": "none",
                   "target_modules": ["c_attn", "attn.c_proj", "w1", "w2", "mlp.c_proj"]}, file, indent=1)
    golden(lambda t: f32(qwen_forward(weights, t.numpy(), adapter, 2.0)[0]), None,
           os.path.join(path, "adapter_golden.safetensors"))


def main(out):
    from transformers import MistralConfig, PhiConfig, Qwen3MoeConfig

    common = dict(vocab_size=VOCAB, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                  num_key_value_heads=2, max_position_embeddings=128, bos_token_id=1, eos_token_id=2)
    # Heads of 16, though 32 / 4 is 8: as Mistral Nemo and Small have them.
    from_transformers(os.path.join(out, "mistral-nemo"),
                      MistralConfig(head_dim=16, intermediate_size=48, sliding_window=None,
                                    rope_theta=1000000.0, rms_norm_eps=1e-5, **common),
                      11, ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"])
    for name, renormalise in (("qwen3-moe", True), ("qwen3-moe-plain", False)):
        from_transformers(os.path.join(out, name),
                          Qwen3MoeConfig(head_dim=16, intermediate_size=64, moe_intermediate_size=24,
                                         num_experts=5, num_experts_per_tok=2, norm_topk_prob=renormalise,
                                         decoder_sparse_step=1, mlp_only_layers=[], rope_theta=1000000.0,
                                         rms_norm_eps=1e-6, tie_word_embeddings=not renormalise, **common),
                          13, ["q_proj", "v_proj"] if renormalise else None)
    # LayerNorm of each head of q and k, which Phi has with qk_layernorm only. One layer is enough.
    from_transformers(os.path.join(out, "phi-head-norms"),
                      PhiConfig(qk_layernorm=True, intermediate_size=32, partial_rotary_factor=0.5,
                                **dict(common, num_hidden_layers=1, num_key_value_heads=4)),
                      17, None)
    qwen1(os.path.join(out, "qwen1"))


if __name__ == "__main__":
    main(sys.argv[1])
