/*
 * adapters/format.h - the table of adapter formats: how each is told, read and written.
 *
 * A format is one file format-*.c and one row of adapter_format_table[]. Readers give adapters in
 * Hugging Face's terms, writers get one and a fresh path; choosing precision, folding scales,
 * temporary names, reading back and reporting is export.c's, the same for all.
 */
#ifndef ENGINE_ADAPTERS_FORMAT_H
#define ENGINE_ADAPTERS_FORMAT_H

#include "base/buffer.h"
#include "engine/adapters/base-shape.h"
#include "engine/adapters/precision.h"

/* What a path is, looked at once. */
struct adapter_probe {
	const char *path;
	bool is_directory;
	unsigned char head[8]; /* a file's first bytes, zeros behind its end */
};

/* One export under way. */
struct export_job {
	const struct t2l_adapter *adapter; /* folded when so wanted */
	const struct t2l_export_options *options;
	const struct precision *precision;
	const struct base_shape *base;	/* NULL: nothing is known of the base */
	const char *base_name;		/* base_model_name_or_path; "" when not known */
	const char *task;		/* "" when not known */
	bool aligned;			/* tensors at multiples of 64 bytes */
	struct buffer *done, *warnings; /* lines for the report */
	size_t n_done, n_all;		/* halves */
};

struct adapter_format {
	struct t2l_format_facts facts;
	const char *mobile, *size; /* the precisions that optimising takes; of those it writes */
	/* NULL: never told from the content alone. */
	bool (*is)(const struct adapter_probe *probe);
	/* NULL: not read; not written. */
	enum t2l_status (*read)(
	    const char *path, struct t2l_adapter **adapter, struct t2l_error *err);
	/* Makes the file PATH, or fills the empty directory PATH. */
	enum t2l_status (*write)(struct export_job *job, const char *path, struct t2l_error *err);
};

extern const struct adapter_format format_native, format_peft, format_hf, format_gguf, format_ggml,
    format_mlx, format_kohya, format_ollama;
/* NULL-terminated; in the order in which they are tried. */
extern const struct adapter_format *const adapter_format_table[];

/* Whether all scales and ranks are one. */
bool adapter_is_uniform(const struct t2l_adapter *adapter);
/* A copy with the scale in B and alpha = rank, so that every scale is 1. */
enum t2l_status adapter_fold(
    const struct t2l_adapter *adapter, struct t2l_adapter **folded, struct t2l_error *err);
/* A line for the report. */
void export_tell(struct buffer *lines, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Says how many halves are in F16 because the blocks of the job's precision do not fit them. */
void export_tell_fallback(struct export_job *job);
/* Tells progress; T2L_ECANCELLED when the caller has had enough. */
enum t2l_status export_step(struct export_job *job, struct t2l_error *err);
/* DIRECTORY/NAME into PATH [EXPORT_PATH_SIZE]. */
#define EXPORT_PATH_SIZE 4096
enum t2l_status export_path(
    const char *directory, const char *name, char *path, struct t2l_error *err);
enum t2l_status export_text(
    const char *directory, const char *name, const char *text, struct t2l_error *err);

/* format-peft.c: fills a directory with PEFT's two files; hf adds to them. */
enum t2l_status peft_write(struct export_job *job, const char *directory, struct t2l_error *err);

#endif
