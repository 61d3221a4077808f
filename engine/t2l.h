/*
 * t2l.h - the engine (libt2l): description -> adapter -> tokens.
 *
 * The nouns: an engine owns a backend and its threads; a model is a base model, mapped from
 * its file; an encoder turns a sentence into an embedding; a hypernet turns an embedding into
 * an adapter (LoRA); a session runs K lanes over one model, each lane with its own adapter.
 *
 * What callers may rely on:
 * - Nothing here prints, exits, reads the environment or keeps global mutable state.
 * - Models, encoders, hypernets and adapters are immutable once open and may be shared by
 *   threads. A session belongs to one thread at a time; only t2l_session_cancel() may be
 *   called from another. Calls that compute on one engine are serialised inside it.
 * - Every function that can fail returns a status and fills ERR (may be NULL). Objects are
 *   returned through the last pointers and are untouched on failure. *_close(NULL) is fine.
 * - Strings are UTF-8. Paths are the caller's; nothing is written but what was asked for, and
 *   that atomically (temporary name in the same folder, fsync, rename).
 */
#ifndef T2L_H
#define T2L_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef T2L_BUILDING
#define T2L_API __attribute__((visibility("default")))
#else
#define T2L_API
#endif

/* ---- errors ---- */

enum t2l_status {
	T2L_OK = 0,
	T2L_ENOENT,	  /* no such file, directory or name */
	T2L_EIO,	  /* reading or writing failed; disk full */
	T2L_EFORMAT,	  /* a file is damaged, hostile or not what it says it is */
	T2L_EUNSUPPORTED, /* a valid thing that we do not support; the message names it */
	T2L_EINVAL,	  /* an argument or option is out of its range */
	T2L_EMISMATCH,	  /* things that do not belong together (adapter and base, ...) */
	T2L_ENOMEM,
	T2L_ECANCELLED
};

struct t2l_error {
	enum t2l_status status;
	char message[1024]; /* names the thing and the way out; always terminated */
};

/* Memory that a call returned. */
T2L_API void t2l_free(void *memory);
T2L_API const char *t2l_version(void);	    /* "0.1.0" */
T2L_API const char *t2l_cpu_features(void); /* "avx512f avx512bw ..." of this processor */

/* ---- engine ---- */

struct t2l_engine;
struct t2l_engine_options {
	const char *backend; /* NULL or "auto", "cpu" */
	int n_threads;	     /* 0: as many as the process may run on */
	const char *isa;     /* NULL or "auto", "avx512", "avx2", "plain" */
	bool precise;	     /* f32 activations and kv cache, no quantised dot products */
};
/* OPTIONS may be NULL. */
T2L_API enum t2l_status t2l_engine_open(
    const struct t2l_engine_options *options, struct t2l_engine **engine, struct t2l_error *err);
T2L_API void t2l_engine_close(struct t2l_engine *engine); /* after all that was opened on it */
T2L_API const char *t2l_engine_description(const struct t2l_engine *engine);
T2L_API int t2l_engine_threads(const struct t2l_engine *engine);

/* ---- base model: an HF directory or a GGUF file ---- */

struct t2l_model;
struct t2l_model_facts {
	char name[128];	       /* the directory's or file's own */
	char architecture[64]; /* "llama" */
	char format[16];       /* "hf", "gguf" */
	char dtype[16];	       /* of most weights: "f16" */
	int n_layers, hidden_size, n_heads, n_kv_heads, head_dim, ffn_size, vocab_size;
	int context_length;
	int64_t n_parameters;
	uint64_t weight_bytes;
	uint64_t decode_bytes; /* of the weights that one token reads; but one row of an embedding */
	uint64_t kv_bytes_per_token;
	char fingerprint[65]; /* identity of the weights, whatever file they are in; hex */
	bool has_tokenizer, has_chat_template;
	/* The name of the built-in template of its family, which has_chat_template then stands for
	 * too: the model has none of its own. "" when it has, or when no family is certain. */
	char builtin_template[16];
};
T2L_API enum t2l_status t2l_model_open(
    struct t2l_engine *engine, const char *path, struct t2l_model **model, struct t2l_error *err);
/* Only the text side: tokenizer and chat template. PATH may also be a single tokenizer file or a
 * directory without weights, and no weight is read. The model has facts on names and vocabulary
 * alone, and no session or score runs on it (T2L_EINVAL). */
T2L_API enum t2l_status t2l_model_open_text(
    const char *path, struct t2l_model **model, struct t2l_error *err);
T2L_API void t2l_model_close(struct t2l_model *model);
T2L_API const struct t2l_model_facts *t2l_model_facts(const struct t2l_model *model);

/* Reads every weight, where opening reads samples of large tensors: T2L_EFORMAT names the file and
 * the tensor, row and column of the first that is NaN or infinite. Takes as long as reading the
 * file and widening it to f32. */
T2L_API enum t2l_status t2l_model_check(const struct t2l_model *model, struct t2l_error *err);

/* One tensor as its file has it, whose size in bytes is *N_BYTES (may be NULL); false behind the
 * last. */
struct t2l_tensor_facts;
T2L_API bool t2l_model_tensor(const struct t2l_model *model, size_t index,
    struct t2l_tensor_facts *facts, uint64_t *n_bytes);

