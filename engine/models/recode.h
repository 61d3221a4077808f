/*
 * models/recode.h - a tensor's numbers written in another type and order of rows, and what they
 * lose by it.
 *
 * One piece of a few thousand numbers is in memory at a time, whatever the tensor's size.
 */
#ifndef ENGINE_MODELS_RECODE_H
#define ENGINE_MODELS_RECODE_H

#include "engine/t2l.h"
#include "engine/tensor/dtype.h"

/* GGUF files of the llama family keep the pairs (i, i + head/2) of q's and k's heads side by side:
 * where row ROW of the one order lies in the other. HEAD: rows of a head. */
int64_t row_in_gguf(int64_t row, int head);
int64_t row_in_hf(int64_t row, int head);

enum row_order { ROWS_STAY, ROWS_TO_GGUF, ROWS_TO_HF };

struct recode_input {
	const char *file, *name; /* for messages */
	enum dtype dtype;
	const void *stored; /* [rows, cols], rows back to back */
	int64_t rows, cols;
	enum row_order order;
	int head;    /* where rows do not stay */
	float added; /* to each number */
};

struct recode_loss {
	double largest, squares, signal; /* sums over N numbers */
	int64_t n;
};

struct recode; /* working memory */

struct recode *recode_new(void); /* NULL: out of memory */
void recode_free(struct recode *recode);

typedef enum t2l_status recode_put(
    void *user, const void *bytes, size_t n_bytes, struct t2l_error *err);

/* Hands INPUT's rows in type TO, of which they are whole blocks, to PUT, and adds to LOSS. Rows
 * whose type and numbers stay are copied. T2L_EFORMAT: a number that is none; T2L_EUNSUPPORTED:
 * one that is too large for TO. */
enum t2l_status recode_tensor(struct recode *recode, const struct recode_input *input,
    enum dtype to, recode_put *put, void *user, struct recode_loss *loss, struct t2l_error *err);

/* Fills in what a report says of numbers and errors. */
void recode_report(
    const struct recode_loss *loss, enum dtype to, struct t2l_quantize_report *report);

#endif
