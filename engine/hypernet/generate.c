/* generate.c - a hypernet ready for use: description -> embedding -> adapter. */

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/error.h"
#include "engine/formats/safetensors.h"
#include "engine/hypernet/network.h"
#include "engine/models/model.h"

/* Adapters made in one pass hold at most this many numbers for each thread (16 MB), so that much of
 * them is still in the caches when they are hashed and written, and this many (100 MB) in all, so
 * that a long list needs no more memory than a short one. */
#define MAX_NUMBERS_A_THREAD (INT64_C(4) << 20)
#define MAX_NUMBERS_A_PASS (INT64_C(24) << 20)
#define MAX_TASKS_A_PASS 64
#define MAX_FINISHERS 16
#define HEADER_ROOM 65536 /* more than the headers of the tensors that a pass returns */

/* Memory of a pass whose adapters are closed, kept for the next: fresh pages cost as much as a
 * third of the arithmetic. The hypernet and every block of adapters hold it. */
struct spare {
	int references;	     /* atomic */
	struct ops *results; /* atomic; NULL: none is kept */
};

struct t2l_hypernet {
	struct t2l_engine *engine;
	struct hypernet_network *network; /* owned */
	struct ops *ops;		  /* owned; used under the engine's lock only */
	struct spare *spare;
	struct t2l_hypernet_facts facts;
};

/* ---- memory of passes ---- */

