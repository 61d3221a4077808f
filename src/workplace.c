/* workplace.c - opens engine, base, encoder, hypernet and catalog when first asked, and keeps them.
 */

#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/hypernet-settings.h"
#include "src/settings.h"
#include "src/workplace.h"

struct workplace {
	struct store *store;
	struct t2l_engine *engine;
	struct t2l_model *model, *text_model;
	struct t2l_encoder *encoder;
	struct t2l_hypernet *hypernet;
	char model_path[PATH_MAX], text_path[PATH_MAX], encoder_path[PATH_MAX],
	    hypernet_path[PATH_MAX];
	char share[PATH_MAX], home[PATH_MAX];
	bool precise;
};

struct workplace *
workplace_new(void)
{
	return calloc(1, sizeof(struct workplace));
}

void
workplace_free(struct workplace *workplace)
{
	if (workplace == NULL)
		return;
	t2l_hypernet_close(workplace->hypernet);
	t2l_encoder_close(workplace->encoder);
	t2l_model_close(workplace->model);
	t2l_model_close(workplace->text_model);
	t2l_engine_close(workplace->engine);
	store_close(workplace->store);
	free(workplace);
}

/* ---- places ---- */

static bool
has_models(const char *folder)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof path, "%s/models", folder) < (int)sizeof path &&
	       access(path, R_OK) == 0;
}

/* Beside the program: installed (bin/../share/t2l), or in the build folder inside the sources. */
static bool
share_beside_program(char *share, size_t size)
{
	static const char *const places[] = { "../share/t2l", "../../share", "../../../share" };
	char program[PATH_MAX], *slash;
	ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);

	if (n <= 0)
		return false;
	program[n] = '\0';
	slash = strrchr(program, '/');
	if (slash == NULL)
		return false;
	*slash = '\0';
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
		if (snprintf(share, size, "%s/%s", program, places[i]) < (int)size &&
		    has_models(share))
			return true;
	return false;
}

const char *
workplace_share(struct context *ctx)
{
	char *share = ctx->workplace->share;
	const char *set = getenv("T2L_DATADIR");

	if (share[0] != '\0')
		return share;
	if (set != NULL && set[0] != '\0')
		snprintf(share, PATH_MAX, "%s", set);
	else if (has_models(T2L_DATADIR) || !share_beside_program(share, PATH_MAX))
		snprintf(share, PATH_MAX, "%s", T2L_DATADIR);
	return share;
}

const char *
workplace_home(struct context *ctx)
{
	char *home = ctx->workplace->home;
	const char *own = getenv("T2L_HOME"), *data = getenv("XDG_DATA_HOME");
	char user[PATH_MAX];

	if (own != NULL && own[0] != '\0')
		snprintf(home, PATH_MAX, "%s", own);
	else if (data != NULL && data[0] == '/')
		snprintf(home, PATH_MAX, "%s/t2l", data);
	else {
		settings_user_home(user, sizeof user);
		if (snprintf(home, PATH_MAX, "%s/.local/share/t2l", user) >= PATH_MAX)
			home[0] = '\0';
	}
	return home;
}

/* ---- opening ---- */

bool
workplace_store(struct context *ctx, struct store **store)
{
	struct workplace *workplace = ctx->workplace;
	char message[1024];

	if (workplace->store == NULL && store_open(workplace_home(ctx), STORE_READ_WRITE, message,
					    sizeof message, &workplace->store) != STORE_OK) {
		context_fail(ctx, "%s", message);
		return false;
	}
	*store = workplace->store;
	return true;
}

bool
workplace_engine(struct context *ctx, struct t2l_engine **engine)
{
	struct workplace *workplace = ctx->workplace;
	struct t2l_engine_options options = {
		.n_threads = atoi(setting_get(ctx->settings, "engine.threads", NULL)),
		.isa = setting_get(ctx->settings, "engine.isa", NULL),
		.precise = workplace->precise ||
			   strcmp(setting_get(ctx->settings, "engine.mixed_precision", NULL),
			       "false") == 0,
	};
	const char *origin, *device = setting_get(ctx->settings, "engine.device", &origin);
	struct t2l_error err;

	if (workplace->engine == NULL) {
		if (t2l_engine_open(&options, &workplace->engine, &err) != T2L_OK) {
			context_fail_error(ctx, &err);
			return false;
		}
		if (strcmp(device, "cuda") == 0)
			note(ctx, "%s: this build has no CUDA backend; the processor is used",
			    origin);
	}
	*engine = workplace->engine;
	return true;
}