struct t2l_quantize_report {
	const char *tensor, *from, *to; /* "blk.0.attn_q.weight", "f16", "q4_k" */
	int64_t n;
	uint64_t n_bytes;
	double max_error, rms_error;
	double relative_error; /* rms_error / root mean square of the tensor */
	size_t done, all;      /* tensors */
};
struct t2l_quantize_options {
	const char *type; /* a name of t2l_quantize_type(); NULL (conversion only): as it is */
	/* After each tensor, in the file's order; false: T2L_ECANCELLED. May be NULL. */
	bool (*on_tensor)(void *user, const struct t2l_quantize_report *report);
	void *user;
};
/* INPUT, a GGUF file or a Hugging Face directory, with its matrices in another type -> OUTPUT, a
 * GGUF file, atomically. A GGUF file's metadata stays. */
T2L_API enum t2l_status t2l_quantize(const char *input, const char *output,
    const struct t2l_quantize_options *options, struct t2l_error *err);
/* A base model in the other form, atomically: a Hugging Face directory -> a GGUF file, a GGUF file
 * -> a directory (whose namesakes are replaced when it is there). Vectors and routers of GGUF files
 * are f32; a directory takes the types f32, f16 and bf16; of a NULL type, quantised tensors become
 * f16 in a directory and the others stay as they are. What the other form cannot say is
 * T2L_EUNSUPPORTED and named. */
T2L_API enum t2l_status t2l_model_convert(const char *input, const char *output,
    const struct t2l_quantize_options *options, struct t2l_error *err);
/* Whether PATH looks like a base model of either form (and no adapter). */
T2L_API bool t2l_model_is(const char *path);
/* The types in the table's order with a line on each (HELP may be NULL); NULL behind the last. */
T2L_API const char *t2l_quantize_type(size_t index, const char **help);

/* Text and tokens. Returned memory is the caller's, to be given to t2l_free(). */
enum t2l_tokenize_flags {
	T2L_PARSE_SPECIAL = 1, /* text of special tokens becomes the token; else it is text */
	T2L_ADD_SPECIAL = 2    /* BOS/EOS as the model's own settings say */
};
T2L_API enum t2l_status t2l_tokenize(const struct t2l_model *model, const char *text,
    size_t n_bytes, unsigned flags, int32_t **ids, size_t *n_ids, struct t2l_error *err);
enum t2l_detokenize_flags {
	T2L_SKIP_SPECIAL = 1, /* special tokens are left out */
	T2L_RAW_BYTES = 2     /* what is no UTF-8 stays as it is; else it becomes U+FFFD */
};
/* A terminating NUL is added. T2L_EINVAL names an id that is outside the vocabulary. */
T2L_API enum t2l_status t2l_detokenize(const struct t2l_model *model, const int32_t *ids,
    size_t n_ids, unsigned flags, char **text, size_t *n_bytes, struct t2l_error *err);
/* The pieces a streaming reader sees: piece i is NULL where nothing is complete after token i. The
 * array has n_ids + 1 entries, the last is what is left at the end (or NULL). One t2l_free() frees
 * all. */
T2L_API enum t2l_status t2l_detokenize_stream(const struct t2l_model *model, const int32_t *ids,
    size_t n_ids, char ***pieces, struct t2l_error *err);

struct t2l_message {
	const char *role, *content; /* "system", "user", "assistant" */
};
struct t2l_chat_options {
	const char *template_source; /* Jinja; NULL: the model's own */
	bool add_generation_prompt;
	const char *bos_token, *eos_token; /* NULL: the model's */
	const char *date;		   /* today as the template sees it; NULL: the clock's */
};
/* The built-in templates, by family: names and a line on each in the table's order, NULL behind the
 * last; a template's source, NULL when there is none of that name. */
T2L_API const char *t2l_chat_template_name(size_t index, const char **help);
T2L_API const char *t2l_chat_template_source(const char *name);
/* The conversation as text the model reads. MODEL may be NULL when a template is given. */
T2L_API enum t2l_status t2l_chat_render(const struct t2l_model *model,
    const struct t2l_message *messages, size_t n_messages, const struct t2l_chat_options *options,
    char **text, struct t2l_error *err);
/* The conversation as ids. Special tokens come from the template alone: what a message says is
 * text, whatever it says; BOS is there once. */
T2L_API enum t2l_status t2l_chat_encode(const struct t2l_model *model,
    const struct t2l_message *messages, size_t n_messages, const struct t2l_chat_options *options,
    int32_t **ids, size_t *n_ids, struct t2l_error *err);

/* ---- task encoder: sentence -> embedding; BERT, GTE v1.5, or a base model's last token ---- */

struct t2l_encoder;
struct t2l_encoder_facts {
	char name[128];
	char architecture[64]; /* "bert", "gte", or a base model's: "llama" */
	char pooling[16];      /* "mean", "cls", "last" */
	int dimension, max_tokens;
	int64_t n_parameters;
	char fingerprint[65];
};
T2L_API enum t2l_status t2l_encoder_open(struct t2l_engine *engine, const char *path,
    struct t2l_encoder **encoder, struct t2l_error *err);
T2L_API void t2l_encoder_close(struct t2l_encoder *encoder);
T2L_API const struct t2l_encoder_facts *t2l_encoder_facts(const struct t2l_encoder *encoder);
/* out [n_texts, dimension], each row of length 1. Too long a text is cut as the encoder's own
 * settings say. Texts are embedded as they stand (the hypernet's own preparation is in
 * t2l_hypernet_embed). */
T2L_API enum t2l_status t2l_encoder_embed(struct t2l_encoder *encoder, const char *const *texts,
    size_t n_texts, float *out, struct t2l_error *err);
