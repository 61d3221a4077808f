/* t2l inspect - what a file is: model, adapter or hypernet. */

#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "src/command.h"
#include "src/inspect-model.h"
#include "src/heat-map.h"
#include "src/options.h"
#include "src/workplace.h"

static const struct option_spec options[] = {
	{ "norms", 0, OPTION_FLAG, 0,
	    "of an adapter: the norm of its change as a list of modules, not as a map" },
	{ "spectrum", 0, OPTION_FLAG, 0,
	    "of an adapter: singular values, effective rank, sparsity, health" },
	{ "against", 0, OPTION_ADAPTER, 0, "cosine with this adapter, module by module" },
	{ "tensors", 0, OPTION_FLAG, 0, "list the tensors" },
	{ "check", 0, OPTION_FLAG, 0,
	    "of a model: read every weight and name one that is no number" },
	{ "context", 0, OPTION_INTEGER, 0, "of a model: tokens that memory is told for",
	    .fallback = "0", .min = 0, .max = 1e9 },
	{ 0 },
};

static void
say_pair(struct context *ctx, const char *name, const char *value)
{
	if (value[0] == '\0')
		return;
	say(ctx, "  %-12s ", name);
	say_text(ctx, value, strlen(value));
	say(ctx, "\n");
}

/* ---- adapters ---- */

static bool
add_tensors(struct context *ctx, const struct t2l_adapter *adapter, cJSON *object, bool print)
{
	cJSON *list = cJSON_AddArrayToObject(object, "tensors");
	struct t2l_tensor_facts tensor;
	struct t2l_error err;

	for (size_t i = 0; i < t2l_adapter_facts(adapter)->n_tensors; i++) {
		cJSON *item = cJSON_CreateObject(), *shape;

		cJSON_AddItemToArray(list, item);
		if (t2l_adapter_tensor(adapter, i, &tensor, &err) != T2L_OK) {
			context_fail_error(ctx, &err);
			return false;
		}
		cJSON_AddStringToObject(item, "name", tensor.name);
		cJSON_AddStringToObject(item, "dtype", tensor.dtype);
		shape = cJSON_AddArrayToObject(item, "shape");
		for (int j = 0; j < tensor.n_dims; j++)
			cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)tensor.shape[j]));
		if (print)
			say(ctx, "  %-5s [%lld, %lld]  %s\n", tensor.dtype,
			    (long long)tensor.shape[0], (long long)tensor.shape[1], tensor.name);
	}
	return true;
}

static void
say_norm(struct context *ctx, const struct t2l_module_norm *norm, bool with_cosine)
{
	if (norm->layer >= 0)
		say(ctx, "  layer %3d  ", norm->layer);
	else
		say(ctx, "  %-9s  ", "ends");
	if (norm->expert >= 0)
		say(ctx, "expert %3d  ", norm->expert);
	say(ctx, "%-10s  |dW| %10.4f", norm->module, norm->norm);
	if (with_cosine)
		say(ctx, "  cosine %7.4f", norm->cosine);
	say(ctx, "\n");
}

/* As a map, layer by module. */
static bool
say_map(struct context *ctx, const struct t2l_module_norm *norms, size_t n)
{
	struct heat_map *map = heat_map_new();
	bool fine = map != NULL;

	for (size_t i = 0; i < n && fine; i++)
		fine = heat_map_add(map, norms[i].layer, norms[i].module, norms[i].norm);
	if (fine) {
		say(ctx, "|dW|, layer by module\n");
		heat_map_print(ctx, map, 0, 0);
	} else {
		context_fail(ctx, "out of memory");
	}
	heat_map_free(map);
	return fine;
}

/* LISTED: module by module, else as a map. */
static bool
add_norms(struct context *ctx, const struct t2l_adapter *adapter, const char *against, bool listed,
    cJSON *object)
{
	struct t2l_adapter *other = NULL;
	struct t2l_module_norm *norms;
	struct t2l_error err;
	cJSON *list;
	size_t n;
	int64_t id;
	bool fine;

	if (against != NULL && !workplace_adapter(ctx, against, &other, &id))
		return false;
	fine = t2l_adapter_norms(adapter, other, &norms, &n, &err) == T2L_OK;
	t2l_adapter_close(other);
	if (!fine) {
		context_fail_error(ctx, &err);
		return false;
	}
	list = cJSON_AddArrayToObject(object, "norms");
	for (size_t i = 0; i < n; i++) {
		cJSON *item = cJSON_CreateObject();

		cJSON_AddItemToArray(list, item);
		if (norms[i].layer >= 0)
			cJSON_AddNumberToObject(item, "layer", norms[i].layer);
		cJSON_AddStringToObject(item, "module", norms[i].module);
		if (norms[i].expert >= 0)
			cJSON_AddNumberToObject(item, "expert", norms[i].expert);
		cJSON_AddNumberToObject(item, "norm", norms[i].norm);
		if (against != NULL)
			cJSON_AddNumberToObject(item, "cosine", norms[i].cosine);
		if (listed)
			say_norm(ctx, &norms[i], against != NULL);
	}
	fine = listed || say_map(ctx, norms, n);
	t2l_free(norms);
	return fine;
}