static void
close_all_on_engine(struct workplace *workplace)
{
	t2l_hypernet_close(workplace->hypernet);
	t2l_encoder_close(workplace->encoder);
	t2l_model_close(workplace->model);
	t2l_engine_close(workplace->engine);
	workplace->hypernet = NULL;
	workplace->encoder = NULL;
	workplace->model = NULL;
	workplace->engine = NULL;
}

void
workplace_precise(struct context *ctx, bool precise)
{
	if (ctx->workplace->precise != precise)
		close_all_on_engine(ctx->workplace);
	ctx->workplace->precise = precise;
}

/* A name that is no path may be one of share/models, of HOME/models, or one the catalog knows. */
bool
workplace_find_model(struct context *ctx, const char *name, char *path, size_t size)
{
	struct store_model *known = NULL;
	struct store *store;

	snprintf(path, size, "%s", name);
	if (access(path, F_OK) == 0)
		return true;
	if (strchr(name, '/') != NULL)
		return false;
	snprintf(path, size, "%s/models/%s", workplace_share(ctx), name);
	if (access(path, F_OK) == 0)
		return true;
	snprintf(path, size, "%s/models/%s", workplace_home(ctx), name);
	if (access(path, F_OK) == 0)
		return true;
	snprintf(path, size, "%s", name);
	if (!workplace_store(ctx, &store) ||
	    store_model_find(store, NULL, name, &known) != STORE_OK)
		return false;
	snprintf(path, size, "%s", known->path);
	store_free(known);
	return true;
}

static void
remember_model(struct context *ctx, const char *path, const char *kind, const char *name,
    const char *architecture, const char *fingerprint)
{
	struct store_model model = { .path = path,
		.name = name,
		.kind = kind,
		.architecture = architecture,
		.fingerprint = fingerprint };
	char whole[PATH_MAX];
	struct store *store;

	/* What share/ holds needs no remembering. */
	if (strncmp(path, workplace_share(ctx), strlen(workplace_share(ctx))) == 0 ||
	    realpath(path, whole) == NULL || !workplace_store(ctx, &store) ||
	    store_is_read_only(store))
		return;
	model.path = whole;
	if (store_model_put(store, &model) != STORE_OK && ctx->verbose)
		note(ctx, "the model is not remembered: %s", store_error(store));
}

/* NAME NULL: the configured base, else the demo's. */
static void
find_base(struct context *ctx, const char *name, char path[PATH_MAX])
{
	if (name == NULL)
		name = setting_get(ctx->settings, "base.model", NULL);
	workplace_find_model(ctx, name != NULL ? name : "demo-base", path, PATH_MAX);
}

/* Tells where PATH was looked for when it is not there. */
static bool
is_there(struct context *ctx, const char *path)
{
	if (access(path, F_OK) == 0)
		return true;
	context_fail(ctx,
	    "'%s' is no file or directory, is not in '%s/models' (set T2L_DATADIR when t2l's "
	    "shared files are elsewhere), and the catalog does not know it",
	    path, workplace_share(ctx));
	return false;
}

bool
workplace_text_model(struct context *ctx, const char *name, struct t2l_model **model)
{
	struct workplace *workplace = ctx->workplace;
	char path[PATH_MAX];
	struct t2l_error err;

	find_base(ctx, name, path);
	if (workplace->text_model == NULL || strcmp(path, workplace->text_path) != 0) {
		struct t2l_model *opened;

		if (!is_there(ctx, path))
			return false;
		if (t2l_model_open_text(path, &opened, &err) != T2L_OK) {
			context_fail_error(ctx, &err);
			return false;
		}
		t2l_model_close(workplace->text_model);
		workplace->text_model = opened;
		snprintf(workplace->text_path, PATH_MAX, "%s", path);
	}
	*model = workplace->text_model;
	return true;
}

