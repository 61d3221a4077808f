/*
 * src/tensor-reports.h - what each tensor of a model lost on its way into another file.
 */
#ifndef SRC_TENSOR_REPORTS_H
#define SRC_TENSOR_REPORTS_H

#include "engine/t2l.h"
#include "src/command.h"

struct tensor_reports {
	struct context *ctx;
	const char *what; /* of the progress bar: "quantising" */
	bool only_lossy;  /* in words: nothing on tensors that lose nothing */
	size_t n_tensors;
	double n, bytes; /* of all tensors */
	double worst;	 /* relative error */
	char worst_name[80];
};

/* For t2l_quantize_options: USER is the reports. False when the command was cancelled. */
bool tensor_reports_tell(void *user, const struct t2l_quantize_report *report);
/* A line on all of them, about the new file PATH. */
void tensor_reports_end(const struct tensor_reports *reports, const char *path);

#endif