static cJSON *
spectrum_json(const struct t2l_module_spectrum *s)
{
	cJSON *item = cJSON_CreateObject();

	cJSON_AddNumberToObject(item, "layer", s->layer);
	cJSON_AddStringToObject(item, "module", s->module);
	if (s->expert >= 0)
		cJSON_AddNumberToObject(item, "expert", s->expert);
	cJSON_AddNumberToObject(item, "norm", s->norm);
	cJSON_AddItemToObject(
	    item, "singular_values", cJSON_CreateDoubleArray(s->singular_values, s->rank));
	cJSON_AddNumberToObject(item, "effective_rank", s->effective_rank);
	cJSON_AddNumberToObject(item, "sparsity", s->sparsity);
	cJSON_AddNumberToObject(item, "largest_a", s->largest_a);
	cJSON_AddNumberToObject(item, "largest_b", s->largest_b);
	cJSON_AddBoolToObject(item, "does_nothing", s->does_nothing);
	cJSON_AddBoolToObject(item, "is_outlier", s->is_outlier);
	return item;
}

/* A bar for each singular value, against the largest. */
static void
say_spectrum(struct context *ctx, const struct t2l_module_spectrum *s)
{
	static const char *const bars[] = { " ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
	char place[48];
	double largest = s->singular_values[0];

	snprintf(place, sizeof place, s->expert >= 0 ? "%s %d" : "%s", s->module, s->expert);
	say(ctx, "  %5d  %-14s |dW| %9.4g  largest %9.4g  effective rank %5.1f of %-4d ", s->layer,
	    place, s->norm, largest, s->effective_rank, s->rank);
	for (int i = 0; i < s->rank && i < 16; i++)
		say(ctx, "%s",
		    bars[largest > 0 ? (int)(s->singular_values[i] / largest * 8 + 0.5) : 0]);
	say(ctx, "%s%s%s\n", s->rank > 16 ? "..." : "", s->does_nothing ? "  does nothing" : "",
	    s->is_outlier ? "  outlier" : "");
}

static bool
add_spectra(struct context *ctx, const struct t2l_adapter *adapter, cJSON *object)
{
	struct t2l_module_spectrum *spectra;
	struct heat_map *map = heat_map_new();
	struct t2l_error err;
	size_t n, n_idle = 0, n_outliers = 0;
	double sparsity = 0;
	bool fine = map != NULL;
	cJSON *list;

	if (!fine) {
		context_fail(ctx, "out of memory");
	} else if (t2l_adapter_spectra(adapter, &spectra, &n, &err) != T2L_OK) {
		context_fail_error(ctx, &err);
		fine = false;
	} else {
		list = cJSON_AddArrayToObject(object, "spectra");
		for (size_t i = 0; i < n; i++) {
			cJSON_AddItemToArray(list, spectrum_json(&spectra[i]));
			fine = fine && heat_map_add(map, spectra[i].layer, spectra[i].module,
					   spectra[i].norm);
			n_idle += spectra[i].does_nothing;
			n_outliers += spectra[i].is_outlier;
			sparsity += spectra[i].sparsity / (double)n;
		}
		say(ctx, "|dW|, layer by module\n");
		heat_map_print(ctx, map, 0, 0);
		say(ctx, "singular values\n");
		for (size_t i = 0; i < n; i++)
			say_spectrum(ctx, &spectra[i]);
		say(ctx,
		    "health: all numbers finite, %zu of %zu modules do nothing, %zu outliers, "
		    "%.1f%% zeros\n",
		    n_idle, n, n_outliers, 100 * sparsity);
		t2l_free(spectra);
	}
	heat_map_free(map);
	return fine;
}

static int
inspect_adapter(struct context *ctx, const struct options *opt, const struct t2l_adapter *adapter)
{
	const struct t2l_adapter_facts *facts = t2l_adapter_facts(adapter);
	bool listed = option_flag(opt, "norms") || option_text(opt, "against") != NULL, fine;
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "kind", "adapter");
	cJSON_AddStringToObject(object, "format", facts->format);
	cJSON_AddStringToObject(object, "name", facts->name);
	cJSON_AddStringToObject(object, "task", facts->task);
	cJSON_AddStringToObject(object, "base", facts->base_name);
	cJSON_AddStringToObject(object, "base_fingerprint", facts->base_fingerprint);
	cJSON_AddStringToObject(object, "hypernet", facts->hypernet);
	cJSON_AddStringToObject(object, "encoder", facts->encoder);
	cJSON_AddStringToObject(object, "modules", facts->modules);
	cJSON_AddStringToObject(object, "lineage", facts->lineage);
	cJSON_AddStringToObject(object, "hash", facts->hash);
	cJSON_AddStringToObject(object, "note", facts->note);
	cJSON_AddBoolToObject(object, "gguf_rows", facts->gguf_rows);
	cJSON_AddNumberToObject(object, "rank", facts->rank);
	cJSON_AddNumberToObject(object, "alpha", facts->lora_alpha);
	cJSON_AddBoolToObject(object, "rslora", facts->use_rslora);
	cJSON_AddNumberToObject(object, "scale", facts->scale);
	cJSON_AddNumberToObject(object, "layers", facts->n_layers);
	cJSON_AddNumberToObject(object, "parameters", (double)facts->n_parameters);
	say(ctx, "adapter (%s), rank %d, alpha %g, scale %.4g%s, %d layers, %lld numbers\n",
	    facts->format, facts->rank, facts->lora_alpha, facts->scale,
	    facts->use_rslora ? " (rsLoRA)" : "", facts->n_layers, (long long)facts->n_parameters);
	say_pair(ctx, "name", facts->name);
	say_pair(ctx, "task", facts->task);
	say_pair(ctx, "base", facts->base_name);
	say_pair(ctx, "encoder", facts->encoder);
	say_pair(ctx, "modules", facts->modules);
	say_pair(ctx, "lineage", facts->lineage);
	say_pair(ctx, "hash", facts->hash);
	say_pair(ctx, "note", facts->note);
	if (facts->gguf_rows)
		say_pair(ctx, "rows",
		    "of q and k in GGUF's order, head size not told; other formats need the base");
	fine = add_tensors(ctx, adapter, object, option_flag(opt, "tensors"));
	if (fine && (listed || !option_flag(opt, "spectrum")))
		fine = add_norms(ctx, adapter, option_text(opt, "against"), listed, object);
	if (fine && option_flag(opt, "spectrum"))
		fine = add_spectra(ctx, adapter, object);
	say_json(ctx, object);
	return fine ? 0 : 1;
}

