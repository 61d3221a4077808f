/* adapter-checks.c - is an adapter sound, does it fit its base, does it run on a device. */

#include "config.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/hash.h"
#include "src/adapter-checks.h"

#define MIB 1048576.0

static void __attribute__((format(printf, 4, 5)))
add(struct checks *checks, const char *name, enum check_outcome outcome, const char *format, ...)
{
	struct check_result *result = &checks->results[checks->n];
	va_list args;

	if (checks->n == MAX_CHECKS)
		return;
	result->name = name;
	result->outcome = outcome;
	va_start(args, format);
	vsnprintf(result->text, sizeof result->text, format, args);
	va_end(args);
	checks->wrong |= outcome == CHECK_WRONG;
	checks->n++;
}

/* ---- the adapter itself ---- */

static void
check_modules(const struct t2l_adapter *adapter, struct checks *checks)
{
	struct t2l_module_norm *norms;
	size_t n, n_idle = 0;
	struct t2l_error err;
	double largest = 0;

	if (t2l_adapter_norms(adapter, NULL, &norms, &n, &err) != T2L_OK) {
		add(checks, "modules", CHECK_WRONG, "%s", err.message);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		n_idle += norms[i].norm == 0;
		largest = fmax(largest, norms[i].norm);
	}
	t2l_free(norms);
	if (!isfinite(largest))
		add(checks, "modules", CHECK_WRONG,
		    "the change of a module is too large to be one");
	else if (n_idle == n)
		add(checks, "modules", CHECK_WRONG, "the adapter changes nothing: every B A is 0");
	else
		add(checks, "modules", n_idle > 0 ? CHECK_NOTE : CHECK_FINE,
		    "%zu of %zu modules do something, |dW| at most %.4g", n - n_idle, n, largest);
}

static void
check_hash(
    const struct t2l_adapter *adapter, const struct check_options *options, struct checks *checks)
{
	const char *hash = t2l_adapter_facts(adapter)->hash;
	char found[HASH_HEX_SIZE];

	if (options->file == NULL)
		add(checks, "numbers", CHECK_FINE, "finite, hash %.12s", hash);
	else if (hash_sha256_file(options->file, found) != 0)
		add(checks, "numbers", CHECK_WRONG, "the file of the catalog can't be read again");
	else if (strcmp(found, options->file_hash) == 0)
		add(checks, "numbers", CHECK_FINE, "finite, and the file is as it was kept");
	else
		add(checks, "numbers", CHECK_WRONG,
		    "the file has hash %.12s, the catalog says %.12s: it was changed", found,
		    options->file_hash);
}

/* ---- the base ---- */

static void
check_base(const struct t2l_adapter *adapter, const struct t2l_model *model, struct checks *checks)
{
	const char *name = t2l_model_facts(model)->name;
	struct t2l_error err;
	bool other_base = false;

	if (t2l_adapter_check(adapter, model, &other_base, &err) != T2L_OK)
		add(checks, "base", CHECK_WRONG, "%s", err.message);
	else if (other_base)
		add(checks, "base", CHECK_WRONG,
		    "shapes fit, but the adapter was made for other weights than those of '%s'",
		    name);
	else
		add(checks, "base", CHECK_FINE, "fits '%s'%s", name,
		    t2l_adapter_facts(adapter)->base_fingerprint[0] == '\0'
			? " (the adapter does not say which weights it was made for)"
			: "");
}

/* ---- the device ---- */

/* Weights, the adapter in f32, one lane's cache; work space is small beside them. */
static void
check_memory(
    const struct t2l_adapter *adapter, const struct check_options *options, struct checks *checks)
{
	const struct t2l_model_facts *base = t2l_model_facts(options->model);
	double limit = options->max_memory_bytes;
	double context = options->profile != NULL ? (double)options->profile->context : 4096;
	double weights = (double)base->weight_bytes;
	double numbers = 4 * (double)t2l_adapter_facts(adapter)->n_parameters;
	double cache;

	if (base->context_length > 0)
		context = fmin(context, base->context_length);
	cache = context * (double)base->kv_bytes_per_token;
	checks->memory_bytes = weights + numbers + cache;
	if (limit == 0 && options->profile != NULL)
		limit = options->profile->memory_bytes;
	add(checks, "memory", limit > 0 && checks->memory_bytes > limit ? CHECK_WRONG : CHECK_FINE,
	    "%.1f MiB: weights %.1f, adapter %.1f, cache of %.0f tokens %.1f%s",
	    checks->memory_bytes / MIB, weights / MIB, numbers / MIB, context, cache / MIB,
	    limit > 0 && checks->memory_bytes > limit ? "; that is more than there is" : "");
}

/* A token reads all weights and the adapter once, and the cache as far as it is filled: half of it
 * on the average. */
static void
check_speed(
    const struct t2l_adapter *adapter, const struct check_options *options, struct checks *checks)
{
	const struct t2l_model_facts *base = t2l_model_facts(options->model);
	const struct device_profile *profile = options->profile;
	double context = fmin((double)profile->context,
	    base->context_length > 0 ? base->context_length : (double)profile->context);
	double bytes = (double)base->weight_bytes +
		       4 * (double)t2l_adapter_facts(adapter)->n_parameters +
		       context / 2 * (double)base->kv_bytes_per_token;

	checks->tokens_per_s = profile->bandwidth_bytes_per_s * profile->efficiency / bytes;
	add(checks, "speed", CHECK_NOTE,
	    "about %.3g tokens/s on %s: %.1f MiB a token at %.0f%% of the declared %.0f GB/s",
	    checks->tokens_per_s, profile->name, bytes / MIB, 100 * profile->efficiency,
	    profile->bandwidth_bytes_per_s / 1e9);
}

void
checks_run(
    const struct t2l_adapter *adapter, const struct check_options *options, struct checks *checks)
{
	const char *note = t2l_adapter_facts(adapter)->note;

	*checks = (struct checks){ 0 };
	check_hash(adapter, options, checks);
	check_modules(adapter, checks);
	if (note[0] != '\0')
		add(checks, "file", CHECK_NOTE, "%s", note);
	if (options->model == NULL)
		return;
	check_base(adapter, options->model, checks);
	check_memory(adapter, options, checks);
	if (options->profile != NULL)
		check_speed(adapter, options, checks);
}

bool
bytes_parse(const char *text, double *bytes)
{
	static const struct {
		const char *name;
		double bytes;
	} units[] = { { "", 1 }, { "B", 1 }, { "KB", 1e3 }, { "MB", 1e6 }, { "GB", 1e9 },
		{ "K", 1e3 }, { "M", 1e6 }, { "G", 1e9 }, { "KIB", 1024 }, { "MIB", MIB },
		{ "GIB", 1024 * MIB } };
	char *end;
	double number = strtod(text, &end);

	if (end == text || !isfinite(number) || number <= 0)
		return false;
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (strcasecmp(end, units[i].name) == 0) {
			*bytes = number * units[i].bytes;
			return true;
		}
	}
	return false;
}
