/* collective.c - sums over the processes of an Open MPI job. */

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/error.h"
#include "engine/training/collective.h"

/* Open MPI 3, 4 and 5 all have this name. Handles are addresses of objects in the library; other
 * implementations have other handles, and are not meant. */
#define LIBRARY "libmpi.so.40"
#define MPI_IN_PLACE_VALUE ((void *)1)
#define AT_ONCE ((size_t)1 << 24) /* counts are int */

struct collective {
	void *library;
	int rank, size;
	void *world, *sum, *float_type, *double_type;
	int (*allreduce)(
	    const void *in, void *out, int n, void *type, void *op, void *communicator);
	int (*finalize)(void);
};

/* The symbol NAME, or NULL with the error. */
static void *
symbol(const struct collective *collective, const char *name, struct t2l_error *err)
{
	void *address = dlsym(collective->library, name);

	if (address == NULL)
		t2l_fail(err, T2L_EUNSUPPORTED, "--distributed: " LIBRARY " has no %s", name);
	return address;
}

static bool
find_handles(struct collective *c, struct t2l_error *err)
{
	return (c->world = symbol(c, "ompi_mpi_comm_world", err)) != NULL &&
	       (c->sum = symbol(c, "ompi_mpi_op_sum", err)) != NULL &&
	       (c->float_type = symbol(c, "ompi_mpi_float", err)) != NULL &&
	       (c->double_type = symbol(c, "ompi_mpi_double", err)) != NULL;
}

static enum t2l_status
start(struct collective *c, struct t2l_error *err)
{
	int (*init)(int *argc, char ***argv);
	int (*initialised)(int *flag);
	int (*get)(void *communicator, int *value);
	int (*set_errhandler)(void *communicator, void *handler);
	void *return_errors;
	int already = 0;

	/* A function's address through a data pointer: POSIX has dlsym() so. */
	if (!find_handles(c, err) ||
	    (*(void **)&c->allreduce = symbol(c, "MPI_Allreduce", err)) == NULL ||
	    (*(void **)&c->finalize = symbol(c, "MPI_Finalize", err)) == NULL ||
	    (*(void **)&set_errhandler = symbol(c, "MPI_Comm_set_errhandler", err)) == NULL ||
	    (return_errors = symbol(c, "ompi_mpi_errors_return", err)) == NULL ||
	    (*(void **)&initialised = symbol(c, "MPI_Initialized", err)) == NULL ||
	    (*(void **)&init = symbol(c, "MPI_Init", err)) == NULL)
		return T2L_EUNSUPPORTED;
	initialised(&already);
	if (already)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "--distributed: MPI starts once in a process; start t2l train anew");
	if (init(NULL, NULL) != 0)
		return t2l_fail(err, T2L_EIO, "--distributed: MPI does not start");
	set_errhandler(c->world, return_errors);
	if ((*(void **)&get = symbol(c, "MPI_Comm_rank", err)) == NULL)
		return T2L_EUNSUPPORTED;
	get(c->world, &c->rank);
	if ((*(void **)&get = symbol(c, "MPI_Comm_size", err)) == NULL)
		return T2L_EUNSUPPORTED;
	get(c->world, &c->size);
	return T2L_OK;
}

enum t2l_status
collective_open(struct collective **out, struct t2l_error *err)
{
	struct collective *collective = calloc(1, sizeof *collective);
	enum t2l_status status;

	if (collective == NULL)
		return t2l_fail(err, T2L_ENOMEM, "--distributed: out of memory");
	/* Its own plugins look for its symbols among the global ones. */
	collective->library = dlopen(LIBRARY, RTLD_NOW | RTLD_GLOBAL);
	if (collective->library == NULL) {
		free(collective);
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "--distributed wants Open MPI (" LIBRARY "; Debian: openmpi-bin): %s",
		    dlerror());
	}
	status = start(collective, err);
	if (status != T2L_OK) {
		free(collective);
		return status;
	}
	*out = collective;
	return T2L_OK;
}

/* The library stays: it does not survive being unloaded. */
void
collective_close(struct collective *collective)
{
	if (collective == NULL)
		return;
	collective->finalize();
	free(collective);
}

int
collective_rank(const struct collective *collective)
{
	return collective != NULL ? collective->rank : 0;
}

int
collective_size(const struct collective *collective)
{
	return collective != NULL ? collective->size : 1;
}

static enum t2l_status
sum(struct collective *collective, char *values, size_t n, size_t size, void *type,
    struct t2l_error *err)
{
	for (size_t i = 0; collective != NULL && i < n; i += AT_ONCE) {
		size_t some = n - i < AT_ONCE ? n - i : AT_ONCE;

		if (collective->allreduce(MPI_IN_PLACE_VALUE, values + i * size, (int)some, type,
			collective->sum, collective->world) != 0)
			return t2l_fail(err, T2L_EIO,
			    "another process of the job is gone; the last checkpoint is whole, "
			    "--resume goes on from it");
	}
	return T2L_OK;
}

enum t2l_status
collective_sum_floats(struct collective *collective, float *values, size_t n, struct t2l_error *err)
{
	return sum(collective, (char *)values, n, sizeof *values,
	    collective != NULL ? collective->float_type : NULL, err);
}

enum t2l_status
collective_sum(struct collective *collective, double *values, size_t n, struct t2l_error *err)
{
	return sum(collective, (char *)values, n, sizeof *values,
	    collective != NULL ? collective->double_type : NULL, err);
}