T2L_API enum t2l_status t2l_encoder_tokenize(const struct t2l_encoder *encoder, const char *text,
    int32_t **ids, size_t *n_ids, struct t2l_error *err);

/* ---- adapter ---- */

struct t2l_adapter; /* immutable, counted: close gives one reference back */
struct t2l_adapter_facts {
	char format[16];  /* the name of a t2l_adapter_format() */
	const char *name; /* "" when the file has none; likewise below */
	const char *task;
	const char *base_name;
	const char *base_fingerprint;
	const char *hypernet; /* fingerprint */
	const char *encoder;  /* name */
	const char *lineage;  /* JSON array of {"hash","name","weight"}; "" when none */
	const char *modules;  /* "q_proj,v_proj" */
	const char *note;     /* what its reader cannot be sure of; "" when nothing */
	int rank;	      /* the largest */
	int n_layers;
	double lora_alpha;
	bool use_rslora;
	/* Rows of q and k lie as in GGUF files of the llama family: from a GGUF LoRA that does not tell
	 * the size of a head. Runs on any base; other formats need the base to write it. */
	bool gguf_rows;
	double scale; /* of the first module */
	int64_t n_parameters;
	size_t n_tensors;
	char hash[65]; /* SHA-256 of numbers, modules and scales: the same effect, the same hash,
			  whatever the labels and the file format */
};
/* Any format that t2l_adapter_format() reads; told by its content. */
T2L_API enum t2l_status t2l_adapter_open(
    const char *path, struct t2l_adapter **adapter, struct t2l_error *err);
T2L_API struct t2l_adapter *t2l_adapter_ref(const struct t2l_adapter *adapter);
T2L_API void t2l_adapter_close(struct t2l_adapter *adapter);
T2L_API const struct t2l_adapter_facts *t2l_adapter_facts(const struct t2l_adapter *adapter);
struct t2l_tensor_facts {
	const char *name; /* PEFT's */
	const char *dtype;
	int n_dims;
	int64_t shape[4];
};
T2L_API enum t2l_status t2l_adapter_tensor(const struct t2l_adapter *adapter, size_t index,
    struct t2l_tensor_facts *facts, struct t2l_error *err);
/* Fits the shapes of MODEL, and (where both are known) was made for its weights. The first is an
 * error (T2L_EMISMATCH), the second is told through other_base. */
T2L_API enum t2l_status t2l_adapter_check(const struct t2l_adapter *adapter,
    const struct t2l_model *model, bool *other_base, struct t2l_error *err);
/* A copy with other labels; NULL keeps what is there. Shares the numbers. */
T2L_API enum t2l_status t2l_adapter_relabel(const struct t2l_adapter *adapter, const char *name,
    const char *task, struct t2l_adapter **out, struct t2l_error *err);
/* The native file: PEFT-named safetensors, everything else in its metadata. */
T2L_API enum t2l_status t2l_adapter_save(
    const struct t2l_adapter *adapter, const char *path, struct t2l_error *err);
struct t2l_peft_options {
	const char *base_model; /* base_model_name_or_path; NULL: the adapter's own */
	const char *dtype;	/* "fp32" (NULL), "fp16", "bf16" */
};
/* Writes DIRECTORY/adapter_config.json and adapter_model.safetensors, reads both back and compares.
 */
T2L_API enum t2l_status t2l_adapter_export_peft(const struct t2l_adapter *adapter,
    const char *directory, const struct t2l_peft_options *options, struct t2l_error *err);

/* ---- merging ---- */

/* What a strategy can be told besides the weights. */
enum t2l_merge_parameter {
	T2L_MERGE_DENSITY = 1,
	T2L_MERGE_SIGN_METHOD = 2,
	T2L_MERGE_SEED = 4,
	T2L_MERGE_LAMBDA = 8,
	T2L_MERGE_GAMMA = 16,
	T2L_MERGE_EPSILON = 32
};
struct t2l_merge_strategy {
	const char *name, *help, *source; /* PEFT's or mergekit's name; one line; paper or program */
	unsigned parameters;		  /* set of t2l_merge_parameter */
	double density, lambda, gamma, epsilon; /* defaults of those that it has */
};
/* The table of strategies; NULL behind the last, and when there is none of that name. */
T2L_API const struct t2l_merge_strategy *t2l_merge_strategy(size_t index);
T2L_API const struct t2l_merge_strategy *t2l_merge_strategy_find(const char *name);

struct t2l_merge_options {
	const char *strategy;
	int rank;		    /* of the result; 0: as the strategy has it */
	double density;		    /* share of the numbers that is kept; < 0: the default */
	double lambda;		    /* factor on the whole; 0: the default */
	double gamma;		    /* breadcrumbs: share of the outliers; < 0: the default */
	double epsilon;		    /* della: spread of the probabilities; < 0: the default */
	const char *majority_sign_method; /* "total" (NULL), "frequency" */
	uint64_t seed;		    /* of what is drawn */
	/* Called between modules; returning false stops (T2L_ECANCELLED). May be NULL. */
	bool (*on_module)(void *user, size_t done, size_t all);
	void *user;
};
T2L_API struct t2l_merge_options t2l_merge_defaults(const char *strategy);
struct t2l_merge_report {
	int rank;
	/* |lost| / |whole| of the cut to RANK, over all modules and of the worst; 0: nothing cut. */
	double relative_error, largest_error;
	char largest_module[80];
};
/* The adapters as one, by a strategy; module by module, each of which only the adapters that change
 * it take part in. WEIGHTS NULL: the strategy's own (usually 1/n each). The result has scale 1, and
 * its lineage names its parents. REPORT may be NULL. T2L_EMISMATCH: ranks, sizes or bases that do
 * not agree; T2L_EINVAL: a parameter that the strategy has not or that is out of its range. */
