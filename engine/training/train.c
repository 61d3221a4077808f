/* train.c - the loop of every training: step, clip, update, log, checkpoint, resume. */

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/atomic-file.h"
#include "base/buffer.h"
#include "base/file.h"
#include "engine/engine.h"
#include "engine/error.h"
#include "engine/training/optimiser.h"
#include "engine/training/random.h"
#include "engine/training/trainer.h"

#define MAX_LOG_BYTES ((size_t)1 << 30)

static const struct trainer_kind *const kinds[] = {
	[T2L_TRAIN_BASE] = &trainer_base,
	[T2L_TRAIN_LORA] = &trainer_lora,
	[T2L_TRAIN_MULTI_TASK] = &trainer_multi_task,
	[T2L_TRAIN_SUPERVISED] = &trainer_supervised,
	[T2L_TRAIN_ENCODER] = &trainer_encoder,
};

void
t2l_train_defaults(struct t2l_train_options *options)
{
	*options = (struct t2l_train_options){
		.mode = T2L_TRAIN_SUPERVISED,
		.variant = "L",
		.latent_size = 128,
		.head_in_size = 512,
		.modules = "q_proj,v_proj",
		.rank = 8,
		.lora_alpha = 16,
		.use_rslora = true,
		.save_dtype = "f16",
		.context_length = 1024,
		.rope_theta = 10000,
		.steps = 1000,
		.learning_rate = 1e-3f,
		.beta1 = 0.9f,
		.beta2 = 0.98f,
		.epsilon = 1e-8f,
		.clip = 1,
		.schedule = T2L_SCHEDULE_HOLD_LINEAR,
		.warmup_steps = 30,
		.hold = 0.5f,
		.final = 0.02f,
		.weighting = T2L_WEIGHT_TASKS,
		.batch_tasks = 32,
		.batch_points = 4,
		.row_tokens = 128,
		.seed = 1,
		.checkpoint_every = 200,
		.log_every = 10,
	};
}

int32_t
deck_deal(struct deck *deck, uint64_t seed, int64_t card)
{
	int64_t round = card / deck->n;

	if (deck->round != round) {
		struct random random = random_at(seed, STREAM_TASKS, (uint64_t)round);

		random_permutation(&random, deck->order, deck->n);
		deck->round = round;
	}
	return deck->order[card % deck->n];
}

static double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

bool
trainer_report(struct trainer *trainer, const char *phase, int64_t done, int64_t all)
{
	struct t2l_train_progress progress = {
		.step = done,
		.steps = all,
		.eta_s = -1,
		.phase = phase,
	};

	return trainer->on_progress == NULL || trainer->on_progress(trainer->user, &progress);
}

enum update_rule
trainer_rule(const struct trainer *trainer, bool hidden)
{
	return hidden && trainer->options->muon_learning_rate > 0 ? UPDATE_MUON : UPDATE_ADAMW;
}

/* A rate that no parameter would use is a mistake. */
static enum t2l_status
check_rules(const struct trainer *trainer, const struct trainer_kind *kind, struct t2l_error *err)
{
	bool used = trainer->options->muon_learning_rate <= 0;

	for (size_t i = 0; i < trainer->parameters.n; i++)
		used |= trainer->parameters.items[i].rule == UPDATE_MUON;
	return used ? T2L_OK
		    : t2l_fail(err, T2L_EINVAL,
			  "training: Muon is for hidden matrices, %s training has none: use adamw",
			  kind->name);
}

/* ---- the log ---- */

static void
log_path(const struct t2l_train_options *options, char *path, size_t size)
{
	size_t n = strlen(options->output);

	while (n > 1 && options->output[n - 1] == '/')
		n--;
	if (options->log != NULL)
		snprintf(path, size, "%s", options->log);
	else
		snprintf(path, size, "%.*s.train-log.jsonl", (int)n, options->output);
}

/* Keeps the lines of steps before NEXT_STEP, so that a resumed run's log has each step once. */
static enum t2l_status
log_open(
    const struct t2l_train_options *options, int64_t next_step, FILE **log, struct t2l_error *err)
{
	char path[4096], *text = NULL;
	struct buffer kept = { 0 };

	log_path(options, path, sizeof path);
	if (next_step > 0)
		text = read_whole_file(path, MAX_LOG_BYTES, NULL);
	for (char *line = text, *end; line != NULL && (end = strchr(line, '\n')) != NULL;
	     line = end + 1) {
		long long step;

		if (sscanf(line, "{\"step\":%lld", &step) == 1 && step < next_step)
			buffer_append(&kept, line, (size_t)(end - line) + 1);
	}
	free(text);
	if (buffer_failed(&kept) || atomic_write(path, buffer_string(&kept), kept.n) != 0) {
		buffer_free(&kept);
		return t2l_fail_errno(err, "cannot write the training log '%s'", path);
	}
	buffer_free(&kept);
	*log = fopen(path, "a");
	if (*log == NULL)
		return t2l_fail_errno(err, "cannot write the training log '%s'", path);
	return T2L_OK;
}

