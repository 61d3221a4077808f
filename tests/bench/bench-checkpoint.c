/*
 * bench-checkpoint.c - from the program's start to an adapter on disk, with a checkpoint given.
 *
 * `t2l generate --model CHECKPOINT --embedding FILE --output FILE` as a process of its own: wall
 * time from exec to exit (best and median), its peak resident memory, and that beside what it may
 * need: the checkpoint's bytes and the adapter's. tests/interop/make-reference-checkpoint.py writes
 * checkpoints of real size.
 *
 * usage: bench-checkpoint T2L CHECKPOINT...
 */
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

/* A task embedding as an encoder gives it: of length sqrt(SIZE). */
static void
write_embedding(const char *path, int size)
{
	struct safetensors_writer *writer = safetensors_writer_new(8);
	const int64_t shape[] = { size };
	float *values = malloc((size_t)size * sizeof *values);
	struct t2l_error err;

	if (writer == NULL || values == NULL)
		stop("out of memory");
	for (int i = 0; i < size; i++)
		values[i] = i * 31 % 17 < 8 ? 1.0F : -1.0F;
	safetensors_writer_declare(writer, "task_emb", DTYPE_F32, 1, shape);
	if (safetensors_writer_begin(writer, path, &err) != T2L_OK ||
	    safetensors_writer_floats(writer, values, size, DTYPE_F32, &err) != T2L_OK ||
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
measure(char *program, char *checkpoint, const char *folder)
{
	char embedding[SIZE], adapter[SIZE], weights[SIZE];
	char *const arguments[] = { program, "generate", "--model", checkpoint, "--embedding",
		embedding, "--output", adapter, NULL };
	double ms[RUNS], peak = 0, most = 0, checkpoint_mb, adapter_mb;

	snprintf(embedding, SIZE, "%s/embedding.safetensors", folder);
	snprintf(adapter, SIZE, "%s/adapter.safetensors", folder);
	snprintf(weights, SIZE, "%s/hypermod.pt", checkpoint);
	write_embedding(embedding, embedding_size_of(checkpoint));
	for (int i = 0; i < RUNS; i++) {
		ms[i] = run(arguments, &peak);
		most = peak > most ? peak : most;
	}
	qsort(ms, RUNS, sizeof ms[0], by_value);
	checkpoint_mb = megabytes(access(weights, F_OK) == 0 ? weights : checkpoint);
	adapter_mb = megabytes(adapter);
	printf("%-32.32s %8.0f %8.0f %10.1f %10.1f %10.1f %8.2f\n", checkpoint, ms[0], ms[RUNS / 2],
	    most, checkpoint_mb, adapter_mb, most / (checkpoint_mb + adapter_mb));
	unlink(embedding);
	unlink(adapter);
}

int
main(int argc, char **argv)
{
	char folder[] = "/tmp/bench-checkpoint-XXXXXX";

	if (argc < 3)
		stop("usage: bench-checkpoint T2L CHECKPOINT...");
	if (mkdtemp(folder) == NULL)
		stop("cannot make a folder");
	setenv("T2L_HOME", folder, 1);
	printf("%-32s %8s %8s %10s %10s %10s %8s\n", "checkpoint", "best ms", "median", "peak MB",
	    "file MB", "adapter", "peak/sum");
	for (int i = 2; i < argc; i++)
		measure(argv[1], argv[i], folder);
	rmdir(folder);
	return 0;
}