bool
workplace_model(struct context *ctx, const char *name, struct t2l_model **model)
{
	struct workplace *workplace = ctx->workplace;
	char path[PATH_MAX];
	struct t2l_engine *engine;
	struct t2l_error err;

	find_base(ctx, name, path);
	if (workplace->model == NULL || strcmp(path, workplace->model_path) != 0) {
		struct t2l_model *opened;

		if (!is_there(ctx, path) || !workplace_engine(ctx, &engine))
			return false;
		if (t2l_model_open(engine, path, &opened, &err) != T2L_OK) {
			context_fail_error(ctx, &err);
			return false;
		}
		t2l_model_close(workplace->model);
		workplace->model = opened;
		snprintf(workplace->model_path, PATH_MAX, "%s", path);
		const struct t2l_model_facts *facts = t2l_model_facts(opened);

		remember_model(
		    ctx, path, "base", facts->name, facts->architecture, facts->fingerprint);
	}
	*model = workplace->model;
	return true;
}

bool
workplace_hypernet(
    struct context *ctx, const char *name, const char *variant, struct t2l_hypernet **hypernet)
{
	struct workplace *workplace = ctx->workplace;
	char path[PATH_MAX], file[64];
	struct t2l_engine *engine;
	struct t2l_error err;

	if (variant == NULL)
		variant = setting_get(ctx->settings, "hypernet.variant", NULL);
	if (name == NULL)
		name = setting_get(ctx->settings, "hypernet.path", NULL);
	if (name == NULL) {
		snprintf(file, sizeof file, "demo-%s.safetensors", variant);
		name = file;
	}
	workplace_find_model(ctx, name, path, sizeof path);
	if (workplace->hypernet == NULL || strcmp(path, workplace->hypernet_path) != 0) {
		struct t2l_hypernet *opened;

		if (!is_there(ctx, path) || !workplace_engine(ctx, &engine))
			return false;
		if (t2l_hypernet_open(engine, path, &opened, &err) != T2L_OK) {
			context_fail_error(ctx, &err);
			return false;
		}
		t2l_hypernet_close(workplace->hypernet);
		workplace->hypernet = opened;
		snprintf(workplace->hypernet_path, PATH_MAX, "%s", path);
		hypernet_settings_tell(ctx, opened);
	}
	*hypernet = workplace->hypernet;
	return true;
}

bool
workplace_encoder(struct context *ctx, const char *name, struct t2l_encoder **encoder)
{
	struct workplace *workplace = ctx->workplace;
	char path[PATH_MAX];
	struct t2l_engine *engine;
	struct t2l_error err;

	if (name == NULL)
		name = setting_get(ctx->settings, "encoder.path", NULL);
	if (name == NULL && workplace->hypernet != NULL)
		name = t2l_hypernet_facts(workplace->hypernet)->encoder_name;
	if (name == NULL || name[0] == '\0')
		name = "demo-encoder";
	workplace_find_model(ctx, name, path, sizeof path);
	if (workplace->encoder == NULL || strcmp(path, workplace->encoder_path) != 0) {
		struct t2l_encoder *opened;

		if (!workplace_engine(ctx, &engine))
			return false;
		if (t2l_encoder_open(engine, path, &opened, &err) != T2L_OK) {
			context_fail(ctx,
			    "%s\nThe task encoder is not there: share/get-minilm fetches "
			    "all-MiniLM-L6-v2, --encoder names another",
			    err.message);
			return false;
		}
		t2l_encoder_close(workplace->encoder);
		workplace->encoder = opened;
		snprintf(workplace->encoder_path, PATH_MAX, "%s", path);
	}
	*encoder = workplace->encoder;
	return true;
}

bool
workplace_encoder_for(struct context *ctx, const struct t2l_hypernet *hypernet, const char *name,
    struct t2l_encoder **encoder)
{
	struct t2l_error err;

	if (t2l_hypernet_check_describable(hypernet, &err) == T2L_OK)
		return workplace_encoder(ctx, name, encoder);
	context_fail_error(ctx, &err);
	return false;
}

/* ---- adapters by name ---- */

/* The catalog first for what looks like a name, the file system for what is there. */
bool
workplace_adapter(struct context *ctx, const char *text, struct t2l_adapter **adapter, int64_t *id)
{
	struct store_adapter *row = NULL;
	struct t2l_error err;
	struct store *store;

	*id = 0;
	if (strchr(text, '/') == NULL && access(text, F_OK) != 0) {
		if (!workplace_store(ctx, &store))
			return false;
		if (store_find(store, text, &row) != STORE_OK) {
			context_fail(ctx, "%s", store_error(store));
			return false;
		}
		*id = row->id;
		text = row->path;
	}
	bool opened = t2l_adapter_open(text, adapter, &err) == T2L_OK;

	if (!opened)
		context_fail_error(ctx, &err);
	if (opened && row != NULL && !store_is_read_only(store))
		store_touch(store, id, 1);
	store_free(row);
	return opened;
}

