/* main.c - sets up the context of a run: terminal or pipe, signals, settings; then runs the
 * command. */

#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "src/command.h"
#include "src/help.h"
#include "src/settings.h"
#include "src/workplace.h"

/* SIGINT and SIGTERM ask the running command to stop; a second one ends the program at once. */
static atomic_bool cancelled;

static void
on_signal(int number)
{
	if (atomic_exchange(&cancelled, true)) {
		signal(number, SIG_DFL);
		raise(number);
	}
}

static void
catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	/* A reader that went away and a file over the limit are errors of write(), not a death. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

static void
write_stream(void *user, const char *bytes, size_t n)
{
	fwrite(bytes, 1, n, user);
	if (user == stderr || memchr(bytes, '\n', n) != NULL)
		fflush(user);
}

static struct output
stream_output(FILE *stream)
{
	struct winsize size = { 0 };
	int fd = fileno(stream);
	bool terminal = isatty(fd);

	if (terminal)
		ioctl(fd, TIOCGWINSZ, &size);
	return (struct output){ write_stream, stream, terminal, size.ws_col };
}

static int
run(struct context *ctx, int argc, char **argv)
{
	static const char *const workbench[] = { "workbench" };

	if (argc < 2 && ctx->out.terminal)
		return command_run(ctx, 1, workbench);
	if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		help_all(ctx);
		return argc < 2 ? 2 : 0;
	}
	if (strcmp(argv[1], "--version") == 0) {
		say(ctx, "t2l %s\n", t2l_version());
		return 0;
	}
	return command_run(ctx, argc - 1, (const char *const *)(argv + 1));
}

int
main(int argc, char **argv)
{
	struct context ctx = {
		.out = stream_output(stdout),
		.log = stream_output(stderr),
		.cancelled = &cancelled,
	};
	char message[2048];
	int status;

	catch_signals();
	ctx.settings = settings_load(command_settings_file(argc - 1, (const char *const *)argv + 1),
	    message, sizeof message);
	if (ctx.settings == NULL)
		return context_fail(&ctx, "%s", message) + 1;
	ctx.workplace = workplace_new();
	status =
	    ctx.workplace == NULL ? context_fail(&ctx, "out of memory") : run(&ctx, argc, argv);
	if ((fflush(stdout) != 0 || ferror(stdout)) && status == 0)
		status = context_fail(&ctx,
		    "standard output cannot be written; is the disk full or the reader gone?");
	if (atomic_load(&cancelled) && status != 0)
		status = 130;
	workplace_free(ctx.workplace);
	settings_free(ctx.settings);
	return status;
}
