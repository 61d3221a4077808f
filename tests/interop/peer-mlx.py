#!/usr/bin/env python3
"""Holds adapters of ours against mlx-lm itself (packages mlx, mlx-lm; on Linux also mlx-cpu), both ways.

Usage: peer-mlx.py read BASE ADAPTER TOKENS EXPECTED TOLERANCE
       peer-mlx.py write BASE ADAPTER TOKENS LOGITS
       peer-mlx.py compare LOGITS OTHERS - - TOLERANCE
read: mlx-lm loads the HF directory BASE and our adapter directory; its logits for TOKENS (ids between commas) must be those of
EXPECTED (`t2l score --save-logits`), within a share of the largest. write: mlx-lm makes an adapter of its own with random numbers, saves
it as its training does into ADAPTER, and its logits into LOGITS. compare: two files of logits. Prints JSON; exit status 0 fine, 1 not, 77 mlx-lm is absent.
"""
import json
import sys
from pathlib import Path

try:
    import mlx.core as mx
    from mlx.utils import tree_flatten
    from mlx_lm.tuner.utils import linear_to_lora_layers, load_adapters
    from mlx_lm.utils import load_model
except ImportError as error:
    print("skipped: %s" % error, file=sys.stderr)
    sys.exit(77)


def logits_of(model, tokens):
    return model(mx.array([tokens])).astype(mx.float32)[0]


def wide(model):
    model.apply(lambda x: x.astype(mx.float32) if mx.issubdtype(x.dtype, mx.floating) else x)


def read(base, adapter, tokens, expected, tolerance):
    model, _ = load_model(Path(base))
    wide(model)
    plain = logits_of(model, tokens)
    load_adapters(model, adapter)
    theirs, ours = logits_of(model, tokens), next(iter(mx.load(expected).values()))
    largest = mx.abs(theirs).max()
    difference = float(mx.abs(theirs - ours).max() / largest)
    effect = float(mx.abs(theirs - plain).max() / largest)
    # Without an effect equal logits would say nothing of the adapter.
    ok = difference <= tolerance and effect > 4 * tolerance
    return {"max_difference": difference, "adapters_effect": effect, "ok": ok}


def write(base, adapter, tokens, logits):
    model, _ = load_model(Path(base))
    wide(model)
    parameters = {"rank": 4, "scale": 1.5, "dropout": 0.0, "keys": ["self_attn.q_proj", "self_attn.v_proj", "mlp.down_proj"]}
    n_layers = len(model.layers) - 1  # of the last layers, as its --num-layers
    model.freeze()
    linear_to_lora_layers(model, n_layers, parameters)
    mx.random.seed(7)
    model.load_weights([(name, 0.05 * mx.random.normal(value.shape)) for name, value in tree_flatten(model.trainable_parameters())],
                       strict=False)
    Path(adapter).mkdir()
    mx.save_safetensors(str(Path(adapter) / "adapters.safetensors"), dict(tree_flatten(model.trainable_parameters())))
    (Path(adapter) / "adapter_config.json").write_text(
        json.dumps({"fine_tune_type": "lora", "num_layers": n_layers, "lora_parameters": parameters, "model": str(base)}))
    mx.save_safetensors(logits, {"logits": logits_of(model, tokens)})
    return {"tensors": len(tree_flatten(model.trainable_parameters())), "ok": True}


def compare(theirs, ours, tolerance):
    theirs, ours = (next(iter(mx.load(path).values())) for path in (theirs, ours))
    difference = float(mx.abs(theirs - ours).max() / mx.abs(theirs).max())
    return {"max_difference": difference, "ok": difference <= tolerance}


def main():
    action, *arguments = sys.argv[1:]
    if action == "compare":
        result = compare(arguments[0], arguments[1], float(arguments[4]))
    else:
        base, adapter, tokens, file = arguments[:4]
        tokens = [int(token) for token in tokens.split(",")]
        result = write(base, adapter, tokens, file) if action == "write" else read(base, adapter, tokens, file, float(arguments[4]))
    print(json.dumps({"check": "mlx-" + action, **result}))
    return not result["ok"]


sys.exit(main())
