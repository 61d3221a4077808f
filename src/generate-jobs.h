/*
 * src/generate-jobs.h - the adapters that a run of t2l generate shall make, one job each.
 *
 * A batch file holds a description a line, or JSON objects {"task": .., "name": .., "output": ..}
 * of which the last two may be left out. Blank lines are passed over. What goes wrong is told; the
 * list is zeroed before its first use and freed also after an error.
 */
#ifndef SRC_GENERATE_JOBS_H
#define SRC_GENERATE_JOBS_H

#include "src/command.h"

struct generate_job {
	char *task, *name, *output; /* name and output may be NULL */
	size_t line;		    /* of the batch file; 0: from elsewhere */
};
struct generate_jobs {
	struct generate_job *items;
	size_t n;
};

/* Copies the texts; NAME and OUTPUT may be NULL. */
bool generate_jobs_add(struct context *ctx, struct generate_jobs *jobs, const char *task,
    const char *name, const char *output, size_t line);
/* Adds the lines of a file; one without a description is an error. */
bool generate_jobs_read(struct context *ctx, struct generate_jobs *jobs, const char *path);
void generate_jobs_free(struct generate_jobs *jobs);

#endif
