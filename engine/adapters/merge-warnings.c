/*
 * merge-warnings.c - what somebody should know before merging adapters that can be merged: whether
 * their bases are one, whether they are as strong as each other, where they meet.
 */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "engine/adapters/merge-inputs.h"
#include "engine/adapters/norms.h"

#define MUCH_STRONGER 10 /* with equal weights, the weaker is then lost in the stronger */

/* The adapters and the lines so far. */
struct warnings {
	const struct t2l_adapter *const *adapters;
	size_t n;
	struct buffer lines;
};

static void __attribute__((format(printf, 2, 3))) warn(struct warnings *w, const char *format, ...)
{
	va_list args;

	if (w->lines.n > 0)
		buffer_char(&w->lines, '\n');
	va_start(args, format);
	buffer_vprintf(&w->lines, format, args);
	va_end(args);
}

static const struct t2l_adapter_facts *
facts_of(const struct warnings *w, size_t i)
{
	return &w->adapters[i]->facts;
}

/* The first that differs from an earlier one in FIELD, where both tell it: true, and both. */
static bool
find_difference(const struct warnings *w, size_t offset, size_t *one, size_t *other)
{
	size_t first = w->n;

	for (size_t i = 0; i < w->n; i++) {
		const char *own = *(const char *const *)((const char *)facts_of(w, i) + offset);
		const char *before =
		    first == w->n
			? ""
			: *(const char *const *)((const char *)facts_of(w, first) + offset);

		if (own[0] == '\0')
			continue;
		if (first == w->n) {
			first = i;
		} else if (strcmp(own, before) != 0) {
			*one = first;
			*other = i;
			return true;
		}
	}
	return false;
}

static void
warn_of_bases(struct warnings *w)
{
	size_t one, other, n_told = 0, silent = 0;

	for (size_t i = 0; i < w->n; i++) {
		bool told = facts_of(w, i)->base_fingerprint[0] != '\0';

		n_told += told;
		silent = told ? silent : i;
	}
	if (find_difference(w, offsetof(struct t2l_adapter_facts, base_fingerprint), &one, &other))
		warn(w, "'%.80s' and '%.80s' were made for different bases ('%.80s', '%.80s')",
		    merge_name_of(w->adapters[one]), merge_name_of(w->adapters[other]),
		    facts_of(w, one)->base_name, facts_of(w, other)->base_name);
	else if (n_told < w->n &&
		 find_difference(w, offsetof(struct t2l_adapter_facts, base_name), &one, &other))
		warn(w,
		    "'%.80s' names the base '%.80s', '%.80s' names '%.80s': nothing in the files "
		    "tells whether these are the same weights",
		    merge_name_of(w->adapters[one]), facts_of(w, one)->base_name,
		    merge_name_of(w->adapters[other]), facts_of(w, other)->base_name);
	else if (n_told > 0 && n_told < w->n)
		warn(w, "'%.80s' does not tell which weights it was made for",
		    merge_name_of(w->adapters[silent]));
}

static void
warn_of_twins(struct warnings *w)
{
	for (size_t i = 0; i < w->n; i++) {
		for (size_t j = i + 1; j < w->n; j++) {
			if (strcmp(facts_of(w, i)->hash, facts_of(w, j)->hash) != 0)
				continue;
			warn(w, "'%.80s' and '%.80s' are the same adapter",
			    merge_name_of(w->adapters[i]), merge_name_of(w->adapters[j]));
			return;
		}
	}
}

/* Each enters at its own scale; who looks at alpha alone would think otherwise. */
static void
warn_of_scales(struct warnings *w)
{
	for (size_t i = 1; i < w->n; i++) {
		size_t rs = facts_of(w, i)->use_rslora ? i : 0, plain = i - rs;

		if (facts_of(w, i)->use_rslora == facts_of(w, 0)->use_rslora)
			continue;
		warn(w,
		    "'%.80s' is an rsLoRA (scale %.4g), '%.80s' is not (scale %.4g): each enters "
		    "at its own scale",
		    merge_name_of(w->adapters[rs]), facts_of(w, rs)->scale,
		    merge_name_of(w->adapters[plain]), facts_of(w, plain)->scale);
		return;
	}
}

static double
strength(const struct t2l_adapter *adapter)
{
	double sum = 0;

	for (size_t i = 0; i < adapter->n_modules; i++)
		sum += module_inner_product(&adapter->modules[i], &adapter->modules[i]);
	return sqrt(fmax(sum, 0));
}

static void
warn_of_strengths(struct warnings *w)
{
	size_t weakest = 0, strongest = 0;
	double least = INFINITY, most = -1;

	for (size_t i = 0; i < w->n; i++) {
		double own = strength(w->adapters[i]);

		if (own < least) {
			least = own;
			weakest = i;
		}
		if (own > most) {
			most = own;
			strongest = i;
		}
	}
	if (w->n > 1 && most > MUCH_STRONGER * least)
		warn(w,
		    "'%.80s' changes the base %.3g times as much as '%.80s'; with equal weights "
		    "little of the latter remains",
		    merge_name_of(w->adapters[strongest]), most / least,
		    merge_name_of(w->adapters[weakest]));
}

/* How many of adapters FROM .. TO change M; UNTIL: counting further is of no use. */
static size_t
count_changing(
    const struct warnings *w, const struct adapter_module *m, size_t from, size_t to, size_t until)
{
	size_t n = 0;

	for (size_t i = from; i < to && n < until; i++)
		n += adapter_find(w->adapters[i], m->layer, m->module, m->expert) != NULL;
	return n;
}

static void
warn_of_modules(struct warnings *w)
{
	size_t n_any = 0, n_all = 0;

	for (size_t i = 0; i < w->n; i++) {
		for (size_t k = 0; k < w->adapters[i]->n_modules; k++) {
			const struct adapter_module *m = &w->adapters[i]->modules[k];

			/* Counted with the first that has it. */
			n_any += count_changing(w, m, 0, i, 1) == 0;
			n_all += i == 0 && count_changing(w, m, 0, w->n, w->n) == w->n;
		}
	}
	if (n_all == 0 && w->n > 1)
		warn(w, "no module is changed by all of them: what they do is put side by side");
	else if (n_all < n_any)
		warn(w, "%zu of %zu modules are changed by all; the others get what only some do",
		    n_all, n_any);
}

enum t2l_status
t2l_merge_warnings(
    const struct t2l_adapter *const *adapters, size_t n, char **lines, struct t2l_error *err)
{
	struct warnings w = { .adapters = adapters, .n = n };

	warn_of_bases(&w);
	warn_of_twins(&w);
	warn_of_scales(&w);
	warn_of_strengths(&w);
	warn_of_modules(&w);
	*lines = buffer_take(&w.lines);
	return *lines != NULL ? T2L_OK : t2l_fail(err, T2L_ENOMEM, "merge: out of memory");
}