T2L_API enum t2l_status t2l_adapter_merge(struct t2l_engine *engine,
    const struct t2l_merge_options *options, const struct t2l_adapter *const *adapters,
    const double *weights, size_t n, struct t2l_merge_report *report, struct t2l_adapter **out,
    struct t2l_error *err);

/* What somebody should know before merging these: bases that differ or are not told, one adapter
 * twice, rsLoRA beside plain LoRA, strengths far apart, modules that only some change. *LINES: a
 * line each, "" when there is nothing; t2l_free() it. */
T2L_API enum t2l_status t2l_merge_warnings(const struct t2l_adapter *const *adapters, size_t n,
    char **lines, struct t2l_error *err);

struct t2l_into_base_options {
	/* Called between tensors; returning false stops (T2L_ECANCELLED). May be NULL. */
	bool (*on_tensor)(void *user, size_t done, size_t all);
	void *user;
};
struct t2l_into_base_report {
	size_t n_tensors, n_changed;
};
/* BASE with the adapter added to its weights -> OUTPUT: an HF directory of an HF directory, with
 * config and tokenizer; a GGUF file of a GGUF file. Tensors keep their types and are streamed. The
 * other form is written when OUTPUT ends in ".gguf" (a file) or "/" (a directory): then BASE is
 * first converted beside OUTPUT (see t2l_model_convert()), for as long as it takes.
 * OPTIONS and REPORT may be NULL. T2L_EMISMATCH: the base has not what the adapter changes. OUTPUT
 * is there whole or not at all; a directory must be new or empty. */
T2L_API enum t2l_status t2l_adapter_into_base(const struct t2l_adapter *adapter, const char *base,
    const char *output, const struct t2l_into_base_options *options,
    struct t2l_into_base_report *report, struct t2l_error *err);

/* ---- looking into adapters ---- */

/* Frobenius norm of scale * B A of each adapted module, without forming it; cosine with OTHER when
 * not NULL. */
struct t2l_module_norm {
	int layer;	    /* -1 outside the layers */
	const char *module; /* "q_proj", "experts.w1", "lm_head" */
	int expert;	    /* -1 where there are none */
	int rank;
	double norm, cosine;
};
T2L_API enum t2l_status t2l_adapter_norms(const struct t2l_adapter *adapter,
    const struct t2l_adapter *other, struct t2l_module_norm **norms, size_t *n,
    struct t2l_error *err);

/* What scale * B A is in one module. */
struct t2l_module_spectrum {
	int layer; /* -1 outside the layers */
	const char *module;
	int expert; /* -1 where there are none */
	int rank;
	int64_t in, out;
	double norm; /* Frobenius */
	const double *singular_values; /* [rank], decreasing */
	double effective_rank; /* exp of their entropy (Roy & Vetterli 2007): 1 .. rank; 0: nothing */
	double sparsity;       /* share of zeros in A and B */
	double largest_a, largest_b; /* largest |number| */
	bool does_nothing;	     /* the norm is 0 */
	bool is_outlier;	     /* the norm is 8 times the median of all modules, or more */
};
/* One t2l_free() frees all. */
T2L_API enum t2l_status t2l_adapter_spectra(const struct t2l_adapter *adapter,
    struct t2l_module_spectrum **spectra, size_t *n, struct t2l_error *err);
/* How alike two adapters are in one module. Overlaps are the mean squared cosine of the principal
 * angles between what A's rows span (input) and between what B's columns span (output): 1 when one
 * space holds the other, 0 at right angles; for chance expect about the larger rank / size. */
struct t2l_module_overlap {
	int layer; /* -1 outside the layers */
	const char *module;
	int expert; /* -1 where there are none */
	bool in_both;
	double norm_a, norm_b, inner_product, cosine;
	double input_overlap, output_overlap;
	double input_angle, output_angle; /* the smallest principal angle, in radians */
};
/* The modules of both, in order. T2L_EMISMATCH: sizes differ. */
T2L_API enum t2l_status t2l_adapter_overlap(const struct t2l_adapter *a,
    const struct t2l_adapter *b, struct t2l_module_overlap **overlaps, size_t *n,
    struct t2l_error *err);

/* ---- adapter formats: engine/adapters/format.c has the table ---- */

struct t2l_format_facts {
	const char *name;	/* "gguf" */
	const char *holds;	/* one line */
	const char *precisions; /* "fp32 fp16", the first is the default; "" when not written */
	bool is_directory, reads, writes;
};
/* In the table's order; NULL behind the last. */
T2L_API const struct t2l_format_facts *t2l_adapter_format(size_t index);

