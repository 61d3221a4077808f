/*
 * bench-checkpoint.c - from the program's start to an adapter on disk, with a checkpoint given.
 *
 * `t2l generate --model CHECKPOINT --embedding FILE --output FILE` as a process of its own: wall
 * time from exec to exit (best and median), its peak resident memory, and that beside what it may
 * need: the checkpoint's bytes and the adapter's. Then the same for 64 embeddings in one process,
 * an adapter's share of its wall time, and how many times the rate of one by one (medians) that is.
 * tests/interop/make-reference-checkpoint.py writes checkpoints of real size. Files go to TMPDIR,
 * or /tmp: each is synced, so its disk counts.
 *
 * usage: bench-checkpoint T2L CHECKPOINT...
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
#include <time.h>
#include <unistd.h>

#include "engine/formats/safetensors-writer.h"
#include "engine/t2l.h"

#define RUNS 15
#define BATCH 64
#define BATCH_RUNS 3
#define SIZE 4096

extern char **environ;

static double
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void
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

static int
embedding_size_of(const char *checkpoint)
{
	struct t2l_hypernet *hypernet;
	struct t2l_engine *engine;
	struct t2l_error err;
	int size;

	if (t2l_engine_open(NULL, &engine, &err) != T2L_OK ||
	    t2l_hypernet_open(engine, checkpoint, &hypernet, &err) != T2L_OK)
		stop(err.message);
	size = t2l_hypernet_facts(hypernet)->embedding_size;
	t2l_hypernet_close(hypernet);
	t2l_engine_close(engine);
	return size;
}

/* Wall time in ms; the process's peak memory in MB. */
static double
run(char *const *arguments, double *peak)
{
	posix_spawn_file_actions_t actions;
	double began = now_ms(), ms;
	struct rusage usage;
	int status;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	if (posix_spawn(&pid, arguments[0], &actions, NULL, arguments, environ) != 0 ||
	    wait4(pid, &status, 0, &usage) != pid)
		stop("cannot run the program");
	ms = now_ms() - began;
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

/* Median ms of an adapter when BATCH are made by one process. */
static double
measure_batch(char *program, char *checkpoint, const char *folder, int size)
{
	char embeddings[SIZE], adapters[SIZE];
	char *const arguments[] = { program, "generate", "--model", checkpoint, "--embedding",
		embeddings, "--output", adapters, NULL };
	double ms[BATCH_RUNS], peak;

	snprintf(embeddings, SIZE, "%s/embeddings.safetensors", folder);
	snprintf(adapters, SIZE, "%s/adapters", folder);
	write_embeddings(embeddings, BATCH, size);
	for (int i = 0; i < BATCH_RUNS; i++) {
		ms[i] = run(arguments, &peak) / BATCH;
		remove_folder(adapters);
	}
	qsort(ms, BATCH_RUNS, sizeof ms[0], by_value);
	unlink(embeddings);
	return ms[BATCH_RUNS / 2];
}

static void
measure(char *program, char *checkpoint, const char *folder)
{
	char embedding[SIZE], adapter[SIZE], weights[SIZE];
	char *const arguments[] = { program, "generate", "--model", checkpoint, "--embedding",
		embedding, "--output", adapter, NULL };
	double ms[RUNS], peak = 0, most = 0, checkpoint_mb, adapter_mb, each;
	int size = embedding_size_of(checkpoint);

	snprintf(embedding, SIZE, "%s/embedding.safetensors", folder);
	snprintf(adapter, SIZE, "%s/adapter.safetensors", folder);
	snprintf(weights, SIZE, "%s/hypermod.pt", checkpoint);
	write_embeddings(embedding, 1, size);
	for (int i = 0; i < RUNS; i++) {
		ms[i] = run(arguments, &peak);
		most = peak > most ? peak : most;
	}
	qsort(ms, RUNS, sizeof ms[0], by_value);
	checkpoint_mb = megabytes(access(weights, F_OK) == 0 ? weights : checkpoint);
	adapter_mb = megabytes(adapter);
	unlink(embedding);
	unlink(adapter);
	each = measure_batch(program, checkpoint, folder, size);
	printf("%-32.32s %8.0f %8.0f %10.1f %10.1f %10.1f %8.2f %8.1f %6.1f\n", checkpoint, ms[0],
	    ms[RUNS / 2], most, checkpoint_mb, adapter_mb, most / (checkpoint_mb + adapter_mb),
	    each, ms[RUNS / 2] / each);
}

int
main(int argc, char **argv)
{
	const char *place = getenv("TMPDIR");
	char folder[SIZE / 2];

	if (argc < 3)
		stop("usage: bench-checkpoint T2L CHECKPOINT...");
	snprintf(folder, sizeof folder, "%s/bench-checkpoint-XXXXXX",
	    place != NULL && place[0] != '\0' ? place : "/tmp");
	if (mkdtemp(folder) == NULL)
		stop("cannot make a folder");
	setenv("T2L_HOME", folder, 1);
	printf("%-32s %8s %8s %10s %10s %10s %8s %8s %6s\n", "checkpoint", "best ms", "median",
	    "peak MB", "file MB", "adapter", "peak/sum", "64: each", "times");
	for (int i = 2; i < argc; i++)
		measure(argv[1], argv[i], folder);
	rmdir(folder);
	return 0;
}
