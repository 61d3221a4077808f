/*
 * export.c - one way out for all formats: prepared, written under a temporary name, read back,
 * compared, and only then put in its place.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic-file.h"
#include "engine/adapters/difference.h"
#include "engine/adapters/format.h"
#include "engine/adapters/row-order.h"
#include "engine/error.h"

/* ---- what writers use ---- */

void
export_tell(struct buffer *lines, const char *format, ...)
{
	va_list args;

	if (lines->n > 0)
		buffer_char(lines, '\n');
	va_start(args, format);
	buffer_vprintf(lines, format, args);
	va_end(args);
}

void
export_tell_fallback(struct export_job *job)
{
	size_t n_fallback = 0;
	enum dtype wanted;

	if (!dtype_by_name(job->precision->dtype, &wanted))
		return;
	for (size_t i = 0; i < 2 * job->adapter->n_modules; i++) {
		const struct half half = half_of(&job->adapter->modules[i / 2], i % 2 == 1);

		n_fallback += precision_dtype(job->precision, half_cols(&half)) != wanted;
	}
	if (n_fallback > 0)
		export_tell(job->done,
		    "%zu of %zu tensors are in fp16: blocks of %s do not fit their rows",
		    n_fallback, 2 * job->adapter->n_modules, job->precision->name);
}

enum t2l_status
export_step(struct export_job *job, struct t2l_error *err)
{
	const struct t2l_export_options *options = job->options;

	if (options->on_progress != NULL &&
	    !options->on_progress(options->user, job->n_done, job->n_all))
		return t2l_fail(err, T2L_ECANCELLED, "interrupted; nothing was written");
	job->n_done++;
	return T2L_OK;
}

enum t2l_status
export_path(const char *directory, const char *name, char *path, struct t2l_error *err)
{
	if (snprintf(path, EXPORT_PATH_SIZE, "%s/%s", directory, name) >= EXPORT_PATH_SIZE)
		return t2l_fail(err, T2L_EINVAL, "the path '%.60s...' is too long", directory);
	return T2L_OK;
}

enum t2l_status
export_text(const char *directory, const char *name, const char *text, struct t2l_error *err)
{
	char path[EXPORT_PATH_SIZE];
	enum t2l_status status = export_path(directory, name, path, err);

	if (status == T2L_OK && atomic_write(path, text, strlen(text)) != 0)
		status = t2l_fail_errno(err, "cannot write '%s'", path);
	return status;
}

bool
adapter_is_uniform(const struct t2l_adapter *adapter)
{
	const struct adapter_module *first = &adapter->modules[0];

	for (size_t i = 1; i < adapter->n_modules; i++)
		if (adapter->modules[i].rank != first->rank ||
		    adapter->modules[i].scale != first->scale)
			return false;
	return true;
}

