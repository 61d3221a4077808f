/* input.c - reads standard input without being deaf to an interrupt. */

#include "config.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "src/input.h"

#define LOOK_EVERY_MS 200 /* a signal just before poll() does not wake it */

/* The next bytes of standard input; 0 at its end, -1 with errno. */
static ssize_t
read_some(struct context *ctx, char *bytes, size_t size)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	ssize_t n;

	for (;;) {
		int ready = poll(&input, 1, LOOK_EVERY_MS);

		if (atomic_load(ctx->cancelled)) {
			errno = ECANCELED;
			return -1;
		}
		if (ready == 0 || (ready == -1 && errno == EINTR))
			continue;
		n = ready == -1 ? -1 : read(STDIN_FILENO, bytes, size);
		if (n >= 0 || errno != EINTR)
			return n;
	}
}

static char *
read_standard_input(struct context *ctx, size_t limit, size_t *n_out)
{
	struct buffer text = { 0 };
	char chunk[65536];
	ssize_t n;

	while ((n = read_some(ctx, chunk, sizeof chunk)) > 0) {
		if ((size_t)n > limit - text.n) {
			errno = EFBIG;
			n = -1;
			break;
		}
		buffer_append(&text, chunk, (size_t)n);
	}
	if (n == -1 || buffer_failed(&text)) {
		int number = n == -1 ? errno : ENOMEM;

		buffer_free(&text);
		errno = number;
		return NULL;
	}
	if (n_out != NULL)
		*n_out = text.n;
	return buffer_take(&text);
}

char *
read_input(struct context *ctx, const char *path, size_t limit, size_t *n)
{
	char *text = strcmp(path, "-") == 0 ? read_standard_input(ctx, limit, n)
					    : read_whole_file(path, limit, n);

	if (text == NULL && errno != ECANCELED)
		context_fail(ctx, "cannot read '%s': %s", path, strerror(errno));
	return text;
}
