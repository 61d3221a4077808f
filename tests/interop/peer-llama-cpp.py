#!/usr/bin/env python3
"""Holds logits of ours against llama.cpp's, through its own C interface (the llama-cpp-python package).

Usage: peer-llama-cpp.py PLAN
PLAN has a check a line, fields between tabs: NAME BASE.gguf LORA.gguf|- TOKENS EXPECTED TOLERANCE. EXPECTED is a file of
`t2l score --save-logits`; TOKENS are ids between commas. The tolerance is a share of the largest logit: llama.cpp rounds activations to
the type of the weights. Prints a line of JSON for each; exit status 0 all fine, 1 not, 77 the package is absent.
"""
import ctypes
import json
import struct
import sys

try:
    import llama_cpp
    import numpy
except ImportError as error:
    print("skipped: %s" % error, file=sys.stderr)
    sys.exit(77)


def logits_of_file(path):
    """The one tensor of a safetensors file."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        facts = next(value for name, value in header.items() if name != "__metadata__")
        values = numpy.frombuffer(file.read(), dtype=numpy.float32)
    return values[: facts["data_offsets"][1] // 4].reshape(facts["shape"])


def logits_of_peer(base, lora, tokens):
    """Every token's logits, and the adapter's effect switched on through llama_adapter_lora_init."""
    parameters = llama_cpp.llama_model_default_params()
    parameters.n_gpu_layers = 0
    model = llama_cpp.llama_model_load_from_file(base.encode(), parameters)
    if not model:
        raise RuntimeError("llama.cpp does not load '%s'" % base)
    adapter = None
    if lora != "-":
        adapter = llama_cpp.llama_adapter_lora_init(model, lora.encode())
        if not adapter:
            raise RuntimeError("llama.cpp does not load '%s'" % lora)
    settings = llama_cpp.llama_context_default_params()
    settings.n_ctx = settings.n_batch = settings.n_ubatch = max(64, len(tokens))
    settings.n_threads = settings.n_threads_batch = 2
    # Its default cache is F16; ours is F32 where --precise is said.
    settings.type_k = settings.type_v = 0
    settings.flash_attn_type = 0
    context = llama_cpp.llama_init_from_model(model, settings)
    if adapter is not None:
        adapters = (llama_cpp.llama_adapter_lora_p_ctypes * 1)(
            ctypes.cast(adapter, llama_cpp.llama_adapter_lora_p_ctypes))
        if llama_cpp.llama_set_adapters_lora(context, adapters, 1, (ctypes.c_float * 1)(1.0)) != 0:
            raise RuntimeError("llama.cpp does not apply '%s'" % lora)
    batch = llama_cpp.llama_batch_init(len(tokens), 0, 1)
    batch.n_tokens = len(tokens)
    for i, token in enumerate(tokens):
        batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, i, 1
        batch.seq_id[i][0], batch.logits[i] = 0, 1
    if llama_cpp.llama_decode(context, batch) != 0:
        raise RuntimeError("llama.cpp does not run '%s'" % base)
    size = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    rows = [numpy.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(context, i), shape=(size,)).copy()
            for i in range(len(tokens))]
    llama_cpp.llama_batch_free(batch)
    llama_cpp.llama_free(context)
    llama_cpp.llama_model_free(model)
    return numpy.stack(rows)


def main():
    llama_cpp.llama_backend_init()
    silent = llama_cpp.llama_log_callback(lambda level, text, user: None)
    llama_cpp.llama_log_set(silent, ctypes.c_void_p(0))
    failed = 0
    for line in open(sys.argv[1]):
        name, base, lora, tokens, expected, tolerance = line.rstrip("\n").split("\t")
        result = {"check": name}
        try:
            ours = logits_of_file(expected)
            theirs = logits_of_peer(base, lora, [int(token) for token in tokens.split(",")])
            result["max_difference"] = float(abs(ours - theirs).max() / abs(theirs).max())
            result["same_greedy_tokens"] = bool((ours.argmax(1) == theirs.argmax(1)).all())
            if lora != "-":  # else equal logits would say nothing of the adapter
                plain = logits_of_peer(base, "-", [int(token) for token in tokens.split(",")])
                result["adapters_effect"] = float(abs(plain - theirs).max() / abs(theirs).max())
            result["ok"] = result["max_difference"] <= float(tolerance) and \
                result.get("adapters_effect", 1) > 4 * float(tolerance)
        except (RuntimeError, ValueError, OSError) as error:
            result.update(ok=False, error=str(error))
        print(json.dumps(result), flush=True)
        failed |= not result["ok"]
    return failed


sys.exit(main())