void
mix_release(struct mix *mix)
{
	for (size_t i = 0; i < mix->n; i++)
		t2l_adapter_close((struct t2l_adapter *)mix->adapters[i]);
	free(mix->adapters);
	free(mix->weights);
	free(mix->label);
	*mix = (struct mix){ 0 };
}

/* "name:0.5" -> name and weight; a colon that is no weight (a path) stays in the name. */
static double
cut_weight(char *part)
{
	char *colon = strrchr(part, ':'), *end;
	double weight;

	if (colon == NULL || colon[1] == '\0')
		return 1;
	weight = strtod(colon + 1, &end);
	if (*end != '\0' || !(weight >= -1000 && weight <= 1000))
		return 1;
	*colon = '\0';
	return weight;
}

static bool
mix_add(struct context *ctx, struct mix *mix, char *part)
{
	const struct t2l_adapter **adapters =
	    realloc(mix->adapters, (mix->n + 1) * sizeof *adapters);
	float *weights = realloc(mix->weights, (mix->n + 1) * sizeof *weights);
	double weight = cut_weight(part);
	struct t2l_adapter *adapter;

	mix->adapters = adapters ? adapters : mix->adapters;
	mix->weights = weights ? weights : mix->weights;
	if (adapters == NULL || weights == NULL) {
		context_fail(ctx, "out of memory");
		return false;
	}
	if (!workplace_adapter(ctx, part, &adapter, &mix->adapter_id))
		return false;
	adapters[mix->n] = adapter;
	weights[mix->n++] = (float)weight;
	return true;
}

bool
mix_parse(struct context *ctx, const char *text, struct mix *mix)
{
	char *copy = strdup(text), *rest = copy;
	bool fine = copy != NULL;

	*mix = (struct mix){ .label = strdup(text) };
	if (strcmp(text, "base") == 0 || strcmp(text, "none") == 0) {
		free(copy);
		return mix->label != NULL;
	}
	/* A file or name with a plus in it is itself. */
	if (fine && access(text, F_OK) == 0)
		fine = mix_add(ctx, mix, copy);
	else
		for (char *part; fine && (part = strsep(&rest, "+")) != NULL;)
			if (part[0] == '\0')
				fine = (context_fail(
					    ctx, "'%s': an adapter is missing beside '+'", text),
				    false);
			else
				fine = mix_add(ctx, mix, part);
	if (mix->n != 1)
		mix->adapter_id = 0;
	free(copy);
	if (!fine)
		mix_release(mix);
	return fine;
}

/* ---- keeping ---- */

/* The embedding of the task, for search by meaning; false when no encoder is open or wanted. */
static bool
embed_task(struct context *ctx, const char *task, struct store_vector *vector, float **values)
{
	struct t2l_encoder *encoder = ctx->workplace->encoder;

	if (encoder == NULL || task[0] == '\0')
		return false;
	const struct t2l_encoder_facts *facts = t2l_encoder_facts(encoder);

	*values = malloc((size_t)facts->dimension * sizeof **values);
	if (*values == NULL || t2l_encoder_embed(encoder, &task, 1, *values, NULL) != T2L_OK)
		return false;
	*vector = (struct store_vector){ facts->fingerprint, *values, (size_t)facts->dimension };
	return true;
}

/* Saves to a temporary file beside the catalog; the store takes a copy under the content's hash. */
static bool
save_temporary(struct context *ctx, const struct t2l_adapter *adapter, char *path, size_t size)
{
	struct t2l_error err;
	int fd;

	snprintf(path, size, "%s/.keep-XXXXXX", workplace_home(ctx));
	fd = mkstemp(path);
	if (fd < 0) {
		context_fail(ctx,
		    "cannot write in the data home '%s': %s; set T2L_HOME to a directory you can "
		    "write, or use --output",
		    workplace_home(ctx), strerror(errno));
		return false;
	}
	close(fd);
	if (t2l_adapter_save(adapter, path, &err) != T2L_OK) {
		context_fail_error(ctx, &err);
		unlink(path);
		return false;
	}
	return true;
}