/* ---- the loop ---- */

/* What the steps since the last line of the log came to. */
struct tally {
	double loss, norm, began_s;
	int64_t steps, tokens;
};

struct loop {
	struct trainer *trainer;
	const struct trainer_kind *kind;
	FILE *log;
	int64_t first_step;
	double began_s;
	struct tally tally;
};

static enum t2l_status
run_step(struct loop *loop, int64_t step, struct t2l_error *err)
{
	struct trainer *trainer = loop->trainer;
	const struct backend *backend = ops_backend(trainer->ops);
	int64_t n_tokens = 0;
	enum t2l_status status;
	struct tensor *loss;
	double norm;

	ops_reset(trainer->ops);
	ops_record(trainer->ops, true);
	parameter_set_zero_gradients(&trainer->parameters);
	if (err != NULL)
		err->status = T2L_OK;
	loss = loop->kind->loss(trainer, step, &n_tokens, err);
	if (loss == NULL) {
		status = ops_status(trainer->ops, err);
		if (status != T2L_OK)
			return status;
		return err != NULL && err->status != T2L_OK ? err->status : T2L_ENOMEM;
	}
	float value = tensor_f32(loss)[0];

	if (!isfinite(value))
		return t2l_fail(err, T2L_EINVAL,
		    "training: the loss of step %lld is not finite; use a lower learning rate",
		    (long long)step);
	status = ops_backward(trainer->ops, loss, 1, err);
	if (status != T2L_OK)
		return status;
	norm = gradient_norm(backend, &trainer->parameters);
	if (!isfinite(norm))
		return t2l_fail(err, T2L_EINVAL,
		    "training: the gradient of step %lld is not finite; use a lower learning rate",
		    (long long)step);
	loop->tally.loss += (double)value;
	loop->tally.norm += norm;
	loop->tally.tokens += n_tokens;
	loop->tally.steps++;
	return optimiser_step(backend, &trainer->parameters, trainer->options, step, norm, err);
}

/* Means since the last line go to the log and to the caller. False: stop. */
static bool
report_step(struct loop *loop, int64_t step)
{
	const struct t2l_train_options *options = loop->trainer->options;
	struct tally *tally = &loop->tally;
	double now = now_s(), n = (double)tally->steps;
	int64_t done = step + 1;
	struct t2l_train_progress progress = {
		.step = done,
		.steps = options->steps,
		.loss = tally->loss / n,
		.gradient_norm = tally->norm / n,
		.learning_rate = (double)options->learning_rate * schedule_factor(options, step),
		.tokens_per_s = (double)tally->tokens / fmax(1e-9, now - tally->began_s),
		.elapsed_s = now - loop->began_s,
		.phase = "training",
	};

	progress.eta_s = progress.elapsed_s / (double)(done - loop->first_step) *
			 (double)(options->steps - done);
	fprintf(loop->log,
	    "{\"step\":%lld,\"loss\":%.6g,\"gradient_norm\":%.6g,\"learning_rate\":%.6g,"
	    "\"tokens\":%lld,\"seconds\":%.3f}\n",
	    (long long)step, progress.loss, progress.gradient_norm, progress.learning_rate,
	    (long long)tally->tokens, now - tally->began_s);
	fflush(loop->log);
	*tally = (struct tally){ .began_s = now };
	return loop->trainer->on_progress == NULL ||
	       loop->trainer->on_progress(loop->trainer->user, &progress);
}

static enum t2l_status
run_steps(struct loop *loop, int64_t first_step, struct t2l_error *err)
{
	struct trainer *trainer = loop->trainer;
	const struct t2l_train_options *options = trainer->options;
	enum t2l_status status = T2L_OK;

	loop->first_step = first_step;
	loop->began_s = loop->tally.began_s = now_s();
	for (int64_t step = first_step; step < options->steps && status == T2L_OK; step++) {
		bool last = step + 1 == options->steps, go_on = true;

		engine_lock(trainer->engine);
		status = run_step(loop, step, err);
		engine_unlock(trainer->engine);
		if (status != T2L_OK)
			break;
		if (last || (step + 1) % options->log_every == 0)
			go_on = report_step(loop, step);
		if (!go_on || last || (step + 1) % options->checkpoint_every == 0)
			status = checkpoint_save(trainer, step + 1, err);
		if (!go_on && !last && status == T2L_OK)
			status = t2l_fail(err, T2L_ECANCELLED,
			    "stopped after step %lld; the checkpoint is saved, --resume goes on",
			    (long long)step + 1);
	}
	if (ferror(loop->log) && status == T2L_OK)
		status = t2l_fail(err, T2L_EIO, "the training log could not be written");
	return status;
}

