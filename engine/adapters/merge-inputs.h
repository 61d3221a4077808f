/*
 * adapters/merge-inputs.h - before a merge: what was asked for is checked, defaults are filled in,
 * and the result gets its modules, ranks and labels.
 */
#ifndef ENGINE_ADAPTERS_MERGE_INPUTS_H
#define ENGINE_ADAPTERS_MERGE_INPUTS_H

#include "engine/adapters/merge.h"

/* What messages call it: its name, its task, or "(unnamed)". */
const char *merge_name_of(const struct t2l_adapter *adapter);

/* The strategy of N adapters and its settings. T2L_EINVAL: there is none of that name, or it has
 * not a parameter that was given. */
enum t2l_status merge_settle(const struct t2l_merge_options *options, size_t n,
    const struct merge_strategy **strategy, struct merge_settings *settings, struct t2l_error *err);

/* WEIGHTS may be NULL; settled [n]. */
enum t2l_status merge_settle_weights(const struct merge_strategy *strategy, const double *weights,
    size_t n, double *settled, struct t2l_error *err);

/* An adapter of zeros that has every module which any input changes; RANK 0: the strategy's own.
 * T2L_EMISMATCH where the inputs do not fit together. */
enum t2l_status merge_prepare(const struct merge_strategy *strategy, int rank,
    const struct t2l_adapter *const *adapters, const double *weights, size_t n,
    struct t2l_adapter **result, struct t2l_error *err);

#endif
