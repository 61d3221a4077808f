/*
 * format-peft.c - a PEFT directory: adapter_config.json and adapter_model.safetensors.
 *
 * PEFT has no 8-bit LoRA: a file of int8 tensors would load without a word and be wrong. So int8
 * means here that every row of A and B is rounded to 255 steps of its own (scale max|row| / 127)
 * and stored in fp16: what an 8-bit runtime would compute with, in a file that PEFT loads.
 */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/adapters/format.h"
#include "engine/adapters/peft.h"
#include "engine/error.h"

/* ---- 8 bits ---- */

static void
round_row(float *row, int64_t n)
{
	float largest = 0;

	for (int64_t i = 0; i < n; i++)
		largest = fmaxf(largest, fabsf(row[i]));
	for (int64_t i = 0; i < n && largest > 0; i++)
		row[i] = roundf(row[i] / largest * 127) * (largest / 127);
}

/* A copy with every row of PEFT's A and B rounded. */
static enum t2l_status
round_to_8_bits(const struct t2l_adapter *adapter, struct t2l_adapter **out, struct t2l_error *err)
{
	const struct adapter_labels labels = { .name = adapter->facts.name };
	struct t2l_adapter *rounded;
	enum t2l_status status = adapter_create(adapter->modules, adapter->n_modules,
	    adapter->facts.use_rslora, &labels, &rounded, err);

	if (status != T2L_OK)
		return status;
	for (size_t i = 0; i < 2 * adapter->n_modules; i++) {
		const struct half from = half_of(&adapter->modules[i / 2], i % 2 == 1);
		const struct half to = half_of(&rounded->modules[i / 2], i % 2 == 1);
		float *row = malloc((size_t)half_cols(&from) * sizeof *row);

		if (row == NULL) {
			t2l_adapter_close(rounded);
			return t2l_fail(err, T2L_ENOMEM, "out of memory");
		}
		for (int64_t j = 0; j < half_rows(&from); j++) {
			half_row(&from, j, row);
			round_row(row, half_cols(&from));
			half_set_row(&to, j, row);
		}
		free(row);
	}
	*out = rounded;
	return T2L_OK;
}

/* ---- writing ---- */

static enum t2l_status
write_tensors(struct export_job *job, const struct t2l_adapter *adapter, enum dtype dtype,
    const char *directory, struct t2l_error *err)
{
	struct safetensors_writer *writer;
	char path[EXPORT_PATH_SIZE];
	enum t2l_status status;

	if ((status = export_step(job, err)) != T2L_OK ||
	    (status = export_path(directory, PEFT_MODEL_NAME, path, err)) != T2L_OK)
		return status;
	writer = safetensors_writer_new(job->aligned ? 64 : 8);
	if (writer == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory");
	safetensors_writer_metadata(writer, "format", "pt");
	if (job->task[0] != '\0')
		safetensors_writer_metadata(writer, ADAPTER_TASK_KEY, job->task);
	status = peft_write_tensors(writer, adapter, dtype, path, err);
	safetensors_writer_free(writer);
	return status;
}

static enum t2l_status
write_config(const struct export_job *job, const char *directory, struct t2l_error *err)
{
	char *text = peft_config_text(job->adapter, job->base_name);
	enum t2l_status status;

	if (text == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory");
	status = export_text(directory, PEFT_CONFIG_NAME, text, err);
	cJSON_free(text);
	return status;
}

enum t2l_status
peft_write(struct export_job *job, const char *directory, struct t2l_error *err)
{
	const bool eight_bits = strcmp(job->precision->name, "int8") == 0;
	struct t2l_adapter *rounded = NULL;
	enum dtype dtype = DTYPE_F16;
	enum t2l_status status = T2L_OK;

	if (eight_bits) {
		export_tell(job->done,
		    "int8: rows rounded to 255 steps, stored in fp16 (PEFT has no 8-bit tensors)");
		status = round_to_8_bits(job->adapter, &rounded, err);
	} else {
		dtype_by_name(job->precision->dtype, &dtype);
	}
	if (status == T2L_OK)
		status = write_tensors(
		    job, rounded != NULL ? rounded : job->adapter, dtype, directory, err);
	t2l_adapter_close(rounded);
	return status == T2L_OK ? write_config(job, directory, err) : status;
}

enum t2l_status
t2l_adapter_export_peft(const struct t2l_adapter *adapter, const char *directory,
    const struct t2l_peft_options *options, struct t2l_error *err)
{
	const struct t2l_export_options peft = {
		.format = "peft",
		.precision = options != NULL ? options->dtype : NULL,
		.target_model = options != NULL ? options->base_model : NULL,
	};

	return t2l_adapter_export(adapter, directory, &peft, NULL, err);
}

/* ---- the formats ---- */

/* What MLX does not claim: peft_open() says what is missing. */
static bool
is_any_directory(const struct adapter_probe *probe)
{
	return probe->is_directory;
}

const struct adapter_format format_peft = {
	.facts = {
		.name = "peft",
		.holds = "a directory that PEFT loads: any modules, ranks and scales",
		.precisions = "fp32 fp16 bf16 int8",
		.is_directory = true,
		.reads = true,
		.writes = true,
	},
	.mobile = "fp16",
	.size = "fp16",
	.is = is_any_directory,
	.read = peft_open,
	.write = peft_write,
};