static enum t2l_status
run(struct trainer *trainer, const struct trainer_kind *kind, struct t2l_error *err)
{
	struct loop loop = { .trainer = trainer, .kind = kind };
	int64_t first_step = 0;
	enum t2l_status status = kind->open(trainer, err);

	if (status == T2L_OK)
		status = check_rules(trainer, kind, err);
	if (status == T2L_OK)
		status = parameter_set_allocate(&trainer->parameters, err);
	if (status == T2L_OK && trainer->options->resume)
		status = checkpoint_load(trainer, &first_step, err);
	if (status == T2L_OK)
		status = log_open(trainer->options, first_step, &loop.log, err);
	if (status == T2L_OK)
		status = run_steps(&loop, first_step, err);
	if (status == T2L_OK) {
		trainer_report(trainer, "saving", trainer->options->steps, trainer->options->steps);
		status = kind->save(trainer, err);
	}
	if (status == T2L_OK)
		checkpoint_remove(trainer->options);
	if (loop.log != NULL)
		fclose(loop.log);
	parameter_set_release(&trainer->parameters); /* before the tensors it names go */
	kind->close(trainer);
	return status;
}

/* ---- options ---- */

struct range {
	const char *name;
	double value, low, high;
};

static enum t2l_status
check_options(const struct t2l_train_options *o, struct t2l_error *err)
{
	const struct range ranges[] = {
		{ "steps", (double)o->steps, 1, 1e9 },
		{ "learning_rate", (double)o->learning_rate, 0, 100 },
		{ "muon_learning_rate", (double)o->muon_learning_rate, 0, 100 },
		{ "beta1", (double)o->beta1, 0, 0.99999 },
		{ "beta2", (double)o->beta2, 0, 0.9999999 },
		{ "epsilon", (double)o->epsilon, 1e-30, 1 },
		{ "weight_decay", (double)o->weight_decay, 0, 100 },
		{ "clip", (double)o->clip, 0, 1e9 },
		{ "warmup_steps", (double)o->warmup_steps, 0, (double)o->steps },
		{ "hold", (double)o->hold, 0, 1 },
		{ "final", (double)o->final, 0, 1 },
		{ "dropout", (double)o->dropout, 0, 0.99 },
		{ "label_smoothing", (double)o->label_smoothing, 0, 0.99 },
		{ "l2_generated", (double)o->l2_generated, 0, 1e6 },
		{ "rank", o->rank, 1, 256 },
		{ "lora_alpha", (double)o->lora_alpha, 1e-3, 1e6 },
		{ "batch_tasks", o->batch_tasks, 1, 100000 },
		{ "batch_points", o->batch_points, 1, 100000 },
		{ "checkpoint_every", (double)o->checkpoint_every, 1, 1e12 },
		{ "log_every", (double)o->log_every, 1, 1e12 },
	};

	if ((size_t)o->mode >= sizeof kinds / sizeof kinds[0])
		return t2l_fail(err, T2L_EINVAL, "training: unknown mode %d", (int)o->mode);
	if (o->output == NULL || o->output[0] == '\0')
		return t2l_fail(err, T2L_EINVAL, "training: no output is named (--output)");
	for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
		if (!(ranges[i].value >= ranges[i].low && ranges[i].value <= ranges[i].high))
			return t2l_fail(err, T2L_EINVAL, "training: %s = %g is not in %g .. %g",
			    ranges[i].name, ranges[i].value, ranges[i].low, ranges[i].high);
	return T2L_OK;
}

/* Whether a finished run of these options stands at the output: it is there and no checkpoint is.
 */
static bool
is_finished(const struct t2l_train_options *options)
{
	char path[4096];

	checkpoint_path(options, path, sizeof path);
	return access(options->output, F_OK) == 0 && access(path, F_OK) != 0;
}

/* The folder that the output's last name stands in. */
static enum t2l_status
make_parent(const char *output, struct t2l_error *err)
{
	char path[4096];

	if (snprintf(path, sizeof path, "%s", output) >= (int)sizeof path)
		return t2l_fail(err, T2L_EINVAL, "training: the output's path is too long");
	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0777) != 0 && errno != EEXIST)
			return t2l_fail_errno(err, "cannot make the folder '%s'", path);
		*slash = '/';
	}
	return T2L_OK;
}

enum t2l_status
t2l_train(struct t2l_engine *engine, const struct t2l_train_options *options,
    t2l_train_callback *on_progress, void *user, struct t2l_error *err)
{
	struct trainer trainer = {
		.engine = engine,
		.options = options,
		.on_progress = on_progress,
		.user = user,
	};
	struct t2l_error own;
	enum t2l_status status;

	if (err == NULL)
		err = &own;
	*err = (struct t2l_error){ 0 };
	status = check_options(options, err);
	if (status != T2L_OK)
		return status;
	if (options->resume && is_finished(options)) {
		trainer_report(&trainer, "finished before", options->steps, options->steps);
		return T2L_OK;
	}
	status = make_parent(options->output, err);
	if (status != T2L_OK)
		return status;
	trainer.ops = ops_create(engine_backend(engine));
	if (trainer.ops == NULL)
		return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	status = run(&trainer, kinds[options->mode], err);
	ops_free(trainer.ops);
	return status;
}
