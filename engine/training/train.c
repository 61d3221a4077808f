/* train.c - the loop of every training: step, clip, update, log, checkpoint, resume. */

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic-file.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/file.h"
#include "engine/engine.h"
#include "engine/error.h"
#include "engine/training/collective.h"
#include "engine/training/memory.h"
#include "engine/training/optimiser.h"
#include "engine/training/random.h"
#include "engine/training/trainer.h"

#define MAX_LOG_BYTES ((size_t)1 << 30)
/* Code and scratch that only the first step brings into memory, as measured. */
#define UNTOUCHED_BYTES ((uint64_t)2 << 20)

static const struct trainer_kind *const kinds[] = {
	[T2L_TRAIN_BASE] = &trainer_base,
	[T2L_TRAIN_LORA] = &trainer_lora,
	[T2L_TRAIN_MULTI_TASK] = &trainer_multi_task,
	[T2L_TRAIN_SUPERVISED] = &trainer_supervised,
	[T2L_TRAIN_ENCODER] = &trainer_encoder,
	[T2L_TRAIN_RECONSTRUCTION] = &trainer_reconstruction,
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
		.validate_every = 100,
		.parts = 1,
		.delta_w_scaling = 10000,
		.batch_descriptions = 1,
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

bool
trainer_report(struct trainer *trainer, const char *phase, int64_t done, int64_t all)
{
	struct t2l_train_progress progress = {
		.step = done,
		.steps = all,
		.eta_s = -1,
		.validation_loss = (double)NAN,
		.phase = phase,
	};

	return trainer->on_progress == NULL || trainer->on_progress(trainer->user, &progress);
}

enum update_rule
trainer_rule(const struct trainer *trainer, bool hidden)
{
	return hidden && trainer->options->muon_learning_rate > 0 ? UPDATE_MUON : UPDATE_ADAMW;
}

enum dtype
train_dtype(const struct t2l_train_options *options)
{
	return options->compute_dtype != NULL && strcmp(options->compute_dtype, "bf16") == 0
		   ? DTYPE_BF16
		   : DTYPE_F32;
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
	FILE *log; /* NULL in all processes but the first */
	int64_t first_step;
	int n_parts;
	double began_s, validation_loss;
	struct run_state state;
	struct tally tally;
};

/* What a step came to; summed over the processes as doubles. */
struct step_sums {
	double loss, tokens, failed;
};

static enum t2l_status
loss_error(const struct trainer *trainer, struct t2l_error *err)
{
	enum t2l_status status = ops_status(trainer->ops, err);

	if (status != T2L_OK)
		return status;
	return err->status != T2L_OK ? err->status
				     : t2l_fail(err, T2L_ENOMEM, "training: out of memory");
}

/* Before anything was learnt, what was given is to blame. */
static enum t2l_status
not_finite(const char *what, int64_t step, struct t2l_error *err)
{
	if (step == 0)
		return t2l_fail(err, T2L_EINVAL,
		    "training: the %s of the first step is not finite: the base or the encoder has "
		    "a weight that is no number, or the initial adapters are too large "
		    "(lora_alpha); "
		    "'t2l inspect --check' reads every weight",
		    what);
	return t2l_fail(err, T2L_EINVAL,
	    "training: the %s of step %lld is not finite; use a lower learning rate", what,
	    (long long)step);
}

/* Adds one part's gradient to the parameters'. */
static enum t2l_status
run_part(struct loop *loop, int64_t step, int index, struct step_sums *sums, struct t2l_error *err)
{
	struct trainer *trainer = loop->trainer;
	const struct trainer_part part = { index, loop->n_parts };
	int64_t n_tokens = 0;
	struct tensor *loss;

	ops_reset(trainer->ops);
	ops_record(trainer->ops, true);
	err->status = T2L_OK;
	loss = loop->kind->loss(trainer, step, part, &n_tokens, err);
	if (loss == NULL)
		return loss_error(trainer, err);
	sums->loss += (double)tensor_f32(loss)[0];
	sums->tokens += (double)n_tokens;
	if (!isfinite(tensor_f32(loss)[0]))
		return not_finite("loss", step, err);
	return ops_backward(trainer->ops, loss, 1, err);
}

/* The parts of this process, then the sums over all. A process that failed still takes part in the
 * sums, so that the others learn of it instead of waiting. */
static enum t2l_status
run_parts(struct loop *loop, int64_t step, struct step_sums *sums, struct t2l_error *err)
{
	struct collective *collective = loop->trainer->collective;
	struct parameter_set *set = &loop->trainer->parameters;
	enum t2l_status status = T2L_OK, summed;

	parameter_set_zero_gradients(set);
	for (int i = collective_rank(collective); i < loop->n_parts && status == T2L_OK;
	     i += collective_size(collective))
		status = run_part(loop, step, i, sums, err);
	if (collective == NULL)
		return status;
	sums->failed = status != T2L_OK;
	summed = collective_sum(collective, (double *)sums, sizeof *sums / sizeof(double),
	    status == T2L_OK ? err : NULL);
	if (status != T2L_OK || summed != T2L_OK)
		return status != T2L_OK ? status : summed;
	if (sums->failed > 0)
		return t2l_fail(err, T2L_EIO, "another process of the job failed in step %lld",
		    (long long)step);
	return collective_sum_floats(
	    collective, set->memory, parameter_set_gradient_numbers(set), err);
}

static enum t2l_status
run_step(struct loop *loop, int64_t step, struct t2l_error *err)
{
	struct trainer *trainer = loop->trainer;
	const struct backend *backend = ops_backend(trainer->ops);
	struct step_sums sums = { 0 };
	enum t2l_status status = run_parts(loop, step, &sums, err);
	double norm;

	if (status != T2L_OK)
		return status;
	norm = gradient_norm(backend, &trainer->parameters);
	if (!isfinite(norm))
		return not_finite("gradient", step, err);
	loop->tally.loss += sums.loss;
	loop->tally.norm += norm;
	loop->tally.tokens += (int64_t)sums.tokens;
	loop->tally.steps++;
	return optimiser_step(backend, &trainer->parameters, trainer->options, step, norm, err);
}

/* When one process failed, all do; and no process waits for one that is gone. */
static enum t2l_status
agree(struct loop *loop, enum t2l_status status, struct t2l_error *err)
{
	double failed = status != T2L_OK;
	enum t2l_status summed =
	    collective_sum(loop->trainer->collective, &failed, 1, status == T2L_OK ? err : NULL);

	if (status != T2L_OK || summed != T2L_OK)
		return status != T2L_OK ? status : summed;
	return failed > 0 ? t2l_fail(err, T2L_EIO, "another process of the job failed") : T2L_OK;
}

/* ---- validation ---- */

/* The loss of what is held out, and whether it is the best so far: then the parameters are kept. */
static enum t2l_status
validate(struct loop *loop, int64_t step, struct t2l_error *err)
{
	struct trainer *trainer = loop->trainer;
	const struct trainer_part part = { collective_rank(trainer->collective),
		collective_size(trainer->collective) };
	double sums[3] = { 0 }; /* of losses, of weights, of failures */
	enum t2l_status status, summed;

	ops_reset(trainer->ops);
	ops_record(trainer->ops, false);
	status = loop->kind->validate(trainer, part, &sums[0], &sums[1], err);
	sums[2] = status != T2L_OK;
	summed = collective_sum(trainer->collective, sums, 3, status == T2L_OK ? err : NULL);
	if (status != T2L_OK || summed != T2L_OK)
		return status != T2L_OK ? status : summed;
	if (sums[2] > 0)
		return t2l_fail(err, T2L_EIO, "another process of the job failed in validation");
	if (!(sums[1] > 0))
		return t2l_fail(err, T2L_EINVAL,
		    "validation: nothing could be held out: every task has one example only");
	loop->validation_loss = sums[0] / sums[1];
	if (!(loop->validation_loss < loop->state.best_loss)) {
		loop->state.worse++;
		return T2L_OK;
	}
	loop->state.best_loss = loop->validation_loss;
	loop->state.best_step = step + 1;
	loop->state.worse = 0;
	if (loop->log != NULL)
		status = checkpoint_save_best(trainer, err);
	return agree(loop, status, err);
}

/* ---- reports ---- */

/* Means since the last line go to the log and to the caller. False: stop. */
static bool
report_step(struct loop *loop, int64_t step)
{
	const struct t2l_train_options *options = loop->trainer->options;
	struct tally *tally = &loop->tally;
	double now = clock_seconds(), n = (double)tally->steps;
	int64_t done = step + 1;
	struct t2l_train_progress progress = {
		.step = done,
		.steps = options->steps,
		.loss = tally->loss / n,
		.gradient_norm = tally->norm / n,
		.learning_rate = (double)options->learning_rate * schedule_factor(options, step),
		.tokens_per_s = (double)tally->tokens / fmax(1e-9, now - tally->began_s),
		.elapsed_s = now - loop->began_s,
		.validation_loss = loop->validation_loss,
		.phase = "training",
	};

	if (loop->log == NULL)
		return true;
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

/* The caller speaks to the first process only; all stop at the same step. */
static enum t2l_status
agree_to_go_on(struct loop *loop, bool *go_on, struct t2l_error *err)
{
	double stops = !*go_on;
	enum t2l_status status = collective_sum(loop->trainer->collective, &stops, 1, err);

	*go_on = stops == 0;
	return status;
}

/* What may follow a step: validation, a line in the log, a checkpoint. *END: no further step. */
static enum t2l_status
after_step(struct loop *loop, int64_t step, bool *end, struct t2l_error *err)
{
	const struct t2l_train_options *options = loop->trainer->options;
	const int64_t done = step + 1;
	const bool last = done == options->steps;
	enum t2l_status status = T2L_OK;
	bool go_on = true;

	if (options->validation > 0 && (last || done % options->validate_every == 0)) {
		status = validate(loop, step, err);
		if (status != T2L_OK)
			return status;
		if (loop->log != NULL)
			fprintf(loop->log, "{\"step\":%lld,\"validation_loss\":%.6g}\n",
			    (long long)step, loop->validation_loss);
		*end = options->patience > 0 && loop->state.worse >= options->patience;
	}
	if (last || *end || done % options->log_every == 0) {
		go_on = report_step(loop, step);
		status = agree_to_go_on(loop, &go_on, err);
	}
	loop->state.next_step = done;
	if (status == T2L_OK && (!go_on || last || *end || done % options->checkpoint_every == 0)) {
		if (loop->log != NULL)
			status = checkpoint_save(loop->trainer, &loop->state, err);
		status = agree(loop, status, err);
	}
	if (status == T2L_OK && !go_on && !last && !*end)
		status = t2l_fail(err, T2L_ECANCELLED,
		    "stopped after step %lld; the checkpoint is saved, --resume goes on",
		    (long long)done);
	return status;
}

/* A run that ended early and was killed before it saved is at its end already. */
static bool
ended_early(const struct loop *loop)
{
	const struct t2l_train_options *options = loop->trainer->options;

	return options->patience > 0 && loop->state.worse >= options->patience;
}

static enum t2l_status
run_steps(struct loop *loop, struct t2l_error *err)
{
	struct trainer *trainer = loop->trainer;
	enum t2l_status status = T2L_OK;
	bool end = ended_early(loop);

	loop->first_step = loop->state.next_step;
	loop->began_s = loop->tally.began_s = clock_seconds();
	for (int64_t step = loop->first_step;
	     step < trainer->options->steps && status == T2L_OK && !end; step++) {
		engine_lock(trainer->engine);
		status = run_step(loop, step, err);
		engine_unlock(trainer->engine);
		if (status == T2L_OK)
			status = after_step(loop, step, &end, err);
	}
	if (loop->log != NULL && ferror(loop->log) && status == T2L_OK)
		status = t2l_fail(err, T2L_EIO, "the training log could not be written");
	return status;
}

/* ---- before the first step ---- */

/* Epochs become steps; a warm-up never outlasts the run. */
static enum t2l_status
settle_steps(struct trainer *trainer, const struct trainer_kind *kind,
    struct t2l_train_options *settled, struct t2l_error *err)
{
	if (settled->epochs > 0 && kind->steps_per_epoch == NULL)
		return t2l_fail(
		    err, T2L_EINVAL, "training: mode %s counts steps, not epochs", kind->name);
	if (settled->epochs > 0)
		settled->steps = settled->epochs * kind->steps_per_epoch(trainer);
	if (settled->steps < 1 || settled->steps > 1000000000)
		return t2l_fail(err, T2L_EINVAL, "training: %lld epochs are too many",
		    (long long)settled->epochs);
	if (settled->warmup_steps > settled->steps)
		settled->warmup_steps = settled->steps;
	return T2L_OK;
}

/* As many parts as asked for, and a multiple of the processes. */
static enum t2l_status
settle_parts(struct loop *loop, struct t2l_error *err)
{
	const struct trainer *trainer = loop->trainer;
	int size = collective_size(trainer->collective);
	int64_t most = loop->kind->most_parts != NULL ? loop->kind->most_parts(trainer) : 1;

	loop->n_parts = (trainer->options->parts + size - 1) / size * size;
	if (loop->n_parts > most)
		return t2l_fail(err, T2L_EINVAL,
		    "training: a step of this batch divides into %lld parts at most, not %d; use "
		    "fewer micro_batches or processes, or a larger batch",
		    (long long)most, loop->n_parts);
	if (trainer->options->validation > 0 && loop->kind->validate == NULL)
		return t2l_fail(err, T2L_EINVAL,
		    "training: mode %s holds nothing out for validation", loop->kind->name);
	return T2L_OK;
}

/* What cannot be given back when memory is short, as pages of an opened file can. */
static uint64_t
taken(const struct t2l_train_estimate *estimate)
{
	return estimate->base + estimate->parameters + estimate->activations + estimate->rest;
}

static enum t2l_status
estimate(struct loop *loop, struct t2l_train_estimate *into, struct t2l_error *err)
{
	struct trainer *trainer = loop->trainer;
	const struct residence residence = residence_now();
	uint64_t made;
	enum t2l_status status = T2L_OK;

	*into = (struct t2l_train_estimate){ .steps = trainer->options->steps,
		.rest = residence.own + residence.mapped + UNTOUCHED_BYTES };
	for (size_t i = 0; i < trainer->parameters.n; i++) {
		const struct parameter *parameter = &trainer->parameters.items[i];
		int64_t n = tensor_count(parameter->tensor);

		into->n_parameters += n;
		into->parameters +=
		    (uint64_t)n * sizeof(float) * (parameter->rule == UPDATE_MUON ? 3 : 4);
	}
	if (loop->kind->estimate != NULL)
		status = loop->kind->estimate(trainer, loop->n_parts, into, err);
	/* The parameters themselves are in memory already. */
	made = (uint64_t)into->n_parameters * sizeof(float);
	into->rest = into->rest > made ? into->rest - made : 0;
	into->total += into->rest;
	if (into->total < taken(into))
		into->total = taken(into);
	return status;
}

/* What helps most where it is not done already. */
static const char *
way_out(const struct loop *loop, const struct t2l_train_estimate *needs)
{
	const struct t2l_train_options *options = loop->trainer->options;

	if (needs->activations < needs->base / 2 && needs->base_as_bf16 < needs->base)
		return "compute_dtype = \"bf16\", which keeps the base in half its size";
	if (needs->activations < needs->parameters / 2)
		return "a smaller rank, fewer modules or a smaller network";
	if (!options->recompute)
		return "activation_checkpointing, more micro_batches or a smaller batch_tasks";
	return "more micro_batches or a smaller batch_tasks";
}

static enum t2l_status
refuse_too_much(struct loop *loop, struct t2l_error *err)
{
	const uint64_t mib = 1 << 20, limit = loop->trainer->options->max_memory;
	struct t2l_train_estimate needs;
	enum t2l_status status;

	if (limit == 0)
		return T2L_OK;
	status = estimate(loop, &needs, err);
	if (status != T2L_OK || taken(&needs) <= limit)
		return status;
	return t2l_fail(err, T2L_ENOMEM,
	    "this training needs about %llu MiB (base %llu, parameters with gradients and moments "
	    "%llu, activations %llu, the rest %llu), and %llu MiB may be used; less is needed with "
	    "%s",
	    (unsigned long long)(taken(&needs) / mib), (unsigned long long)(needs.base / mib),
	    (unsigned long long)(needs.parameters / mib),
	    (unsigned long long)(needs.activations / mib), (unsigned long long)(needs.rest / mib),
	    (unsigned long long)(limit / mib), way_out(loop, &needs));
}

/* What could not be written at the end is told before the first step. */
static enum t2l_status
check_output(const struct trainer *trainer, const struct trainer_kind *kind, struct t2l_error *err)
{
	const char *output = trainer->options->output;
	bool folder = kind->makes_folder != NULL && kind->makes_folder(trainer);
	struct stat place;

	if (stat(output, &place) != 0 || folder == S_ISDIR(place.st_mode))
		return T2L_OK;
	return t2l_fail(err, T2L_EINVAL,
	    folder ? "output '%s' is there and is no folder, which this training makes"
		   : "output '%s' is a folder; this training makes one file",
	    output);
}

static enum t2l_status
open_loop(struct loop *loop, struct t2l_train_options *settled, struct t2l_error *err)
{
	struct trainer *trainer = loop->trainer;
	enum t2l_status status = loop->kind->open(trainer, err);

	if (status == T2L_OK)
		status = check_output(trainer, loop->kind, err);
	if (status == T2L_OK)
		status = check_rules(trainer, loop->kind, err);
	if (status == T2L_OK)
		status = settle_steps(trainer, loop->kind, settled, err);
	return status == T2L_OK ? settle_parts(loop, err) : status;
}

static enum t2l_status
start_loop(struct loop *loop, struct t2l_error *err)
{
	struct trainer *trainer = loop->trainer;
	enum t2l_status status = refuse_too_much(loop, err);

	if (status == T2L_OK)
		status = parameter_set_allocate(&trainer->parameters, err);
	if (status == T2L_OK && trainer->options->resume)
		status = checkpoint_load(trainer, &loop->state, err);
	if (status == T2L_OK && collective_rank(trainer->collective) == 0)
		status = log_open(trainer->options, loop->state.next_step, &loop->log, err);
	return status;
}

/* The result is that of the best validation. Only the first process writes. */
static enum t2l_status
finish_loop(struct loop *loop, struct t2l_error *err)
{
	struct trainer *trainer = loop->trainer;
	enum t2l_status status = T2L_OK;

	if (loop->log == NULL)
		return T2L_OK;
	trainer_report(trainer, "saving", trainer->options->steps, trainer->options->steps);
	if (isfinite(loop->state.best_loss))
		status = checkpoint_load_best(trainer, err);
	if (status == T2L_OK)
		status = loop->kind->save(trainer, err);
	if (status == T2L_OK)
		checkpoint_remove(trainer->options);
	return status;
}

static enum t2l_status
run(struct loop *loop, struct t2l_train_options *settled, struct t2l_error *err)
{
	enum t2l_status status = open_loop(loop, settled, err);

	if (status == T2L_OK)
		status = start_loop(loop, err);
	status = agree(loop, status, err);
	if (status == T2L_OK)
		status = run_steps(loop, err);
	if (status == T2L_OK)
		status = finish_loop(loop, err);
	if (loop->log != NULL)
		fclose(loop->log);
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
		{ "epochs", (double)o->epochs, 0, 1e9 },
		{ "max_tokens", o->max_tokens, 0, 1 << 24 },
		{ "neftune_alpha", (double)o->neftune_alpha, 0, 1e3 },
		{ "validation", (double)o->validation, 0, 0.9 },
		{ "validate_every", (double)o->validate_every, 1, 1e12 },
		{ "patience", o->patience, 0, 1e9 },
		{ "parts", o->parts, 1, 1e6 },
		{ "delta_w_scaling", (double)o->delta_w_scaling, 1e-6, 1e9 },
		{ "batch_descriptions", o->batch_descriptions, 1, 1e5 },
	};

	if ((size_t)o->mode >= sizeof kinds / sizeof kinds[0])
		return t2l_fail(err, T2L_EINVAL, "training: unknown mode %d", (int)o->mode);
	if (o->output == NULL || o->output[0] == '\0')
		return t2l_fail(err, T2L_EINVAL, "training: no output is named (--output)");
	if (o->compute_dtype != NULL && strcmp(o->compute_dtype, "f32") != 0 &&
	    strcmp(o->compute_dtype, "bf16") != 0)
		return t2l_fail(err, T2L_EINVAL, "training: compute_dtype '%s' must be f32 or bf16",
		    o->compute_dtype);
	for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
		if (!(ranges[i].value >= ranges[i].low && ranges[i].value <= ranges[i].high))
			return t2l_fail(err, T2L_EINVAL, "training: %s = %g is not in %g .. %g",
			    ranges[i].name, ranges[i].value, ranges[i].low, ranges[i].high);
	return T2L_OK;
}

/* Whether what a training writes is there: a file, or a folder with weights in it. */
static bool
has_result(const char *output)
{
	static const char suffix[] = ".safetensors";
	DIR *folder = opendir(output);
	const struct dirent *entry;
	struct stat place;
	bool found = false;

	if (folder == NULL)
		return stat(output, &place) == 0 && S_ISREG(place.st_mode) && place.st_size > 0;
	while (!found && (entry = readdir(folder)) != NULL) {
		size_t n = strlen(entry->d_name);

		found = n >= sizeof suffix &&
			strcmp(entry->d_name + n + 1 - sizeof suffix, suffix) == 0;
	}
	closedir(folder);
	return found;
}

/* Whether a finished run of these options stands at the output: its result is there and no
 * checkpoint is. */
static bool
is_finished(const struct t2l_train_options *options)
{
	char path[4096];

	checkpoint_path(options, path, sizeof path);
	return has_result(options->output) && access(path, F_OK) != 0;
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

/* What one training holds, from opening to closing. */
struct session {
	struct t2l_train_options settled;
	struct trainer trainer;
	struct loop loop;
};

static enum t2l_status
open_session(struct session *session, struct t2l_engine *engine,
    const struct t2l_train_options *options, struct t2l_error *err)
{
	enum t2l_status status = check_options(options, err);

	*session = (struct session){ .settled = *options };
	session->trainer = (struct trainer){ .engine = engine, .options = &session->settled };
	session->loop = (struct loop){ .trainer = &session->trainer,
		.kind = kinds[options->mode],
		.n_parts = 1,
		.validation_loss = (double)NAN,
		.state = { .best_loss = (double)INFINITY } };
	if (status != T2L_OK)
		return status;
	session->trainer.ops = ops_create(engine_backend(engine));
	if (session->trainer.ops == NULL)
		return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	ops_compute(session->trainer.ops, train_dtype(options));
	return T2L_OK;
}

static void
close_session(struct session *session)
{
	struct trainer *trainer = &session->trainer;

	/* Its gradients go before the tensors it names. */
	parameter_set_release(&trainer->parameters);
	if (trainer->run != NULL)
		session->loop.kind->close(trainer);
	if (trainer->ops != NULL)
		ops_free(trainer->ops);
	collective_close(trainer->collective);
}

enum t2l_status
t2l_train(struct t2l_engine *engine, const struct t2l_train_options *options,
    t2l_train_callback *on_progress, void *user, struct t2l_error *err)
{
	struct session session;
	struct t2l_error own;
	enum t2l_status status;

	if (err == NULL)
		err = &own;
	*err = (struct t2l_error){ 0 };
	status = open_session(&session, engine, options, err);
	session.trainer.on_progress = on_progress;
	session.trainer.user = user;
	if (status == T2L_OK && options->resume && is_finished(options)) {
		trainer_report(&session.trainer, "finished before", options->steps, options->steps);
	} else {
		if (status == T2L_OK)
			status = make_parent(options->output, err);
		if (status == T2L_OK && options->distributed)
			status = collective_open(&session.trainer.collective, err);
		if (status == T2L_OK)
			status = run(&session.loop, &session.settled, err);
	}
	close_session(&session);
	return status;
}

enum t2l_status
t2l_train_estimate(struct t2l_engine *engine, const struct t2l_train_options *options,
    struct t2l_train_estimate *into, struct t2l_error *err)
{
	struct session session;
	struct t2l_error own;
	enum t2l_status status;

	if (err == NULL)
		err = &own;
	*err = (struct t2l_error){ 0 };
	status = open_session(&session, engine, options, err);
	if (status == T2L_OK)
		status = open_loop(&session.loop, &session.settled, err);
	if (status == T2L_OK)
		status = estimate(&session.loop, into, err);
	close_session(&session);
	return status;
}
