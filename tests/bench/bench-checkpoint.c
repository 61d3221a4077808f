/*
 * bench-checkpoint.c - from the program's start to an adapter on disk, with a checkpoint given.
 *
 * `t2l generate --model CHECKPOINT --embedding FILE --output FILE` as a process of its own: wall
 * time from exec to exit (best and median), its peak resident memory, and that beside what it may
 * need: the checkpoint's bytes and the adapter's. Then the same for 64 embeddings in one process,
 * an adapter's share of its wall time, and how many times the rate of one by one (medians) that is.
 * With --encoder a second line tells the same of descriptions, the lines of FILE: the encoder's
 * weights count as the checkpoint's do.
 * tests/interop/make-reference-checkpoint.py and make-random-encoder.py write both in real size.
 * Files go to TMPDIR, or /tmp: each is synced, so its disk counts.
 *
 * usage: bench-checkpoint T2L [--encoder DIRECTORY --tasks FILE] CHECKPOINT...
 */
#include <dirent.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/formats/safetensors-writer.h"
#include "engine/t2l.h"

#define RUNS 15
#define BATCH 64
#define BATCH_RUNS 3
#define SIZE 4096
#define MAX_ARGUMENTS 16

extern char **environ;

static _Noreturn void
stop(const char *message)
{
	fprintf(stderr, "bench-checkpoint: %s\n", message);
	exit(1);
}

static double
megabytes(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (double)st.st_size / 1e6 : 0;
}

/* N task embeddings as an encoder gives them: of length sqrt(SIZE). */
static void
write_embeddings(const char *path, int n, int size)
{
	struct safetensors_writer *writer = safetensors_writer_new(8);
	const int64_t shape[] = { n, size }, count = (int64_t)n * size;
	float *values = malloc((size_t)count * sizeof *values);
	struct t2l_error err;

	if (writer == NULL || values == NULL)
		stop("out of memory");
	for (int64_t i = 0; i < count; i++)
		values[i] = i * 31 % 17 < 8 ? 1.0F : -1.0F;
	safetensors_writer_declare(writer, "task_emb", DTYPE_F32, 2, shape);
	if (safetensors_writer_begin(writer, path, &err) != T2L_OK ||
	    safetensors_writer_floats(writer, values, count, DTYPE_F32, &err) != T2L_OK ||
	    safetensors_writer_finish(writer, &err) != T2L_OK)
		stop(err.message);
	safetensors_writer_free(writer);
	free(values);
}

/* What an adapter is made from: options of t2l generate. */
struct input {
	const char *options[5]; /* the rest NULL */
};

struct bench {
	char *program;
	char folder[SIZE / 2];
	char one[SIZE], many[SIZE]; /* files: an embedding; BATCH embeddings */
	/* NULL and 0 without --encoder. */
	const char *encoder;
	char *tasks[BATCH];
	char batch[SIZE]; /* file of the tasks */
};

/* The files of embeddings of the checkpoint's size. In a process of its own: the peak memory of a
 * program that is started begins with that of the process that starts it. */
static void
prepare_embeddings(const struct bench *bench, const char *checkpoint)
{
	const pid_t pid = fork();
	struct t2l_hypernet *hypernet;
	struct t2l_engine *engine;
	struct t2l_error err;
	int status, size;

	if (pid == 0) {
		if (t2l_engine_open(NULL, &engine, &err) != T2L_OK ||
		    t2l_hypernet_open(engine, checkpoint, &hypernet, &err) != T2L_OK)
			stop(err.message);
		size = t2l_hypernet_facts(hypernet)->embedding_size;
		write_embeddings(bench->one, 1, size);
		write_embeddings(bench->many, BATCH, size);
		t2l_hypernet_close(hypernet);
		t2l_engine_close(engine);
		exit(0);
	}
	if (pid == -1 || waitpid(pid, &status, 0) != pid || status != 0)
		stop("cannot prepare embeddings");
}

/* Reads the first BATCH lines and writes them to a file of their own. */
static void
take_tasks(struct bench *bench, const char *path)
{
	FILE *in = fopen(path, "r"), *out = fopen(bench->batch, "w");
	size_t capacity;

	if (in == NULL || out == NULL)
		stop("cannot read the tasks");
	for (int i = 0; i < BATCH; i++) {
		capacity = 0;
		if (getline(&bench->tasks[i], &capacity, in) < 2)
			stop("the tasks: 64 lines are wanted");
		bench->tasks[i][strcspn(bench->tasks[i], "\r\n")] = '\0';
		fprintf(out, "%s\n", bench->tasks[i]);
	}
	fclose(in);
	if (fclose(out) != 0)
		stop("cannot write the tasks");
}