static bool
tell_twin(struct context *ctx, struct store *store, int64_t id, struct kept *kept)
{
	struct store_adapter *twin;

	if (store_get(store, id, &twin) != STORE_OK) {
		context_fail(ctx, "%s", store_error(store));
		return false;
	}
	snprintf(kept->twin, sizeof kept->twin, "%s", twin->name);
	if (kept->again) {
		kept->id = id;
		snprintf(kept->name, sizeof kept->name, "%s", twin->name);
		snprintf(kept->path, sizeof kept->path, "%s", twin->path);
	}
	store_free(twin);
	return true;
}

static bool
note_content(struct store *store, int64_t id)
{
	struct store_adapter *row;
	struct t2l_adapter *adapter;
	struct t2l_error err;
	bool fine = true;

	if (store_get(store, id, &row) != STORE_OK)
		return false;
	if (t2l_adapter_open(row->path, &adapter, &err) == T2L_OK) {
		fine = store_set_content(store, id, t2l_adapter_facts(adapter)->hash) == STORE_OK;
		t2l_adapter_close(adapter);
	}
	store_free(row);
	return fine;
}

bool
workplace_note_contents(struct context *ctx)
{
	struct store_ids *ids;
	struct store *store;
	bool fine = true;

	if (!workplace_store(ctx, &store))
		return false;
	if (store_is_read_only(store))
		return true;
	if (store_without_content(store, SIZE_MAX, &ids) != STORE_OK) {
		context_fail(ctx, "%s", store_error(store));
		return false;
	}
	for (size_t i = 0; i < ids->n_rows && fine; i++) {
		fine = note_content(store, ids->rows[i]);
		progress(ctx, "looking at what is there", (double)i, (double)ids->n_rows,
		    "adapters", -1);
	}
	if (!fine)
		context_fail(ctx, "%s", store_error(store));
	store_free(ids);
	return fine;
}

bool
workplace_keep(struct context *ctx, const struct t2l_adapter *adapter,
    const struct keep_options *options, struct kept *kept)
{
	const struct t2l_adapter_facts *facts = t2l_adapter_facts(adapter);
	struct store_vector vector;
	struct store_added added;
	struct store *store;
	char path[PATH_MAX];
	float *values = NULL;
	int source = store_source_parse(options->source);
	bool fine;

	if (!workplace_store(ctx, &store) || !save_temporary(ctx, adapter, path, sizeof path))
		return false;
	bool has_vector = embed_task(ctx, facts->task, &vector, &values);
	struct store_new row = {
		.name = options->name ? options->name : facts->name,
		.uniquify = options->name == NULL,
		.task = facts->task,
		.base_name = facts->base_name,
		.base_fingerprint = facts->base_fingerprint,
		.hypernet_fingerprint = facts->hypernet,
		.encoder_name = facts->encoder,
		.modules = facts->modules,
		.rank = (uint32_t)facts->rank,
		.rslora = facts->use_rslora,
		.alpha = facts->lora_alpha,
		.scale = facts->scale,
		.source = (enum store_source)source,
		.generation_ms = options->generation_ms,
		.note = options->note,
		.tags = options->tags,
		.n_tags = options->n_tags,
		.parents = options->parents,
		.n_parents = options->n_parents,
		.vector = has_vector ? &vector : NULL,
		.file = path,
		.content = facts->hash,
		.refuse_twin = options->refuse_twin,
	};

	if (ctx->workplace->hypernet != NULL)
		row.hypernet_name = t2l_hypernet_facts(ctx->workplace->hypernet)->name;
	enum store_status status = store_add(store, &row, &added);

	*kept = (struct kept){ .id = added.id };
	kept->again = status == STORE_EEXISTS && options->refuse_twin && added.twin != 0;
	fine = status == STORE_OK || kept->again;
	if (!fine)
		context_fail(ctx, "%s", store_error(store));
	else if (added.twin != 0)
		fine = tell_twin(ctx, store, added.twin, kept);
	if (fine && !kept->again) {
		snprintf(kept->name, sizeof kept->name, "%s", added.name);
		snprintf(kept->path, sizeof kept->path, "%s/adapters/%.2s/%s.safetensors",
		    workplace_home(ctx), added.hash, added.hash);
	}
	unlink(path);
	free(values);
	return fine;
}
