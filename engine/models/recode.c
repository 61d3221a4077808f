/* recode.c - rows of one type into another, piece by piece. */
#include "engine/models/recode.h"

#include <math.h>
#include <stdlib.h>

#include "engine/error.h"

/* Elements that are converted at a time: whole blocks of every type, and they stay in the cache. */
#define CHUNK 16384

struct recode {
	float values[CHUNK], back[CHUNK];
	unsigned char stored[CHUNK * sizeof(float)];
};

struct recode *
recode_new(void)
{
	return malloc(sizeof(struct recode));
}

void
recode_free(struct recode *recode)
{
	free(recode);
}

/* Within each head, GGUF's row 2i + s is Hugging Face's row s * (head / 2) + i. */
int64_t
row_in_gguf(int64_t row, int head)
{
	int64_t in_head = row % head, half = head / 2;

	return row - in_head + 2 * (in_head % half) + in_head / half;
}

int64_t
row_in_hf(int64_t row, int head)
{
	int64_t in_head = row % head, half = head / 2;

	return row - in_head + in_head % 2 * half + in_head / 2;
}

/* N elements (whole blocks of both types) from STORED. */
static enum t2l_status
convert(struct recode *recode, const struct recode_input *input, enum dtype to, const void *stored,
    int64_t n, struct recode_loss *loss, struct t2l_error *err)
{
	dtype_to_f32(input->dtype, stored, recode->values, n);
	for (int64_t i = 0; i < n; i++) {
		if (!isfinite(recode->values[i]))
			return t2l_fail(err, T2L_EFORMAT,
			    "%s: tensor '%s' holds a number that is not finite; the model is "
			    "damaged",
			    input->file, input->name);
		recode->values[i] += input->added;
	}
	dtype_from_f32(to, recode->values, recode->stored, n);
	dtype_to_f32(to, recode->stored, recode->back, n);
	for (int64_t i = 0; i < n; i++) {
		double error = (double)recode->back[i] - (double)recode->values[i];

		if (!isfinite(recode->back[i]))
			return t2l_fail(err, T2L_EUNSUPPORTED,
			    "%s: tensor '%s' holds %g, which is too large for %s; use bf16 or f32",
			    input->file, input->name, (double)recode->values[i], dtype_name(to));
		loss->largest = fmax(loss->largest, fabs(error));
		loss->squares += error * error;
		loss->signal += (double)recode->values[i] * (double)recode->values[i];
	}
	return T2L_OK;
}

/* COUNT elements that lie back to back. */
static enum t2l_status
write_run(struct recode *recode, const struct recode_input *input, enum dtype to,
    const unsigned char *stored, int64_t count, recode_put *put, void *user,
    struct recode_loss *loss, struct t2l_error *err)
{
	enum t2l_status status = T2L_OK;

	if (to == input->dtype && input->added == 0)
		return put(user, stored, dtype_row_bytes(to, count), err);
	for (int64_t at = 0, n; at < count && status == T2L_OK; at += n) {
		n = count - at < CHUNK ? count - at : CHUNK;
		status = convert(recode, input, to, stored, n, loss, err);
		if (status == T2L_OK)
			status = put(user, recode->stored, dtype_row_bytes(to, n), err);
		stored += dtype_row_bytes(input->dtype, n);
	}
	return status;
}

enum t2l_status
recode_tensor(struct recode *recode, const struct recode_input *input, enum dtype to,
    recode_put *put, void *user, struct recode_loss *loss, struct t2l_error *err)
{
	const size_t row_bytes = dtype_row_bytes(input->dtype, input->cols);
	enum t2l_status status = T2L_OK;

	loss->n += input->rows * input->cols;
	/* Rows are whole blocks of both types, and stored back to back: so is the tensor. */
	if (input->order == ROWS_STAY)
		return write_run(recode, input, to, input->stored, input->rows * input->cols, put,
		    user, loss, err);
	for (int64_t r = 0; r < input->rows && status == T2L_OK; r++) {
		int64_t from = input->order == ROWS_TO_GGUF ? row_in_hf(r, input->head)
							    : row_in_gguf(r, input->head);

		status = write_run(recode, input, to,
		    (const unsigned char *)input->stored + (size_t)from * row_bytes, input->cols,
		    put, user, loss, err);
	}
	return status;
}

void
recode_report(const struct recode_loss *loss, enum dtype to, struct t2l_quantize_report *report)
{
	report->to = dtype_name(to);
	report->n = loss->n;
	report->n_bytes = dtype_row_bytes(to, loss->n);
	report->max_error = loss->largest;
	report->rms_error = loss->n > 0 ? sqrt(loss->squares / (double)loss->n) : 0;
	report->relative_error = loss->signal > 0 ? sqrt(loss->squares / loss->signal) : 0;
}