/* Wall time in ms; the process's peak memory in MB. */
static double
run(const struct bench *bench, const char *checkpoint, const struct input *input,
    const char *output, double *peak)
{
	const char *arguments[MAX_ARGUMENTS] = { bench->program, "generate", "--model", checkpoint,
		"--output", output };
	posix_spawn_file_actions_t actions;
	double began = clock_ms(), ms;
	struct rusage usage;
	int status;
	pid_t pid;

	memcpy(arguments + 6, input->options, sizeof input->options);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	if (posix_spawn(&pid, bench->program, &actions, NULL, (char *const *)arguments, environ) !=
		0 ||
	    wait4(pid, &status, 0, &usage) != pid)
		stop("cannot run the program");
	ms = clock_ms() - began;
	posix_spawn_file_actions_destroy(&actions);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		stop("the program failed");
	*peak = (double)usage.ru_maxrss * 1024 / 1e6;
	return ms;
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void
remove_folder(const char *folder)
{
	char path[2 * SIZE];
	struct dirent *entry;
	DIR *stream = opendir(folder);

	while (stream != NULL && (entry = readdir(stream)) != NULL) {
		snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		if (entry->d_name[0] != '.')
			unlink(path);
	}
	if (stream != NULL)
		closedir(stream);
	rmdir(folder);
}

/* Of a checkpoint, or an encoder: of its weights, which may lie in a directory. */
static double
weight_megabytes(const char *path)
{
	static const char *const names[] = { "hypermod.pt", "model.safetensors" };
	char weights[SIZE];

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		snprintf(weights, SIZE, "%s/%s", path, names[i]);
		if (access(weights, F_OK) == 0)
			return megabytes(weights);
	}
	return megabytes(path);
}

/* Median ms of an adapter when BATCH are made by one process. */
static double
measure_batch(const struct bench *bench, const char *checkpoint, const struct input *input)
{
	char adapters[SIZE];
	double ms[BATCH_RUNS], peak;

	snprintf(adapters, SIZE, "%s/adapters", bench->folder);
	for (int i = 0; i < BATCH_RUNS; i++) {
		ms[i] = run(bench, checkpoint, input, adapters, &peak) / BATCH;
		remove_folder(adapters);
	}
	qsort(ms, BATCH_RUNS, sizeof ms[0], by_value);
	return ms[BATCH_RUNS / 2];
}

/* One line: from descriptions, or else from embeddings. */
static void
measure(const struct bench *bench, const char *checkpoint, bool described)
{
	struct input one = { { "--embedding", bench->one } };
	struct input many = { { "--embedding", bench->many } };
	double ms[RUNS], peak = 0, most = 0, weights_mb, adapter_mb, each;
	char adapter[SIZE];

	if (described) {
		one = (struct input){ { "--encoder", bench->encoder, "--task" } };
		many =
		    (struct input){ { "--encoder", bench->encoder, "--batch-file", bench->batch } };
	}
	snprintf(adapter, SIZE, "%s/adapter.safetensors", bench->folder);
	for (int i = 0; i < RUNS; i++) {
		if (described)
			one.options[3] = bench->tasks[i];
		ms[i] = run(bench, checkpoint, &one, adapter, &peak);
		most = peak > most ? peak : most;
	}
	qsort(ms, RUNS, sizeof ms[0], by_value);
	weights_mb = weight_megabytes(checkpoint);
	weights_mb += described ? weight_megabytes(bench->encoder) : 0;
	adapter_mb = megabytes(adapter);
	unlink(adapter);
	each = measure_batch(bench, checkpoint, &many);
	printf("%-32.32s %8.0f %8.0f %10.1f %10.1f %10.1f %8.2f %8.1f %6.1f\n",
	    described ? "  from descriptions" : checkpoint, ms[0], ms[RUNS / 2], most, weights_mb,
	    adapter_mb, most / (weights_mb + adapter_mb), each, ms[RUNS / 2] / each);
	fflush(stdout);
}

/* -> the number of arguments taken */
static int
take_encoder(struct bench *bench, int argc, char **argv)
{
	if (argc < 7 || strcmp(argv[2], "--encoder") != 0 || strcmp(argv[4], "--tasks") != 0)
		return 0;
	bench->encoder = argv[3];
	take_tasks(bench, argv[5]);
	return 4;
}

int
main(int argc, char **argv)
{
	const char *place = getenv("TMPDIR");
	struct bench bench = { .program = argv[1] };
	int first;

	if (argc < 3)
		stop(
		    "usage: bench-checkpoint T2L [--encoder DIRECTORY --tasks FILE] CHECKPOINT...");
	snprintf(bench.folder, sizeof bench.folder, "%s/bench-checkpoint-XXXXXX",
	    place != NULL && place[0] != '\0' ? place : "/tmp");
	if (mkdtemp(bench.folder) == NULL)
		stop("cannot make a folder");
	setenv("T2L_HOME", bench.folder, 1);
	snprintf(bench.one, SIZE, "%s/embedding.safetensors", bench.folder);
	snprintf(bench.many, SIZE, "%s/embeddings.safetensors", bench.folder);
	snprintf(bench.batch, SIZE, "%s/tasks.txt", bench.folder);
	first = 2 + take_encoder(&bench, argc, argv);
	printf("%-32s %8s %8s %10s %10s %10s %8s %8s %6s\n", "checkpoint", "best ms", "median",
	    "peak MB", "file MB", "adapter", "peak/sum", "64: each", "times");
	fflush(stdout);
	for (int i = first; i < argc; i++) {
		prepare_embeddings(&bench, argv[i]);
		measure(&bench, argv[i], false);
		if (bench.encoder != NULL)
			measure(&bench, argv[i], true);
	}
	for (int i = 0; i < BATCH; i++)
		free(bench.tasks[i]);
	remove_folder(bench.folder);
	return 0;
}
