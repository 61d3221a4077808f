/*
 * hypernet/hypernet.h - the Text-to-LoRA network: task embedding -> A and B of every (layer,
 * module).
 *
 * Charakorn et al. 2025 (arXiv 2506.06105), in the reference's exact form. One pass handles
 * all tasks, layers and module types. Latent H, head input Q; c = LN(W x) [H/2], depth
 * and type embeddings [H/4] each; trunk of width P = H: mixer, two residual blocks, a last block to
 * Q, one head a module type. L: head -> r*(in+out): A rows, then B^T rows. M: for s in {A, B}:
 * trunk + LN(out_emb[m][s]); head -> r*max(in,out), columns cut. S: as M, for every rank row p with
 * a learned position or rope; head -> max(in,out), columns cut; mlp2 runs twice. Every dropout sits
 * where the reference has it and is off at inference. The other task encoders (task-encoder.c) give
 * another c; with the discrete one, depth and type are one-hot and P is 64 + layers + modules.
 */
#ifndef ENGINE_HYPERNET_HYPERNET_H
#define ENGINE_HYPERNET_HYPERNET_H

#include "engine/adapters/adapter.h"
#include "engine/models/decoder.h"
#include "engine/t2l.h"
#include "engine/tensor/ops.h"

/* How a task embedding becomes c; only the linear one is trained here. */
enum hypernet_encoder {
	HYPERNET_LINEAR,
	HYPERNET_DISCRETE, /* one of 64 */
	HYPERNET_VQ,	   /* the nearest of 32 codes */
	HYPERNET_SOFTMAX,  /* a mean of 32 codes */
	N_HYPERNET_ENCODERS
};

struct hypernet_config {
	char variant[8];	/* "S", "M", "L" */
	bool shared_head;	/* M and S */
	bool rowwise;		/* S (the reference's autoreg_gen); with !shared_head: row-wise L */
	bool learned_positions; /* S: pos_emb instead of rope */
	int embedding_size, latent_size, head_in_size, n_layers, rank;
	double lora_alpha;
	bool use_rslora;
	int n_modules;
	enum module modules[N_MODULES]; /* in the order of the type embedding's rows */
	int64_t in[N_MODULES], out[N_MODULES];
	bool head_bias;
	float dropout;
	/* What turns the heads' numbers into A and B (reconstruction training): z-scores are undone
	 * with moments kept beside the weights, products of scaled targets divided by a number. */
	bool standardised;
	double output_divisor; /* 0 or 1: none */
	bool offset;	       /* AB_offset, a multi-task LoRA, is added */
	enum hypernet_encoder encoder;
	bool one_hot;  /* the embedding is a row of the identity: one of the trained tasks */
	bool instruct; /* descriptions go to the encoder as "Instruct: ...\nQuery: " + text */
};

/* How a parameter starts (hypernet_initialise); FAN_IN belongs to the uniform ones. */
enum hypernet_start {
	HYPERNET_START_ZERO,
	HYPERNET_START_ONE,
	HYPERNET_START_NORMAL,	/* N(0, 1): embeddings */
	HYPERNET_START_UNIFORM, /* +-1/sqrt(fan_in): linear layers */
	HYPERNET_START_HEAD,	/* the bias of a head: a fresh LoRA */
	HYPERNET_START_GIVEN	/* not trained: moments of the targets; f32 in files */
};

/* Parameters by the reference's names ("task_encoder.mlp.0.weight", "heads.q_proj.weight", ...), in
 * its order. */
struct hypernet_parameter {
	char name[96];
	struct tensor tensor; /* f32; grad set when training. Loaded matrices may be f16 or bf16 */
	enum hypernet_start start;
	int64_t fan_in;
};
struct safetensors;
struct hypernet_network {
	struct hypernet_config config;
	struct hypernet_parameter *parameters;
	size_t n_parameters;
	float *memory;		  /* owned: every parameter that is not in a mapped file */
	struct safetensors *file; /* owned: where the others are, read-only; NULL when made */
};

/* T2L_EINVAL names the number that is out of its range. */
enum t2l_status hypernet_check_config(const struct hypernet_config *config, struct t2l_error *err);
/* Allocates every parameter the config asks for, zeroed (weights of norms 1). */
enum t2l_status hypernet_create(
    const struct hypernet_config *config, struct hypernet_network **network, struct t2l_error *err);