struct t2l_export_options {
	const char *format;    /* a name of t2l_adapter_format() */
	const char *precision; /* NULL: the format's default, or what optimize_for takes */
	/* The base: an HF directory (config.json is enough, but for what hf links) or a GGUF file.
	 * GGUF needs its architecture and head size; without a base both may be given by hand. */
	const char *base_model, *architecture;
	int head_dim;
	const char *target_model; /* base_model_name_or_path to write; NULL: the adapter's own */
	const char *optimize_for; /* "mobile", "inference", "size"; NULL: nothing */
	/* hf */
	bool adapter_only;	   /* no config.json, no base beside it */
	bool copy_base;		   /* copies weights and tokenizer of the base; else links */
	bool model_card;	   /* a whole README.md */
	const char *task;	   /* description for the card; NULL: the adapter's own */
	const char *card_scores;   /* Markdown for the card's scores; NULL: none */
	/* Halves of modules written, then modules compared; false: T2L_ECANCELLED. May be NULL. */
	bool (*on_progress)(void *user, size_t done, size_t all);
	void *user;
};
struct t2l_export_report {
	const char *precision;
	/* Of scale * B A over all modules, what was read back against what was given. */
	double max_error, rms_error, relative_error;
	uint64_t n_bytes;
	int n_files;
	char done[1024];     /* what was done beside writing, a line each */
	char warnings[1024]; /* likewise; "" when there are none */
};
/* Writes PATH in the format, reads it back and compares before it takes its name: on any failure
 * nothing is there that was not there before. REPORT may be NULL. */
T2L_API enum t2l_status t2l_adapter_export(const struct t2l_adapter *adapter, const char *path,
    const struct t2l_export_options *options, struct t2l_export_report *report,
    struct t2l_error *err);

/* Whether TEXT [N] is chat fine-tuning data by OpenAI's published rules: conversations, one a line
 * ({"messages": [{"role", "content"}, ...]}), ten or more; NAME is for messages. T2L_EFORMAT names
 * the line and the rule. N_LINES may be NULL. */
T2L_API enum t2l_status t2l_chat_lines_check(
    const char *text, size_t n, const char *name, size_t *n_lines, struct t2l_error *err);

/* ---- hypernet: embedding -> adapter ---- */

struct t2l_hypernet;
struct t2l_hypernet_facts {
	char name[128];
	char variant[8]; /* "S", "M", "L" */
	char base_name[128], base_fingerprint[65];
	char encoder_name[128], encoder_fingerprint[65];
	int embedding_size, latent_size, head_in_size, n_layers, rank;
	double lora_alpha;
	bool use_rslora;
	char modules[256];
	int64_t n_parameters;
	int64_t adapter_numbers; /* of each adapter it makes */
	int adapters_a_pass; /* so many generate_many makes at a time: by their size and the threads */
	char fingerprint[65];
};
/* PATH: a file of ours, or a checkpoint of the reference (SakanaAI/text-to-lora): its directory with
 * hypermod.pt, args.yaml and adapter_config.json, or that hypermod.pt. No base weights are read. */
T2L_API enum t2l_status t2l_hypernet_open(struct t2l_engine *engine, const char *path,
    struct t2l_hypernet **hypernet, struct t2l_error *err);
/* Whether PATH holds a hypernet, as far as its content says at a glance. */
T2L_API bool t2l_hypernet_is(const char *path);
/* Writes the hypernet of PATH as one file of ours, its matrices as "fp32" (or NULL), "fp16", "bf16". */
T2L_API enum t2l_status t2l_hypernet_convert(
    const char *path, const char *output, const char *dtype, struct t2l_error *err);
T2L_API void t2l_hypernet_close(struct t2l_hypernet *hypernet);
T2L_API const struct t2l_hypernet_facts *t2l_hypernet_facts(const struct t2l_hypernet *hypernet);
/* T2L_EMISMATCH with both names when the hypernet was made for another base or encoder; either may
 * be NULL. */
T2L_API enum t2l_status t2l_hypernet_check(const struct t2l_hypernet *hypernet,
    const struct t2l_model *model, const struct t2l_encoder *encoder, struct t2l_error *err);
/* T2L_EINVAL, saying what it takes instead, when the hypernet takes no descriptions: a checkpoint
 * trained on one-hot vectors of its tasks. Asked before an encoder is looked for. */
T2L_API enum t2l_status t2l_hypernet_check_describable(
    const struct t2l_hypernet *hypernet, struct t2l_error *err);
/* The description as the hypernet wants it: stripped, full stop added (FACTS 3), embedded, scaled
 * by sqrt(d). out [embedding_size]. An empty description is T2L_EINVAL. */
T2L_API enum t2l_status t2l_hypernet_embed(const struct t2l_hypernet *hypernet,
    struct t2l_encoder *encoder, const char *task, float *out, struct t2l_error *err);
/* The same for N descriptions at once, which reads the encoder's weights once for many of them:
 * out [n, embedding_size]. All or none; *REFUSED (may be NULL) is then the index of the description
 * at fault, or N when the fault is in none of them. */
T2L_API enum t2l_status t2l_hypernet_embed_many(const struct t2l_hypernet *hypernet,
    struct t2l_encoder *encoder, const char *const *tasks, size_t n, float *out, size_t *refused,
    struct t2l_error *err);
/* TASK_EMBEDDING is scaled already. TASK becomes the adapter's label (may be NULL). */
T2L_API enum t2l_status t2l_hypernet_generate(struct t2l_hypernet *hypernet,
    const float *task_embedding, const char *task, struct t2l_adapter **adapter,
    struct t2l_error *err);
/* The same for many tasks at once, which reads the hypernet's weights once for several of them:
 * task_embeddings [n, embedding_size], TASKS (may be NULL) and ADAPTERS have N entries. All or
 * none.
 */
T2L_API enum t2l_status t2l_hypernet_generate_many(struct t2l_hypernet *hypernet,
    const float *task_embeddings, const char *const *tasks, size_t n, struct t2l_adapter **adapters,
    struct t2l_error *err);

