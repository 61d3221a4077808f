/*
 * training/prepared.h - a suite's examples as tokens in one file, mapped instead of read.
 *
 * A safetensors file: ids I32 [n_tokens], all examples one after the other; lengths and prompts I32
 * [n_examples], tokens of each and of its prompt. Metadata: t2l.kind "tokens", t2l.version "1",
 * t2l.base_fingerprint (whose tokenizer and chat template they went through), t2l.tasks, JSON:
 * [{"id", "n": examples, "train": bool, "descriptions": {tier: [..]}}, ..].
 */
#ifndef ENGINE_TRAINING_PREPARED_H
#define ENGINE_TRAINING_PREPARED_H

#include "engine/training/dataset.h"

struct prepared;
struct base_model;

/* Whether PATH is a file with a safetensors header (a JSONL file begins with '{'). */
bool prepared_is(const char *path);
/* The dataset's tokens lie in the file, its tasks in SUITE. T2L_EMISMATCH: made for another base;
 * T2L_EINVAL: an example longer than LENGTH allows (a mapped one is never cut). */
enum t2l_status prepared_open(const char *path, const struct t2l_train_options *options,
    const struct base_model *base, const struct length_rule *length, struct prepared **out,
    struct t2l_suite **suite, struct dataset *dataset, struct t2l_error *err);
void prepared_close(struct prepared *prepared);

enum t2l_status prepared_write(const char *path, const struct dataset *dataset,
    const char *base_fingerprint, struct t2l_error *err);

#endif