/* ---- hypernets and models ---- */

static int
inspect_hypernet(struct context *ctx, const struct t2l_hypernet_facts *facts)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "kind", "hypernet");
	cJSON_AddStringToObject(object, "name", facts->name);
	cJSON_AddStringToObject(object, "variant", facts->variant);
	cJSON_AddStringToObject(object, "base", facts->base_name);
	cJSON_AddStringToObject(object, "base_fingerprint", facts->base_fingerprint);
	cJSON_AddStringToObject(object, "encoder", facts->encoder_name);
	cJSON_AddStringToObject(object, "encoder_fingerprint", facts->encoder_fingerprint);
	cJSON_AddStringToObject(object, "modules", facts->modules);
	cJSON_AddNumberToObject(object, "embedding_size", facts->embedding_size);
	cJSON_AddNumberToObject(object, "latent_size", facts->latent_size);
	cJSON_AddNumberToObject(object, "layers", facts->n_layers);
	cJSON_AddNumberToObject(object, "rank", facts->rank);
	cJSON_AddNumberToObject(object, "alpha", facts->lora_alpha);
	cJSON_AddNumberToObject(object, "parameters", (double)facts->n_parameters);
	cJSON_AddStringToObject(object, "fingerprint", facts->fingerprint);
	say_json(ctx, object);
	say(ctx, "hypernet '%s', variant %s, %lld parameters\n", facts->name, facts->variant,
	    (long long)facts->n_parameters);
	say(ctx, "  makes rank %d adapters (alpha %g%s) of %s for %d layers of '%s'\n", facts->rank,
	    facts->lora_alpha, facts->use_rslora ? ", rsLoRA" : "", facts->modules, facts->n_layers,
	    facts->base_name);
	say(ctx, "  from embeddings of '%s' (%d numbers)\n", facts->encoder_name,
	    facts->embedding_size);
	return 0;
}