/* A safetensors file with task_emb F32, F64, F16 or BF16 [d] or [n,d] -> *values [n, size], to be given to
 * t2l_free(). */
T2L_API enum t2l_status t2l_read_embeddings(
    const char *path, int size, float **values, size_t *n, struct t2l_error *err);

/* ---- session: K lanes over one base ---- */

struct t2l_session;
struct t2l_sampling {
	bool greedy;				   /* or temperature 0 */
	float temperature;			   /* 1 */
	int top_k;				   /* 0: all */
	float top_p;				   /* 1: all */
	float min_p;				   /* 0: all */
	float repetition_penalty;		   /* 1: none; over prompt and output */
	float frequency_penalty, presence_penalty; /* 0: none */
	uint64_t seed;				   /* lanes with one seed draw the same numbers */
};
T2L_API struct t2l_sampling t2l_sampling_default(void);

enum t2l_finish { T2L_FINISH_STOP, T2L_FINISH_LENGTH, T2L_FINISH_CANCELLED };
struct t2l_lane_result {
	enum t2l_finish finish;
	size_t n_prompt, n_cached, n_tokens; /* n_cached: prompt tokens that were in the cache */
	double prefill_ms, first_token_ms, decode_ms;
};
struct t2l_run {
	const struct t2l_sampling *sampling; /* one, or one a lane with per_lane_sampling */
	bool per_lane_sampling;
	size_t max_tokens; /* new tokens a lane; 0: only read the prompts into the cache */
	const char *const
	    *stop; /* stop strings; the text before them is kept; also the model's EOS */
	size_t n_stop;
	/* Called from the thread that runs, after each step: TEXT is complete UTF-8 (may be empty),
	 * not terminated. Text that was held back (it might have become a stop string) and comes at
	 * the end of a lane without a token has id -1. Returning false ends this lane (finish:
	 * cancelled). May be NULL. */
	bool (*on_token)(void *user, size_t lane, int32_t id, const char *text, size_t n_bytes);
	/* Asked before each step, which reads at most 512 tokens of prompts; false ends all lanes
	 * (finish: cancelled). May be NULL. */
	bool (*go_on)(void *user);
	void *user;
};
struct t2l_session_options {
	size_t n_lanes;
	size_t n_context;    /* tokens that a lane has room for, at most the model's; 0: that */
	const char *kv_type; /* "f16" (NULL), "q8_0" (half of it), "f32" (NULL when precise) */
};
/* Memory for keys and values is taken as the lanes' texts grow. */
T2L_API enum t2l_status t2l_session_open_with(struct t2l_model *model,
    const struct t2l_session_options *options, struct t2l_session **session,
    struct t2l_error *err);
/* The same with the default kv cache. */
T2L_API enum t2l_status t2l_session_open(struct t2l_model *model, size_t n_lanes, size_t n_context,
    struct t2l_session **session, struct t2l_error *err);
T2L_API void t2l_session_close(struct t2l_session *session);
/* The lane's adapters with their weights (n = 0: the base alone). Forgets the lane's cache when
 * they change, since a LoRA on k and v changes it. References are taken. */
T2L_API enum t2l_status t2l_session_set_adapters(struct t2l_session *session, size_t lane,
    const struct t2l_adapter *const *adapters, const float *weights, size_t n,
    struct t2l_error *err);
/* The lane's whole text so far. What it shares with the cache from the start is not computed again.
 * A lane with n = 0 takes no part in the next run. */
T2L_API enum t2l_status t2l_session_set_prompt(
    struct t2l_session *session, size_t lane, const int32_t *ids, size_t n, struct t2l_error *err);
/* Runs every lane that has a prompt until it stops. results [n_lanes]. The prompts are used up; the
 * output is in t2l_session_output(). Cancelling is no error: the lanes' finish tells. */
T2L_API enum t2l_status t2l_session_run(struct t2l_session *session, const struct t2l_run *run,
    struct t2l_lane_result *results, struct t2l_error *err);
/* Text of the last run (until the next), without the stop string; ids likewise. */
T2L_API const char *t2l_session_output(
    const struct t2l_session *session, size_t lane, size_t *n_bytes);
T2L_API const int32_t *t2l_session_output_ids(
    const struct t2l_session *session, size_t lane, size_t *n_ids);
/* From any thread: ends the run, also one that begins later with the prompts set before. */
T2L_API void t2l_session_cancel(struct t2l_session *session);

/* Log-probability of each token after the first (logprobs [n], [0] unused); logits [n, vocab] when
 * not NULL. */
T2L_API enum t2l_status t2l_score(struct t2l_model *model,
    const struct t2l_adapter *const *adapters, const float *weights, size_t n_adapters,
    const int32_t *ids, size_t n_ids, double *logprobs, float *logits, struct t2l_error *err);

/* logits [n_lanes, n_tokens, vocab_size] as safetensors: "logits", "logits.1", ... F32 [n_tokens,
 * vocab_size]. */
T2L_API enum t2l_status t2l_write_logits(const char *path, const float *logits, size_t n_lanes,
    size_t n_tokens, size_t vocab_size, struct t2l_error *err);

/* ---- task suites ---- */

/* A suite is one of
 * - a directory with tasks.jsonl {"id","group","train","pretrain","weight","descriptions":{tier:[..]}},
 *   train.jsonl, and optionally test.jsonl and pretrain-extra.jsonl: {"task", EXAMPLE};
 * - a directory with a folder for each task: metadata.yaml ("descriptions": [..]; the reference's
 *   form) or descriptions.txt (one a line), train.jsonl, optionally test.jsonl: {EXAMPLE};
 * - a file of lines {EXAMPLE}: one task, named like the file, without descriptions.
 * EXAMPLE is "prompt","response", or "messages":[{"role","content"}..], of which each turn of the
 * assistant becomes an example. */
