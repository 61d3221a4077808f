/*
 * bench-start.c - what a person waits for with the demo: the program's start, and a draft.
 *
 * The program is run as a process of its own, from exec to exit: `t2l version`, `t2l generate` of a
 * sentence into a file, and the workbench on a hidden screen until
 * its first display is written. In this
 * process: a sentence that was not seen before -> embedding -> adapter, which is the work between
 * a pause in typing and the draft. Medians and worst cases, in ms.
 *
 * usage: bench-start T2L SHARE   (the program, and the folder that holds models/)
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/t2l.h"

#define RUNS 21
#define DRAFTS 201
#define SIZE 4096

extern char **environ;

static void
stop(const char *message)
{
	fprintf(stderr, "bench-start: %s\n", message);
	exit(1);
}

static void
check(enum t2l_status status, const struct t2l_error *err)
{
	if (status != T2L_OK)
		stop(err->message);
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sorts MS. */
static void
report(const char *name, double *ms, int n, double bar)
{
	qsort(ms, (size_t)n, sizeof *ms, by_value);
	printf(
	    "{\"bench\":\"%s\",\"ms_best\":%.2f,\"ms_median\":%.2f,\"ms_worst\":%.2f,\"runs\":%d",
	    name, ms[0], ms[n / 2], ms[n - 1], n);
	if (bar > 0)
		printf(",\"bar_ms\":%.0f", bar);
	printf("}\n");
}

static double
run(const char *program, char **arguments)
{
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int status;
	double start = clock_ms();

	if (posix_spawn_file_actions_init(&actions) != 0 ||
	    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0) != 0 ||
	    posix_spawn(&pid, program, &actions, NULL, arguments, environ) != 0)
		stop("cannot run the program");
	posix_spawn_file_actions_destroy(&actions);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		stop("the program did not end well");
	return clock_ms() - start;
}

static void
bench_processes(const char *program, const char *folder)
{
	char output[SIZE], keys[SIZE];
	struct {
		const char *name;
		double bar;
		char *arguments[8];
	} commands[] = {
		{ "start: t2l version", 0, { "t2l", "version" } },
		{ "start to result: t2l generate", 0,
		    { "t2l", "generate", "--quiet", "--task", "write the word backwards",
			"--output", output } },
		{ "start to first display: t2l workbench", 300,
		    { "t2l", "workbench", "--script", keys } },
	};
	double ms[RUNS];
	FILE *file;

	snprintf(output, sizeof output, "%s/adapter.safetensors", folder);
	snprintf(keys, sizeof keys, "%s/first.keys", folder);
	if ((file = fopen(keys, "w")) == NULL ||
	    fprintf(file, "save-display %s/first.txt\n", folder) < 0 || fclose(file) != 0)
		stop("cannot write the key script");
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		run(program, commands[i].arguments); /* the file cache is warm from here on */
		for (int j = 0; j < RUNS; j++)
			ms[j] = run(program, commands[i].arguments);
		report(commands[i].name, ms, RUNS, commands[i].bar);
	}
}

static void
bench_drafts(const char *share)
{
	char path[SIZE];
	struct t2l_engine *engine;
	struct t2l_encoder *encoder;
	struct t2l_error err;
	double embed_ms[DRAFTS], generate_ms[DRAFTS], both_ms[DRAFTS];

	check(t2l_engine_open(NULL, &engine, &err), &err);
	snprintf(path, sizeof path, "%s/models/demo-encoder", share);
	check(t2l_encoder_open(engine, path, &encoder, &err), &err);
	for (const char *variant = "SML"; *variant != '\0'; variant++) {
		struct t2l_hypernet *hypernet;
		char name[32];

		snprintf(path, sizeof path, "%s/models/demo-%c.safetensors", share, *variant);
		check(t2l_hypernet_open(engine, path, &hypernet, &err), &err);
		size_t size = (size_t)t2l_hypernet_facts(hypernet)->embedding_size;
		float *embedding = malloc(size * sizeof *embedding);

		if (embedding == NULL)
			stop("out of memory");
		for (int i = 0; i < DRAFTS; i++) {
			char task[128];
			struct t2l_adapter *adapter;
			double start = clock_ms(), embedded;

			snprintf(task, sizeof task,
			    "translate the English word to Spanish and write it %d times", i);
			check(t2l_hypernet_embed(hypernet, encoder, task, embedding, &err), &err);
			embedded = clock_ms();
			check(
			    t2l_hypernet_generate(hypernet, embedding, task, &adapter, &err), &err);
			both_ms[i] = clock_ms() - start;
			embed_ms[i] = embedded - start;
			generate_ms[i] = both_ms[i] - embed_ms[i];
			t2l_adapter_close(adapter);
		}
		free(embedding);
		t2l_hypernet_close(hypernet);
		if (*variant == 'S')
			report("draft: encoder", embed_ms, DRAFTS, 0);
		snprintf(name, sizeof name, "draft: hypernet %c", *variant);
		report(name, generate_ms, DRAFTS, 0);
		snprintf(name, sizeof name, "draft: both, %c", *variant);
		report(name, both_ms, DRAFTS, 100);
	}
	t2l_encoder_close(encoder);
	t2l_engine_close(engine);
}

int
main(int argc, char **argv)
{
	char folder[] = "/tmp/bench-start-XXXXXX", command[SIZE];

	if (argc != 3) {
		fprintf(stderr, "usage: bench-start T2L SHARE\n");
		return 2;
	}
	if (mkdtemp(folder) == NULL)
		stop("cannot make a folder in /tmp");
	setenv("T2L_DATADIR", argv[2], 1);
	setenv("T2L_HOME", folder, 1);
	setenv("XDG_CONFIG_HOME", folder, 1);
	setvbuf(stdout, NULL, _IOLBF, 0);
	bench_processes(argv[1], folder);
	bench_drafts(argv[2]);
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command) == 0 ? 0 : 1;
}