static int
inspect_encoder(struct context *ctx, const struct t2l_encoder_facts *facts)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "kind", "encoder");
	cJSON_AddStringToObject(object, "name", facts->name);
	cJSON_AddStringToObject(object, "architecture", facts->architecture);
	cJSON_AddStringToObject(object, "pooling", facts->pooling);
	cJSON_AddNumberToObject(object, "dimension", facts->dimension);
	cJSON_AddNumberToObject(object, "max_tokens", facts->max_tokens);
	cJSON_AddNumberToObject(object, "parameters", (double)facts->n_parameters);
	cJSON_AddStringToObject(object, "fingerprint", facts->fingerprint);
	say_json(ctx, object);
	say(ctx, "text encoder '%s' (%s), %lld parameters\n", facts->name, facts->architecture,
	    (long long)facts->n_parameters);
	say(ctx, "  %d numbers a text, %s pooling, at most %d tokens\n", facts->dimension,
	    facts->pooling, facts->max_tokens);
	return 0;
}

/* ---- which of them ---- */

/* Each opener in turn; the error that is shown is that of the likeliest kind. */
static int
inspect_path(struct context *ctx, const struct options *opt, const char *path)
{
	struct t2l_error as_adapter, as_model, as_hypernet, as_encoder;
	struct t2l_adapter *adapter;
	struct t2l_hypernet *hypernet;
	struct t2l_encoder *encoder;
	struct t2l_model *model;
	struct t2l_engine *engine;
	char marker[4096];
	struct stat info;
	int status;

	if (t2l_adapter_open(path, &adapter, &as_adapter) == T2L_OK) {
		status = inspect_adapter(ctx, opt, adapter);
		t2l_adapter_close(adapter);
		return status;
	}
	if (!workplace_engine(ctx, &engine))
		return 1;
	if (t2l_hypernet_open(engine, path, &hypernet, &as_hypernet) == T2L_OK) {
		status = inspect_hypernet(ctx, t2l_hypernet_facts(hypernet));
		t2l_hypernet_close(hypernet);
		return status;
	}
	if (t2l_model_open(engine, path, &model, &as_model) == T2L_OK) {
		status = inspect_model(ctx, model, (size_t)option_integer(opt, "context"),
		    option_flag(opt, "tensors"), option_flag(opt, "check"));
		t2l_model_close(model);
		return status;
	}
	if (t2l_encoder_open(engine, path, &encoder, &as_encoder) == T2L_OK) {
		status = inspect_encoder(ctx, t2l_encoder_facts(encoder));
		t2l_encoder_close(encoder);
		return status;
	}
	snprintf(marker, sizeof marker, "%s/config.json", path);
	if (stat(path, &info) == 0 && S_ISDIR(info.st_mode) && stat(marker, &info) == 0)
		return context_fail_error(ctx, &as_model);
	size_t n = strlen(path);

	if (n > 5 && strcmp(path + n - 5, ".gguf") == 0)
		return context_fail_error(ctx, &as_model);
	return context_fail_error(ctx, &as_adapter);
}

static int
inspect_run(struct context *ctx, const struct options *opt)
{
	const char *name = option_argument(opt, 0);
	struct t2l_adapter *adapter;
	struct stat info;
	int64_t id;
	int status;

	if (stat(name, &info) == 0)
		return inspect_path(ctx, opt, name);
	char path[4096];

	if (workplace_find_model(ctx, name, path, sizeof path))
		return inspect_path(ctx, opt, path);
	if (!workplace_adapter(ctx, name, &adapter, &id))
		return 1;
	status = inspect_adapter(ctx, opt, adapter);
	t2l_adapter_close(adapter);
	return status;
}

const struct command command_inspect = {
	.name = "inspect",
	.summary = "what a file is: model, adapter, hypernet or encoder",
	.details =
	    "Exit status 1 when anything is wrong with it. Of a model that is larger than a few "
	    "MiB only samples of its weights are read, unless --check is given.",
	.example = "t2l inspect translate-es --norms",
	.arguments = "PATH",
	.min_arguments = 1,
	.max_arguments = 1,
	.argument_type = OPTION_ADAPTER,
	.options = options,
	.run = inspect_run,
};