struct t2l_suite;
struct t2l_suite_example {
	const char *prompt, *response; /* of a conversation: the last message before the response */
	const struct t2l_message *messages; /* all before the response; NULL: the prompt alone */
	size_t n_messages;
};
struct t2l_suite_tier {
	const char *name; /* "train", "near", ... */
	const char **texts;
	size_t n;
};
struct t2l_suite_task {
	const char *id, *op, *group;
	bool train, pretrain; /* is for T2L training; for pre-training of the base */
	double weight;	      /* how often it is drawn in pre-training */
	struct t2l_suite_tier *tiers;
	size_t n_tiers;
	struct t2l_suite_example *examples, *extra, *tests;
	size_t n_examples, n_extra, n_tests;
};
T2L_API enum t2l_status t2l_suite_open(
    const char *directory, struct t2l_suite **suite, struct t2l_error *err);
T2L_API void t2l_suite_close(struct t2l_suite *suite);
T2L_API size_t t2l_suite_n_tasks(const struct t2l_suite *suite);
T2L_API const struct t2l_suite_task *t2l_suite_task(const struct t2l_suite *suite, size_t index);
/* NULL when there is none of that id. */
T2L_API const struct t2l_suite_task *t2l_suite_find(const struct t2l_suite *suite, const char *id);
T2L_API const struct t2l_suite_tier *t2l_suite_tier(
    const struct t2l_suite_task *task, const char *name);

/* ---- training ---- */

enum t2l_train_mode {
	T2L_TRAIN_BASE,	      /* pre-train a small decoder on few-shot rows of a suite */
	T2L_TRAIN_LORA,	      /* an adapter for each task, all in the same batches */
	T2L_TRAIN_MULTI_TASK, /* one adapter for all tasks (the baseline) */
	T2L_TRAIN_SUPERVISED, /* T2L: a hypernet, many tasks in a batch */
	T2L_TRAIN_ENCODER,    /* distil a small task encoder from a larger one */
	T2L_TRAIN_RECONSTRUCTION /* T2L: a hypernet learns given adapters from their descriptions */
};
/* An adapter that a hypernet shall learn. The description is one sentence; NULL: the adapter's own
 * task, and those of a suite's task of that name. */
struct t2l_train_adapter {
	const char *path, *name, *description;
};
/* What counts alike in the loss: every example (the reference's default), every task, every token.
 */
enum t2l_weighting { T2L_WEIGHT_EXAMPLES, T2L_WEIGHT_TASKS, T2L_WEIGHT_TOKENS };
enum t2l_schedule {
	T2L_SCHEDULE_CONSTANT,
	T2L_SCHEDULE_LINEAR,
	T2L_SCHEDULE_COSINE,
	T2L_SCHEDULE_HOLD_LINEAR /* warm-up, constant until hold, then linear to final */
};
/* Zero or NULL means the mode's default, except where said. t2l_train_defaults() fills them in. */
struct t2l_train_options {
	enum t2l_train_mode mode;
	const char *suite; /* see above; or a file that t2l_train_prepare() made */
	const char *base_model; /* frozen base; unused by T2L_TRAIN_BASE */
	const char *encoder;	/* supervised; encoder: the teacher */
	const char *texts;	/* encoder: further sentences, one a line */
	const char *tokenizer;	/* base: directory whose tokenizer files are copied */
	const char *cache;  /* directory that keeps embeddings of descriptions; NULL: none kept */
	const char *tasks;  /* comma list or NULL: all that the suite marks for training */
	const char *output; /* directory (base, encoder, LoRA) or .safetensors (hypernet) */
	const char *log;    /* JSONL; NULL: OUTPUT's directory, train-log.jsonl */
	bool resume;	    /* go on from OUTPUT's checkpoint when there is one */
	/* model */
	int hidden_size, n_layers, n_heads, n_kv_heads, ffn_size,
	    context_length;  /* base, encoder */
	int vocabulary_size; /* encoder: the teacher's most frequent tokens are kept */
	float rope_theta;
	const char *variant; /* "S", "M", "L" */
	int latent_size, head_in_size;
	const char *offset;  /* supervised: a LoRA that every adapter has added (mostly the multi-task one),
			      * of the same modules, rank and scale; NULL: none */
	bool learn_offset;   /* train it with the rest */
	const char *modules; /* "q_proj,v_proj" */
	int rank;
	float lora_alpha;
	bool use_rslora;
	bool description_in_prompt; /* multi-task: write the description before the input */
	const char *save_dtype;	    /* "f32", "f16", "bf16" */
	/* "bf16": operands of the products of linear layers and of the hypernet are rounded to it, and
	 * f32 weights of a frozen base are kept in it; all that is trained, gradients, moments, norms,
	 * attention, low-rank parts and losses stay f32. NULL or "f32": nothing is rounded. */
	const char *compute_dtype;
	/* optimiser */
	int64_t steps;
	float learning_rate, muon_learning_rate;	 /* muon 0: AdamW for all */
	float beta1, beta2, epsilon, weight_decay, clip; /* clip 0: none */
	enum t2l_schedule schedule;
	int64_t warmup_steps;
	float hold, final; /* fractions: of the steps; of the learning rate */
	float dropout, label_smoothing, l2_generated;
	/* data */
	enum t2l_weighting weighting;
	int batch_tasks, batch_points; /* tasks a batch, examples a task; base: rows */
	int row_tokens;		       /* base: tokens a row */
	int descriptions;	       /* at most this many a task; 0: all */
	uint64_t seed;
	int64_t checkpoint_every, log_every; /* steps */
	int64_t epochs;	  /* passes over tasks (one task: over examples) instead of steps; 0: steps */
	bool each_once;	  /* examples are dealt like the tasks, not drawn with replacement */
	int max_tokens;	  /* longer examples are cut: prompts at their start; 0: refused at the context's end */
	float neftune_alpha; /* noise on the base's embeddings (Jain et al. 2023); 0: none */
	/* Validation: this share of each task's examples is held out; after every so many steps its loss
	 * is taken, the best parameters are kept and are the result; after patience worse ones in a
	 * row training ends. 0: none; patience 0: never. */
	float validation;
	int64_t validate_every;
	int patience;
	/* A step's batch is divided into so many parts, run one after the other: the gradient is that
	 * of the whole batch, to rounding. */
	int parts;
	bool recompute;	     /* keep one activation a layer and compute the others again */
	uint64_t max_memory; /* bytes; what needs more is refused with the numbers; 0: no limit */
	bool distributed;    /* the parts are divided among the processes of an MPI job */
	/* reconstruction */
	const char *adapters_path;		  /* directory of native files and PEFT directories */
	const struct t2l_train_adapter *adapters; /* or these */
	size_t n_adapters;
	bool factorized; /* compare A and B; else the product B A */
	bool z_scores;	 /* factorized only: targets less their mean, by their deviation */
	float delta_w_scaling;
	int batch_descriptions; /* of each task in a batch */
};
T2L_API void t2l_train_defaults(struct t2l_train_options *options);
struct t2l_train_progress {
	int64_t step, steps;
	double loss, gradient_norm, learning_rate;
	double tokens_per_s, elapsed_s, eta_s; /* eta < 0: unknown yet */
	double validation_loss;		       /* the last; NaN while there is none */
	const char *phase;		       /* "embedding descriptions", "training", "saving" */
};
/* Returning false stops at the next step with a checkpoint (T2L_ECANCELLED). */
typedef bool t2l_train_callback(void *user, const struct t2l_train_progress *progress);
T2L_API enum t2l_status t2l_train(struct t2l_engine *engine,
    const struct t2l_train_options *options, t2l_train_callback *on_progress, void *user,
    struct t2l_error *err);