void hypernet_free(struct hypernet_network *network);
struct tensor *hypernet_find(const struct hypernet_network *network, const char *name);
/* PyTorch's default initialisation, drawn from SEED; heads zero. The heads' bias is a fresh LoRA
 * (kaiming-uniform A, zero B), so that L's first adapter leaves the base as it is. M and S draw A
 * and B from one head: there both start from the reference's A / sqrt(2) (S and row-wise L: also
 * / sqrt(r)), and the first adapter is small, not nothing. */
void hypernet_initialise(struct hypernet_network *network, uint64_t seed);

/* The masks of a training step: drawn from SEED, for each task by its place in the step's whole
 * batch. So a part of it (tasks FIRST_TASK .. of N_TASKS) has the masks that these tasks have when
 * all run at once. */
struct hypernet_dropout {
	uint64_t seed;
	int64_t first_task, n_tasks;
};

/* For every module type i of the config: a[i] [n_tasks, n_layers, rank, in], bt[i] [n_tasks,
 * n_layers, rank, out]. embeddings [n_tasks, embedding_size]. DROPOUT NULL: none. Recorded
 * when OPS records: EMBEDDINGS must then live as long as the results. False: see ops_status. */
bool hypernet_forward(struct ops *ops, const struct hypernet_network *network,
    struct tensor *embeddings, const struct hypernet_dropout *dropout, struct tensor *a[N_MODULES],
    struct tensor *bt[N_MODULES]);
/* The same without dropout and without recording, the results in another context's memory: they
 * outlive OPS, and nothing else is there. */
bool hypernet_forward_into(struct ops *ops, struct ops *results,
    const struct hypernet_network *network, struct tensor *embeddings, struct tensor *a[N_MODULES],
    struct tensor *bt[N_MODULES]);

/* AB_offset, one LoRA for all tasks, added to what hypernet_forward gave: when the network has one
 * (config.offset) and it is trained with the rest. Not together with hypernet_finish, which adds it
 * too. False: see ops_status. */
bool hypernet_add_offset(struct ops *ops, const struct hypernet_network *network,
    struct tensor *a[N_MODULES], struct tensor *bt[N_MODULES]);

/* The heads' numbers of module type MODULE, part 0 (A) or 1 (B transposed), layer LAYER, turned in
 * place into those of the adapter. VALUES [rank, in or out]. */
void hypernet_finish(
    const struct hypernet_network *network, int module, int part, int64_t layer, float *values);
/* The offset's A (part 0) or B transposed (part 1) of a module type, [n_layers * rank, in or out];
 * NULL when there is none. */
struct tensor *hypernet_offset(const struct hypernet_network *network, int module, int part);
/* Moments of A (part 0) and B transposed (part 1) of a module type, [n_layers * rank, in or out];
 * NULL unless standardised. */
struct tensor *hypernet_mean(const struct hypernet_network *network, int module, int part);
struct tensor *hypernet_deviation(const struct hypernet_network *network, int module, int part);

/* A description as the reference hands it to its encoder: white space at both ends stripped, "."
 * added when the last character is alphabetic. free() the result. T2L_EINVAL: empty, or not UTF-8.
 */
enum t2l_status hypernet_prepare_description(
    const char *task, char **prepared, struct t2l_error *err);
/* The same for encoders of the SFR family, which want it behind an instruction and as it stands. */
enum t2l_status hypernet_prepare_instruction(
    const char *task, char **prepared, struct t2l_error *err);
/* T2L_EINVAL: most words of TASK are not in the encoder's vocabulary. All such sentences have the same
 * embedding. */
struct text_encoder;
enum t2l_status hypernet_check_words(
    const struct text_encoder *encoder, const char *task, struct t2l_error *err);

/* Own checkpoint: one safetensors (f32 or f16) whose metadata holds the config and names base and
 * encoder. */
struct hypernet_origin {
	char name[128];
	char base_name[128], base_fingerprint[65];
	char encoder_name[128], encoder_fingerprint[65];
};
enum t2l_status hypernet_save(const struct hypernet_network *network,
    const struct hypernet_origin *origin, enum dtype dtype, const char *path,
    struct t2l_error *err);
/* PATH may be a checkpoint of the reference too: its directory or its hypermod.pt. */
enum t2l_status hypernet_load(const char *path, struct hypernet_network **network,
    struct hypernet_origin *origin, char fingerprint[65], struct t2l_error *err);

#endif