static void
spare_release(struct spare *spare)
{
	if (spare == NULL || __atomic_sub_fetch(&spare->references, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	ops_free(spare->results);
	free(spare);
}

/* What a block of adapters holds. */
struct results {
	struct ops *ops;
	struct spare *spare;
};

static void
results_release(void *memory)
{
	struct results *results = memory;

	ops_free(__atomic_exchange_n(&results->spare->results, results->ops, __ATOMIC_ACQ_REL));
	spare_release(results->spare);
	free(results);
}

/* An empty context whose memory is in one piece from the start, so that it can be used again. */
static struct ops *
results_open(struct t2l_hypernet *hypernet, size_t n_adapters)
{
	struct ops *ops = ops_create(engine_backend(hypernet->engine));
	struct arena_mark empty;

	if (ops == NULL)
		return NULL;
	empty = ops_mark(ops);
	if (arena_alloc(ops_arena(ops),
		n_adapters * (size_t)hypernet->facts.adapter_numbers * sizeof(float) +
		    HEADER_ROOM) == NULL) {
		ops_free(ops);
		return NULL;
	}
	arena_rewind(ops_arena(ops), empty);
	return ops;
}

/* Room for a pass: an empty context in a block. NULL when out of memory. */
static struct adapter_block *
results_make(struct t2l_hypernet *hypernet, size_t n_adapters, struct ops **ops)
{
	struct results *results = malloc(sizeof *results);
	struct adapter_block *block = NULL;

	if (results == NULL)
		return NULL;
	*ops = __atomic_exchange_n(&hypernet->spare->results, NULL, __ATOMIC_ACQ_REL);
	if (*ops == NULL)
		*ops = results_open(hypernet, n_adapters);
	else
		ops_reset(*ops);
	*results = (struct results){ *ops, hypernet->spare };
	if (*ops != NULL)
		block = adapter_block_make(results, results_release);
	if (block == NULL) {
		ops_free(*ops);
		free(results);
		return NULL;
	}
	__atomic_add_fetch(&hypernet->spare->references, 1, __ATOMIC_RELAXED);
	return block;
}

/* ---- opening ---- */

/* Of each adapter it makes. */
static int64_t
numbers_of(const struct hypernet_config *config)
{
	int64_t n = 0;

	for (int i = 0; i < config->n_modules; i++)
		n += config->in[i] + config->out[i];
	return n * config->rank * config->n_layers;
}

static int
adapters_a_pass(int64_t numbers, int n_threads)
{
	int64_t most = n_threads * MAX_NUMBERS_A_THREAD;
	int64_t n = (most < MAX_NUMBERS_A_PASS ? most : MAX_NUMBERS_A_PASS) / numbers;

	return n < 1 ? 1 : n > MAX_TASKS_A_PASS ? MAX_TASKS_A_PASS : (int)n;
}

static void
fill_facts(struct t2l_hypernet *hypernet, const struct hypernet_origin *origin)
{
	const struct hypernet_network *network = hypernet->network;
	const struct hypernet_config *config = &network->config;
	struct t2l_hypernet_facts *facts = &hypernet->facts;
	size_t used = 0;

	strcpy(facts->name, origin->name);
	strcpy(facts->variant, config->variant);
	strcpy(facts->base_name, origin->base_name);
	strcpy(facts->base_fingerprint, origin->base_fingerprint);
	strcpy(facts->encoder_name, origin->encoder_name);
	strcpy(facts->encoder_fingerprint, origin->encoder_fingerprint);
	facts->embedding_size = config->embedding_size;
	facts->latent_size = config->latent_size;
	facts->head_in_size = config->head_in_size;
	facts->n_layers = config->n_layers;
	facts->rank = config->rank;
	facts->lora_alpha = config->lora_alpha;
	facts->use_rslora = config->use_rslora;
	for (int i = 0; i < config->n_modules; i++)
		used += (size_t)snprintf(facts->modules + used, sizeof facts->modules - used,
		    "%s%s", i > 0 ? "," : "", module_name(config->modules[i]));
	facts->adapter_numbers = numbers_of(config);
	facts->adapters_a_pass =
	    adapters_a_pass(facts->adapter_numbers, t2l_engine_threads(hypernet->engine));
	for (size_t i = 0; i < network->n_parameters; i++)
		facts->n_parameters += tensor_count(&network->parameters[i].tensor);
}

enum t2l_status
t2l_hypernet_open(
    struct t2l_engine *engine, const char *path, struct t2l_hypernet **out, struct t2l_error *err)
{
	struct t2l_hypernet *hypernet = calloc(1, sizeof *hypernet);
	struct hypernet_origin origin;
	enum t2l_status status;

	if (hypernet == NULL || (hypernet->ops = ops_create(engine_backend(engine))) == NULL ||
	    (hypernet->spare = calloc(1, sizeof *hypernet->spare)) == NULL) {
		t2l_hypernet_close(hypernet);
		return t2l_fail(err, T2L_ENOMEM, "hypernet: out of memory");
	}
	hypernet->engine = engine;
	hypernet->spare->references = 1;
	status = hypernet_load(path, &hypernet->network, &origin, hypernet->facts.fingerprint, err);
	if (status != T2L_OK) {
		t2l_hypernet_close(hypernet);
		return status;
	}
	fill_facts(hypernet, &origin);
	*out = hypernet;
	return T2L_OK;
}

/* ---- as a file ---- */

bool
t2l_hypernet_is(const char *path)
{
	struct safetensors *st;
	const char *kind;
	char file[4096];
	bool found = false;

	/* A folder of tensors that is no checkpoint has no hypermod.pt. */
	if (hypernet_is_reference(path))
		return hypernet_reference_weights(path, file, sizeof file);
	if (safetensors_open(path, &st, NULL) != T2L_OK)
		return false;
	kind = safetensors_metadata(st, "t2l.kind");
	found = kind != NULL && strcmp(kind, "hypernet") == 0;
	safetensors_close(st);
	return found;
}

enum t2l_status
t2l_hypernet_convert(
    const char *path, const char *output, const char *dtype_text, struct t2l_error *err)
{
	static const struct {
		const char *name;
		enum dtype dtype;
	} known_types[] = { { "fp32", DTYPE_F32 }, { "fp16", DTYPE_F16 }, { "bf16", DTYPE_BF16 } };
	struct hypernet_network *network;
	struct hypernet_origin origin;
	enum t2l_status status;
	char fingerprint[65];
	size_t type = 0;

	while (dtype_text != NULL && type < 3 && strcmp(dtype_text, known_types[type].name) != 0)
		type++;
	if (type == 3)
		return t2l_fail(err, T2L_EINVAL, "'%s' is not fp32, fp16 or bf16", dtype_text);
	if ((status = hypernet_load(path, &network, &origin, fingerprint, err)) != T2L_OK)
		return t2l_context(err, "convert");
	status = hypernet_save(network, &origin, known_types[type].dtype, output, err);
	hypernet_free(network);
	return status == T2L_OK ? T2L_OK : t2l_context(err, "convert");
}

void
t2l_hypernet_close(struct t2l_hypernet *hypernet)
{
	if (hypernet == NULL)
		return;
	hypernet_free(hypernet->network);
	ops_free(hypernet->ops);
	spare_release(hypernet->spare);
	free(hypernet);
}

const struct t2l_hypernet_facts *
t2l_hypernet_facts(const struct t2l_hypernet *hypernet)
{
	return &hypernet->facts;
}

/* ---- what it belongs to ---- */

static bool
other_identity(const char *expected, const char *found)
{
	return expected[0] != '\0' && strcmp(expected, found) != 0;
}

static const char *
known(const char *name)
{
	return name[0] != '\0' ? name : "(unnamed)";
}

static enum t2l_status
check_base(
    const struct t2l_hypernet *hypernet, const struct t2l_model *model, struct t2l_error *err)
{
	const struct hypernet_config *config = &hypernet->network->config;
	const struct decoder_config *base = &model->base->decoder.config;
	const struct t2l_hypernet_facts *facts = &hypernet->facts;
	const struct t2l_model_facts *found = t2l_model_facts(model);

	if (config->n_layers != base->n_layers)
		return t2l_fail(err, T2L_EMISMATCH,
		    "hypernet '%s' makes adapters of %d layers for base '%s'; '%s' has %d",
		    known(facts->name), config->n_layers, known(facts->base_name), found->name,
		    base->n_layers);
	for (int i = 0; i < config->n_modules; i++) {
		int64_t in = decoder_module_in(base, config->modules[i]);
		int64_t out = decoder_module_out(base, config->modules[i]);

		if (in != config->in[i] || out != config->out[i])
			return t2l_fail(err, T2L_EMISMATCH,
			    "hypernet '%s' was made for base '%s': its %s is %" PRId64 " x %" PRId64
			    ", that of '%s' %" PRId64 " x %" PRId64,
			    known(facts->name), known(facts->base_name),
			    module_name(config->modules[i]), config->out[i], config->in[i],
			    found->name, out, in);
	}
	if (other_identity(facts->base_fingerprint, found->fingerprint))
		return t2l_fail(err, T2L_EMISMATCH,
		    "hypernet '%s' was trained for the weights of '%s' (%.12s...), not for '%s' "
		    "(%.12s...)",
		    known(facts->name), known(facts->base_name), facts->base_fingerprint,
		    found->name, found->fingerprint);
	return T2L_OK;
}

static enum t2l_status
check_encoder(
    const struct t2l_hypernet *hypernet, const struct t2l_encoder *encoder, struct t2l_error *err)
{
	const struct t2l_hypernet_facts *facts = &hypernet->facts;
	const struct t2l_encoder_facts *found = t2l_encoder_facts(encoder);

	if (facts->embedding_size != found->dimension)
		return t2l_fail(err, T2L_EMISMATCH,
		    "hypernet '%s' wants embeddings of %d numbers from encoder '%s'; '%s' gives %d",
		    known(facts->name), facts->embedding_size, known(facts->encoder_name),
		    found->name, found->dimension);
	if (other_identity(facts->encoder_fingerprint, found->fingerprint))
		return t2l_fail(err, T2L_EMISMATCH,
		    "hypernet '%s' was trained with encoder '%s' (%.12s...), not with '%s' "
		    "(%.12s...)",
		    known(facts->name), known(facts->encoder_name), facts->encoder_fingerprint,
		    found->name, found->fingerprint);
	return T2L_OK;
}

enum t2l_status
t2l_hypernet_check(const struct t2l_hypernet *hypernet, const struct t2l_model *model,
    const struct t2l_encoder *encoder, struct t2l_error *err)
{
	enum t2l_status status = model != NULL ? check_base(hypernet, model, err) : T2L_OK;

	if (status == T2L_OK && encoder != NULL)
		status = check_encoder(hypernet, encoder, err);
	return status;
}

/* ---- description -> embedding ---- */

enum t2l_status
t2l_hypernet_check_describable(const struct t2l_hypernet *hypernet, struct t2l_error *err)
{
	if (!hypernet->network->config.one_hot)
		return T2L_OK;
	return t2l_fail(err, T2L_EINVAL,
	    "hypernet '%s' takes no descriptions: it was trained on one-hot vectors of %d tasks; "
	    "give such a vector with --embedding",
	    known(hypernet->facts.name), hypernet->facts.embedding_size);
}

/* *TEXT: what the encoder is given for TASK; free() it, also after an error. */
static enum t2l_status
prepare(const struct t2l_hypernet *hypernet, const struct t2l_encoder *encoder, const char *task,
    char **text, struct t2l_error *err)
{
	enum t2l_status status = hypernet->network->config.instruct
				     ? hypernet_prepare_instruction(task, text, err)
				     : hypernet_prepare_description(task, text, err);

	return status == T2L_OK ? hypernet_check_words(encoder->text, task, err) : status;
}

enum t2l_status
t2l_hypernet_embed_many(const struct t2l_hypernet *hypernet, struct t2l_encoder *encoder,
    const char *const *tasks, size_t n, float *out, size_t *refused, struct t2l_error *err)
{
	const size_t size = (size_t)hypernet->facts.embedding_size;
	const float length = sqrtf((float)size);
	enum t2l_status status = t2l_hypernet_check_describable(hypernet, err);
	size_t n_prepared = 0;
	char **texts = NULL;

	if (status == T2L_OK)
		status = t2l_hypernet_check(hypernet, NULL, encoder, err);
	if (status == T2L_OK && (texts = calloc(n > 0 ? n : 1, sizeof *texts)) == NULL)
		status = t2l_fail(err, T2L_ENOMEM, "hypernet: out of memory");
	while (status == T2L_OK && n_prepared < n &&
	       (status = prepare(hypernet, encoder, tasks[n_prepared], &texts[n_prepared], err)) ==
		   T2L_OK)
		n_prepared++;
	if (refused != NULL) /* what fails from here on is no single description's fault */
		*refused = texts != NULL ? n_prepared : n;
	if (status == T2L_OK)
		status = t2l_encoder_embed(encoder, (const char *const *)texts, n, out, err);
	for (size_t i = 0; texts != NULL && i < n; i++)
		free(texts[i]);
	free(texts);
	for (size_t i = 0; i < n * size && status == T2L_OK; i++)
		out[i] *= length;
	return status;
}

enum t2l_status
t2l_hypernet_embed(const struct t2l_hypernet *hypernet, struct t2l_encoder *encoder,
    const char *task, float *out, struct t2l_error *err)
{
	return t2l_hypernet_embed_many(hypernet, encoder, &task, 1, out, NULL, err);
}

/* ---- embedding -> adapter ---- */

/* What one pass gave: for module type i a[i] [tasks, layers, rank, in], bt[i] [.., out], and the
 * memory that they lie in. */
struct made {
	struct tensor *a[N_MODULES], *bt[N_MODULES];
	struct adapter_block *block;
};

/* The numbers of layer LAYER of task TASK out of x [tasks, layers, rank, cols]; they stay there. */
static struct tensor
of_layer(const struct tensor *x, int64_t task, int64_t layer)
{
	struct tensor part = { .data = tensor_f32(x) +
				       (task * x->shape[1] + layer) * x->shape[2] * x->shape[3] };

	part.shape[1] = x->shape[3];
	return part;
}

/* The adapter of one task, over the numbers as they lie. */
static enum t2l_status
make_adapter(const struct t2l_hypernet *hypernet, const struct made *made, int64_t task,
    const char *label, struct t2l_adapter **out, struct t2l_error *err)
{
	const struct hypernet_config *config = &hypernet->network->config;
	const size_t n = (size_t)config->n_layers * (size_t)config->n_modules;
	const struct adapter_labels labels = {
		.task = label,
		.base_name = hypernet->facts.base_name,
		.base_fingerprint = hypernet->facts.base_fingerprint,
		.hypernet = hypernet->facts.fingerprint,
		.encoder = hypernet->facts.encoder_name,
	};
	struct adapter_module *modules = calloc(n, sizeof *modules);
	enum t2l_status status;

	if (modules == NULL)
		return t2l_fail(err, T2L_ENOMEM, "hypernet: out of memory");
	for (size_t i = 0; i < n; i++) {
		int type = (int)(i % (size_t)config->n_modules);
		int layer = (int)(i / (size_t)config->n_modules);

		modules[i].layer = layer;
		modules[i].module = config->modules[type];
		modules[i].rank = config->rank;
		modules[i].alpha = config->lora_alpha;
		modules[i].a = of_layer(made->a[type], task, layer);
		modules[i].bt = of_layer(made->bt[type], task, layer);
		hypernet_finish(hypernet->network, type, 0, layer, modules[i].a.data);
		hypernet_finish(hypernet->network, type, 1, layer, modules[i].bt.data);
	}
	status = adapter_create_in(made->block, modules, n, config->use_rslora, &labels, out, err);
	free(modules);
	return status;
}

/* One pass for N tasks; the engine is locked. The caller releases the block. */
static enum t2l_status
run_pass(struct t2l_hypernet *hypernet, const float *embeddings, size_t n, struct made *made,
    struct t2l_error *err)
{
	const int64_t shape[] = { (int64_t)n, hypernet->network->config.embedding_size };
	struct ops *results;
	struct tensor *x;
	enum t2l_status status;

	if ((made->block = results_make(hypernet, n, &results)) == NULL)
		return t2l_fail(err, T2L_ENOMEM, "hypernet: out of memory");
	ops_reset(hypernet->ops);
	x = ops_tensor(hypernet->ops, 2, shape, false);
	if (x != NULL)
		memcpy(x->data, embeddings, (size_t)tensor_count(x) * sizeof(float));
	if (hypernet_forward_into(hypernet->ops, results, hypernet->network, x, made->a, made->bt))
		return T2L_OK;
	status = ops_status(hypernet->ops, err);
	return status != T2L_OK ? status : ops_status(results, err);
}

/* The adapters of a pass, taken in turn by several threads: hashing them takes a fifth of the time
 * of making them, and one core alone would let the others wait. */
struct finishing {
	const struct t2l_hypernet *hypernet;
	const struct made *made;
	const char *const *tasks;
	struct t2l_adapter **adapters;
	struct t2l_error *errors; /* of each */
	size_t n, next;		  /* next: atomic */
};

static void *
finish_some(void *argument)
{
	struct finishing *job = argument;
	size_t i;

	while ((i = __atomic_fetch_add(&job->next, 1, __ATOMIC_RELAXED)) < job->n) {
		struct t2l_error *err = &job->errors[i];

		err->status = make_adapter(job->hypernet, job->made, (int64_t)i,
		    job->tasks != NULL ? job->tasks[i] : NULL, &job->adapters[i], err);
		if (err->status == T2L_OK)
			err->status = adapter_seal(job->adapters[i], err);
		if (err->status == T2L_EFORMAT || err->status == T2L_EINVAL)
			t2l_context(err, "hypernet '%s'", known(job->hypernet->facts.name));
	}
	return NULL;
}

/* The first error there is, whatever the order in which they came to be. */
static enum t2l_status
finish_all(struct finishing *job, struct t2l_error *err)
{
	size_t n_threads = (size_t)t2l_engine_threads(job->hypernet->engine), started = 0;
	pthread_t threads[MAX_FINISHERS];
	enum t2l_status status = T2L_OK;

	job->errors = calloc(job->n, sizeof *job->errors);
	if (job->errors == NULL)
		return t2l_fail(err, T2L_ENOMEM, "hypernet: out of memory");
	n_threads = n_threads < job->n ? n_threads : job->n;
	while (started + 1 < n_threads && started < MAX_FINISHERS &&
	       pthread_create(&threads[started], NULL, finish_some, job) == 0)
		started++;
	finish_some(job);
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < job->n && status == T2L_OK; i++) {
		status = job->errors[i].status;
		if (status != T2L_OK && err != NULL)
			*err = job->errors[i];
	}
	free(job->errors);
	return status;
}

/* N tasks at once. */
static enum t2l_status
generate_some(struct t2l_hypernet *hypernet, const float *embeddings, const char *const *tasks,
    size_t n, struct t2l_adapter **adapters, struct t2l_error *err)
{
	struct made made = { .block = NULL };
	struct finishing job = {
		.hypernet = hypernet, .made = &made, .tasks = tasks, .adapters = adapters, .n = n
	};
	enum t2l_status status;

	engine_lock(hypernet->engine);
	status = run_pass(hypernet, embeddings, n, &made, err);
	engine_unlock(hypernet->engine);
	if (status == T2L_OK)
		status = finish_all(&job, err);
	adapter_block_release(made.block);
	return status;
}

enum t2l_status
t2l_hypernet_generate_many(struct t2l_hypernet *hypernet, const float *task_embeddings,
    const char *const *tasks, size_t n, struct t2l_adapter **out, struct t2l_error *err)
{
	const size_t size = (size_t)hypernet->facts.embedding_size;
	const size_t per_pass = (size_t)hypernet->facts.adapters_a_pass;
	struct t2l_adapter **adapters = calloc(n > 0 ? n : 1, sizeof(struct t2l_adapter *));
	enum t2l_status status = T2L_OK;

	if (adapters == NULL)
		return t2l_fail(err, T2L_ENOMEM, "hypernet: out of memory");
	for (size_t i = 0, some; i < n && status == T2L_OK; i += some) {
		some = n - i < per_pass ? n - i : per_pass;
		status = generate_some(hypernet, task_embeddings + i * size,
		    tasks != NULL ? tasks + i : NULL, some, adapters + i, err);
	}
	for (size_t i = 0; i < n; i++) {
		if (status == T2L_OK)
			out[i] = adapters[i];
		else
			t2l_adapter_close(adapters[i]);
	}
	free(adapters);
	return status == T2L_OK ? T2L_OK : t2l_context(err, "generate");
}

enum t2l_status
t2l_hypernet_generate(struct t2l_hypernet *hypernet, const float *task_embedding, const char *task,
    struct t2l_adapter **adapter, struct t2l_error *err)
{
	return t2l_hypernet_generate_many(
	    hypernet, task_embedding, (const char *const[]){ task }, 1, adapter, err);
}