/* What a training needs, in bytes; and the steps it would run. */
struct t2l_train_estimate {
	uint64_t base, parameters, activations; /* parameters with gradients and moments */
	uint64_t rest;	/* the program, tokens, descriptions: what is in memory when it is asked */
	uint64_t total; /* the peak: all of these */
	uint64_t base_as_bf16; /* what base would be with compute_dtype bf16 */
	int64_t steps;
	int64_t n_parameters;
};
T2L_API enum t2l_status t2l_train_estimate(struct t2l_engine *engine,
    const struct t2l_train_options *options, struct t2l_train_estimate *estimate,
    struct t2l_error *err);
/* Writes the suite's examples as tokens of the base (options: suite, base_model, tasks, max_tokens)
 * into options->output, one file that training maps instead of reading and tokenising text. */
T2L_API enum t2l_status t2l_train_prepare(
    const struct t2l_train_options *options, size_t *n_tasks, size_t *n_examples,
    uint64_t *n_tokens, struct t2l_error *err);

/* ---- few examples ---- */

/* Mean negative log-probability of a response's tokens (nats a token, each example alike) under
 * each adapter. losses [n_adapters]; an adapter may be NULL: the base alone. */
T2L_API enum t2l_status t2l_examples_loss(struct t2l_model *model,
    const struct t2l_adapter *const *adapters, size_t n_adapters,
    const struct t2l_suite_example *examples, size_t n_examples, double *losses,
    struct t2l_error *err);
struct t2l_refine_options {
	int64_t steps;
	float learning_rate;
	int batch;	/* examples a step */
	float held_out; /* share of the examples that is not trained on; at least one is */
	uint64_t seed;
	/* FIRST NULL: a fresh LoRA of this shape. */
	const char *modules;
	int rank;
	float lora_alpha;
	bool use_rslora;
	/* After each step: the loss of its batch; and the held-out loss, NaN between evaluations. Every
	 * evaluate_every steps; 0: at the ends only. False stops with what is reached. May be NULL. */
	int64_t evaluate_every;
	bool (*on_step)(void *user, int64_t step, double loss, double held_out_loss);
	void *user;
};
T2L_API void t2l_refine_defaults(struct t2l_refine_options *options);
struct t2l_refine_report {
	int64_t steps; /* after which the result was taken: the best held-out loss of those measured */
	size_t n_trained, n_held_out;
	double loss_before, loss_after; /* of the held-out examples */
};
/* Plain fine-tuning of adapter FIRST on examples of its task. The result keeps FIRST's labels and
 * names it in its lineage. REPORT may be NULL. */
T2L_API enum t2l_status t2l_refine(struct t2l_model *model, const struct t2l_adapter *first,
    const struct t2l_suite_example *examples, size_t n, const struct t2l_refine_options *options,
    struct t2l_adapter **out, struct t2l_refine_report *report, struct t2l_error *err);

#ifdef __cplusplus
}
#endif

#endif
