/*
 * adapters/adapter.h - a LoRA adapter in memory.
 *
 * For each module (layer, kind, expert: models/module.h) it holds A [rank, in] and B transposed, BT
 * [rank, out], both f32 row-major; the module's output y gains scale * B (A x). Immutable once
 * made, counted, shared by threads. Scale: alpha / rank (Hu et al. 2021), alpha / sqrt(rank) for
 * rsLoRA (Kalajdzievski 2023).
 *
 * Files hold B as [out, rank] (PEFT's layout): readers and writers transpose.
 */
#ifndef ENGINE_ADAPTERS_ADAPTER_H
#define ENGINE_ADAPTERS_ADAPTER_H

#include "engine/models/decoder.h"
#include "engine/t2l.h"

#define ADAPTER_MAX_RANK 4096
#define ADAPTER_MAX_LAYERS MODULE_MAX_LAYERS
#define ADAPTER_MAX_MODULES (1 << 22)
#define ADAPTER_MAX_FEATURES (1 << 24)
#define ADAPTER_NAME_SIZE 128

struct adapter_module {
	int layer; /* MODULE_NO_LAYER: embeddings, output head */
	enum module module;
	int expert; /* MODULE_NO_EXPERT where the kind has none */
	int rank;
	double alpha;
	float scale;
	struct tensor a;  /* [rank, in] f32; of embeddings in is the vocabulary */
	struct tensor bt; /* [rank, out] f32 */
};

/* Memory that holds the numbers of several adapters, made together and mostly closed together: it
 * is given back with the last of them. */
struct adapter_block {
	int references; /* atomic */
	void (*release)(void *memory);
	void *memory;
};

struct t2l_adapter {
	struct t2l_adapter_facts facts; /* its strings are owned */
	struct adapter_module *modules; /* sorted by layer, module, expert */
	size_t n_modules;
	int references;		     /* atomic */
	struct t2l_adapter *numbers; /* a relabelled copy shares these modules, or NULL */
	float *memory;		     /* the numbers; NULL in a relabelled copy or a block */
	struct adapter_block *block; /* where the numbers lie with those of others, or NULL */
	char *labels;		     /* the strings of facts */
	char (*tensor_names)[ADAPTER_NAME_SIZE]; /* A and B of every module, in turn; with the
						    numbers */
};

struct adapter_labels {
	const char *name, *task, *base_name, *base_fingerprint, *hypernet, *encoder, *lineage,
	    *note;
};

/* Memory for MODULES (layer, module, expert, rank, alpha and the sizes of a and bt are set; data
 * NULL): the numbers are allocated, zeroed, and the caller fills them before anybody else sees the
 * adapter. A layer or expert that a kind has not is set to none, whatever it was. Labels are
 * copied. */
enum t2l_status adapter_create(const struct adapter_module *modules, size_t n_modules,
    bool use_rslora, const struct adapter_labels *labels, struct t2l_adapter **adapter,
    struct t2l_error *err);
/* The same over numbers that lie in BLOCK, of which the adapter becomes one more holder: the data
 * of MODULES are set, and nothing is copied. */
enum t2l_status adapter_create_in(struct adapter_block *block, const struct adapter_module *modules,
    size_t n_modules, bool use_rslora, const struct adapter_labels *labels,
    struct t2l_adapter **adapter, struct t2l_error *err);
/* A block with one holder, its maker. NULL when out of memory; MEMORY is then the caller's still.
 */
struct adapter_block *adapter_block_make(void *memory, void (*release)(void *memory));
/* One holder less. */
void adapter_block_release(struct adapter_block *block);
/* Checks that all numbers are finite and fills in the hash; to be called once they are filled in.
 *
 * The hash is SHA-256 over the modules in order, each a line "LAYER MODULE RANK IN OUT SCALE"
 * (MODULE of an expert: "EXPERT.NAME"; SCALE: the float's bits, 8 hex digits) and the f32 bytes of
 * A and BT, little-endian, and "gguf rows\n" when they lie so. It is the identity of what the
 * adapter does: labels, file format and the way alpha is written do not change it. */
enum t2l_status adapter_seal(struct t2l_adapter *adapter, struct t2l_error *err);

/* EXPERT counts only where the kind has experts. NULL: the adapter does not change it. */
const struct adapter_module *adapter_find(
    const struct t2l_adapter *adapter, int layer, enum module module, int expert);

/* Shapes against a base; the error names the module and both sizes. */
enum t2l_status adapter_check_config(
    const struct t2l_adapter *adapter, const struct decoder_config *config, struct t2l_error *err);

/* "model.layers.L.self_attn.q_proj", the module's path in the base; MODULE_PATH_SIZE bytes
 * suffice. */
void adapter_module_path(const struct adapter_module *module, char *path, size_t size);
/* PEFT name: base_model.model.model.layers.L.self_attn.q_proj.lora_A.weight, of embeddings
 * base_model.model.model.embed_tokens.lora_embedding_A; ADAPTER_NAME_SIZE bytes suffice. */
void adapter_tensor_name(const struct adapter_module *module, bool is_a, char *name, size_t size);
/* "q_proj of layer 3", for messages: into LABEL [MODULE_PATH_SIZE], returned. */
const char *adapter_module_label(const struct adapter_module *module, char *label, size_t size);

#endif