enum t2l_status
adapter_fold(const struct t2l_adapter *adapter, struct t2l_adapter **out, struct t2l_error *err)
{
	const struct t2l_adapter_facts *facts = &adapter->facts;
	const struct adapter_labels labels = { facts->name, facts->task, facts->base_name,
		facts->base_fingerprint, facts->hypernet, facts->encoder, facts->lineage,
		facts->note };
	struct adapter_module *modules = calloc(adapter->n_modules, sizeof *modules);
	struct t2l_adapter *folded;
	enum t2l_status status;

	if (modules == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory");
	for (size_t i = 0; i < adapter->n_modules; i++) {
		modules[i] = adapter->modules[i];
		modules[i].alpha = modules[i].rank;
	}
	status = adapter_create(modules, adapter->n_modules, false, &labels, &folded, err);
	free(modules);
	if (status != T2L_OK)
		return status;
	for (size_t i = 0; i < adapter->n_modules; i++) {
		const struct adapter_module *from = &adapter->modules[i];
		struct adapter_module *to = &folded->modules[i];

		memcpy(to->a.data, from->a.data, (size_t)tensor_count(&from->a) * sizeof(float));
		for (int64_t j = 0; j < tensor_count(&from->bt); j++)
			tensor_f32(&to->bt)[j] = from->scale * tensor_f32(&from->bt)[j];
	}
	if ((status = adapter_seal(folded, err)) != T2L_OK) {
		t2l_adapter_close(folded);
		return t2l_context(err, "with the scale in B");
	}
	*out = folded;
	return T2L_OK;
}

/* ---- what is wanted ---- */

static const struct adapter_format *
find_format(const char *name)
{
	for (size_t i = 0; adapter_format_table[i] != NULL; i++)
		if (strcmp(name, adapter_format_table[i]->facts.name) == 0)
			return adapter_format_table[i];
	return NULL;
}

/* Whether WORD is one of LIST's, which stand between spaces. */
static bool
has_word(const char *list, const char *word)
{
	const size_t n = strlen(word);

	for (const char *at = list; (at = strstr(at, word)) != NULL; at += n)
		if ((at == list || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
			return true;
	return false;
}

static enum t2l_status
choose_precision(const struct adapter_format *format, const struct t2l_export_options *options,
    const struct precision **precision, struct t2l_error *err)
{
	char name[16];
	enum t2l_status status;
	enum dtype dtype;

	snprintf(name, sizeof name, "%.*s", (int)strcspn(format->facts.precisions, " "),
	    format->facts.precisions);
	if (options->precision != NULL)
		snprintf(name, sizeof name, "%s", options->precision);
	else if (options->optimize_for != NULL && strcmp(options->optimize_for, "mobile") == 0)
		snprintf(name, sizeof name, "%s", format->mobile);
	else if (options->optimize_for != NULL && strcmp(options->optimize_for, "size") == 0)
		snprintf(name, sizeof name, "%s", format->size);
	if ((status = precision_by_name(name, precision, err)) != T2L_OK)
		return status;
	if (!has_word(format->facts.precisions, name))
		return t2l_fail(err, T2L_EINVAL, "format %s cannot hold %s; it holds %s",
		    format->facts.name, name, format->facts.precisions);
	if (!dtype_by_name((*precision)->dtype, &dtype))
		return t2l_fail(
		    err, T2L_EUNSUPPORTED, "%s cannot be written by this version", name);
	return T2L_OK;
}

static enum t2l_status
check_options(const struct t2l_export_options *options, const struct adapter_format **format,
    struct t2l_error *err)
{
	static const char *const targets[] = { "mobile", "inference", "size" };
	bool known = options->optimize_for == NULL;

	*format = find_format(options->format);
	if (*format == NULL || (*format)->write == NULL)
		return t2l_fail(
		    err, T2L_EINVAL, "'%.40s' is no format that can be written", options->format);
	for (size_t i = 0; i < 3 && !known; i++)
		known = strcmp(options->optimize_for, targets[i]) == 0;
	if (!known)
		return t2l_fail(err, T2L_EINVAL,
		    "'%.40s' is nothing to optimise for; known are mobile, inference and size",
		    options->optimize_for);
	return T2L_OK;
}

/* What was said of the base, if anything was. */
static enum t2l_status
describe_base(const struct t2l_export_options *options, struct base_shape *shape,
    const struct base_shape **base, struct t2l_error *err)
{
	*base = NULL;
	if (options->base_model != NULL) {
		*base = shape;
		return base_shape_read(options->base_model, shape, err);
	}
	if (options->head_dim == 0 && options->architecture == NULL)
		return T2L_OK;
	if (options->head_dim < 0 || options->head_dim % 2 != 0)
		return t2l_fail(
		    err, T2L_EINVAL, "heads of %d numbers cannot be rotated", options->head_dim);
	*shape = (struct base_shape){ .head_dim = options->head_dim };
	snprintf(shape->architecture, sizeof shape->architecture, "%s",
	    options->architecture != NULL ? options->architecture : "llama");
	shape->neighbours = base_has_neighbours(shape->architecture);
	*base = shape;
	return T2L_OK;
}

/* ---- names ---- */

static enum t2l_status
temporary_beside(const char *path, char *temporary, struct t2l_error *err)
{
	const char *slash = strrchr(path, '/');
	unsigned long long number;

	if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
		return t2l_fail_errno(err, "no random name");
	if (snprintf(temporary, EXPORT_PATH_SIZE,
		"%.*s" ATOMIC_FILE_PREFIX "%016llx" ATOMIC_FILE_SUFFIX,
		slash != NULL ? (int)(slash - path + 1) : 0, path, number) >= EXPORT_PATH_SIZE)
		return t2l_fail(err, T2L_EINVAL, "the path '%.60s...' is too long", path);
	return T2L_OK;
}

/* PATH without slashes at its end, links followed: a link's target is replaced, not the link. */
static enum t2l_status
target_of(const char *path, bool is_directory, char *target, struct t2l_error *err)
{
	struct stat facts;
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		n--;
	if (n == 0 || n >= EXPORT_PATH_SIZE)
		return t2l_fail(err, T2L_EINVAL, "'%.60s' is no path to write to", path);
	snprintf(target, EXPORT_PATH_SIZE, "%.*s", (int)n, path);
	if (stat(target, &facts) != 0)
		return errno == ENOENT ? T2L_OK : t2l_fail_errno(err, "cannot write '%s'", path);
	if (is_directory ? !S_ISDIR(facts.st_mode) : !S_ISREG(facts.st_mode))
		return t2l_fail(err, T2L_EINVAL, "'%s' is there and is no %s", path,
		    is_directory ? "directory" : "regular file");
	if (realpath(path, target) == NULL)
		return t2l_fail_errno(err, "cannot write '%s'", path);
	return T2L_OK;
}

/* Calls VISIT with each name in DIRECTORY; its first failure (not 0) ends the walk. */
static int
each_name(const char *directory, int (*visit)(void *user, const char *name), void *user)
{
	DIR *open = opendir(directory);
	struct dirent *entry;
	int failed = open == NULL ? -1 : 0;

	while (failed == 0 && (entry = readdir(open)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			failed = visit(user, entry->d_name);
	if (open != NULL)
		closedir(open);
	return failed;
}

struct move {
	const char *from, *to;
};

static int
move_name(void *user, const char *name)
{
	const struct move *move = user;
	char from[EXPORT_PATH_SIZE], to[EXPORT_PATH_SIZE];

	if (export_path(move->from, name, from, NULL) != T2L_OK ||
	    (move->to != NULL && export_path(move->to, name, to, NULL) != T2L_OK)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return move->to != NULL ? rename(from, to) : unlink(from);
}

static void
discard(const char *temporary, bool is_directory)
{
	struct move away = { .from = temporary };

	if (!is_directory) {
		unlink(temporary);
		return;
	}
	each_name(temporary, move_name, &away);
	rmdir(temporary);
}

static void
sync_folder(const char *path)
{
	char folder[EXPORT_PATH_SIZE];
	const char *slash = strrchr(path, '/');
	int fd;

	snprintf(folder, sizeof folder, "%.*s", slash != NULL ? (int)(slash - path + 1) : 1,
	    slash != NULL ? path : ".");
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return;
	(void)!fsync(fd); /* some file systems cannot */
	close(fd);
}

/* A directory that is there already and holds something keeps what the export has not: each of the
 * export's files replaces its namesake. */
static enum t2l_status
install(const char *temporary, const char *target, bool is_directory, struct t2l_error *err)
{
	struct move move = { temporary, target };

	if (rename(temporary, target) != 0) {
		if (!is_directory || (errno != ENOTEMPTY && errno != EEXIST) ||
		    each_name(temporary, move_name, &move) != 0)
			return t2l_fail_errno(err, "cannot write '%s'", target);
		rmdir(temporary);
	}
	sync_folder(target);
	return T2L_OK;
}

/* ---- checking and reporting ---- */

static enum t2l_status
compare_step(void *user, struct t2l_error *err)
{
	return export_step(user, err);
}

/* Reads TEMPORARY and holds it against what was given. */
static enum t2l_status
read_back(const struct adapter_format *format, const struct t2l_adapter *given,
    struct export_job *job, const char *temporary, struct t2l_export_report *report,
    struct t2l_error *err)
{
	struct adapter_difference difference;
	struct t2l_adapter *read;
	enum t2l_status status = format->read(temporary, &read, err);

	if (status != T2L_OK)
		return t2l_context(err, "what was written cannot be read back");
	status = adapter_difference(given, read, compare_step, job, &difference, err);
	t2l_adapter_close(read);
	if (status != T2L_OK)
		return status == T2L_ECANCELLED
			   ? status
			   : t2l_context(err, "what was written is another adapter");
	if (difference.relative > job->precision->bound)
		return t2l_fail(err, T2L_EINVAL,
		    "in %s the adapter's effect would change by %.2g of itself; use a wider "
		    "precision",
		    job->precision->name, difference.relative);
	report->max_error = difference.max;
	report->rms_error = difference.rms;
	report->relative_error = difference.relative;
	return T2L_OK;
}

struct tally {
	const char *directory;
	struct t2l_export_report *report;
};

static int
count_name(void *user, const char *name)
{
	const struct tally *tally = user;
	char path[EXPORT_PATH_SIZE];
	struct stat facts;

	if (export_path(tally->directory, name, path, NULL) == T2L_OK && lstat(path, &facts) == 0) {
		tally->report->n_files++;
		tally->report->n_bytes += (uint64_t)facts.st_size;
	}
	return 0;
}

static void
count_files(const char *temporary, bool is_directory, struct t2l_export_report *report)
{
	struct tally tally = { temporary, report };
	struct stat facts;

	if (is_directory) {
		each_name(temporary, count_name, &tally);
	} else if (stat(temporary, &facts) == 0) {
		report->n_files = 1;
		report->n_bytes = (uint64_t)facts.st_size;
	}
}

/* ---- all of it ---- */

static enum t2l_status
write_and_check(const struct adapter_format *format, const struct t2l_adapter *given,
    struct export_job *job, const char *path, struct t2l_export_report *report,
    struct t2l_error *err)
{
	char target[EXPORT_PATH_SIZE], temporary[EXPORT_PATH_SIZE];
	enum t2l_status status;

	if ((status = target_of(path, format->facts.is_directory, target, err)) != T2L_OK ||
	    (status = temporary_beside(target, temporary, err)) != T2L_OK)
		return status;
	if (format->facts.is_directory && mkdir(temporary, 0777) != 0)
		return t2l_fail_errno(err, "cannot write '%s'", path);
	if ((status = format->write(job, temporary, err)) == T2L_OK &&
	    (status = read_back(format, given, job, temporary, report, err)) == T2L_OK) {
		count_files(temporary, format->facts.is_directory, report);
		status = install(temporary, target, format->facts.is_directory, err);
	}
	if (status == T2L_OK)
		return T2L_OK;
	discard(temporary, format->facts.is_directory);
	return t2l_context(err, "'%s'", path); /* the temporary name says nothing to anybody */
}

static void
say_how(struct export_job *job, bool folded)
{
	const char *target = job->options->optimize_for;

	if (target == NULL)
		return;
	if (folded)
		export_tell(
		    job->done, "the scale is in B: nothing is multiplied by it at run time");
	if (job->aligned)
		export_tell(
		    job->done, "tensors stand in the order of layers, from a multiple of 64 bytes");
	export_tell(job->done, "numbers in %s", job->precision->name);
}

/* BASE_MODEL_NAME: what was asked for, else the adapter's own, else where the base is. */
static const char *
name_base(const struct t2l_export_options *options, const struct t2l_adapter *adapter)
{
	if (options->target_model != NULL)
		return options->target_model;
	if (adapter->facts.base_name[0] != '\0' || options->base_model == NULL)
		return adapter->facts.base_name;
	return options->base_model;
}

static enum t2l_status
export_prepared(const struct adapter_format *format, const struct t2l_adapter *adapter,
    struct export_job *job, const char *path, struct t2l_export_report *report,
    struct t2l_error *err)
{
	/* For size the scale stays where it is: in B it would save nothing. */
	bool fold =
	    job->options->optimize_for != NULL && strcmp(job->options->optimize_for, "size") != 0;
	struct t2l_adapter *folded = NULL;
	enum t2l_status status = T2L_OK;

	if (fold && (status = adapter_fold(adapter, &folded, err)) != T2L_OK)
		return status;
	job->adapter = folded != NULL ? folded : adapter;
	job->aligned = fold;
	say_how(job, fold);
	status = write_and_check(format, adapter, job, path, report, err);
	t2l_adapter_close(folded);
	return status;
}

/* The native format keeps rows as they are; all others have theirs. */
static enum t2l_status
order_rows(const struct adapter_format *format, const struct t2l_adapter *adapter,
    const struct base_shape *base, struct t2l_adapter **out, struct t2l_error *err)
{
	if (!adapter->facts.gguf_rows || format == &format_native) {
		*out = t2l_adapter_ref(adapter);
		return T2L_OK;
	}
	if (base == NULL || base->head_dim == 0)
		return t2l_fail(err, T2L_EINVAL,
		    "the rows of q and k lie in GGUF's order, and the adapter does not tell the "
		    "size of "
		    "a head; give the base or the head size");
	return adapter_reorder(adapter, false, base->head_dim, out, err);
}

enum t2l_status
t2l_adapter_export(const struct t2l_adapter *adapter, const char *path,
    const struct t2l_export_options *options, struct t2l_export_report *report,
    struct t2l_error *err)
{
	struct t2l_export_report own;
	struct buffer done = { 0 }, warnings = { 0 };
	struct base_shape shape;
	struct export_job job = { .options = options,
		.base_name = name_base(options, adapter),
		.task = options->task != NULL ? options->task : adapter->facts.task,
		.done = &done,
		.warnings = &warnings,
		.n_all = 3 * adapter->n_modules };
	const struct adapter_format *format;
	struct t2l_adapter *ordered;
	enum t2l_status status;

	report = report != NULL ? report : &own;
	*report = (struct t2l_export_report){ .precision = "" };
	if ((status = check_options(options, &format, err)) == T2L_OK &&
	    (status = choose_precision(format, options, &job.precision, err)) == T2L_OK &&
	    (status = describe_base(options, &shape, &job.base, err)) == T2L_OK) {
		report->precision = job.precision->name;
		status = order_rows(format, adapter, job.base, &ordered, err);
	}
	if (status == T2L_OK) {
		status = export_prepared(format, ordered, &job, path, report, err);
		t2l_adapter_close(ordered);
	}
	snprintf(report->done, sizeof report->done, "%s", buffer_string(&done));
	snprintf(report->warnings, sizeof report->warnings, "%s", buffer_string(&warnings));
	buffer_free(&done);
	buffer_free(&warnings);
	return status == T2L_OK ? T2L_OK : t2l_context(err, "export");
}
