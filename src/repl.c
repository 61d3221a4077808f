/* repl.c - a conversation on the terminal: text is a prompt, a slash begins a command. */

#include "config.h"

#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <readline/history.h>
#include <readline/readline.h>

#include "base/buffer.h"
#include "base/utf8.h"
#include "src/options.h"
#include "src/repl.h"
#include "src/settings.h"

#define MAX_LANES 8
#define MAX_HISTORY 2000
#define LOOK_EVERY_MS 500 /* a signal just before poll() does not wake it */
#define SET_KEYS                                                                                   \
	"temperature|top_k|top_p|min_p|repetition_penalty|frequency_penalty|presence_penalty|"     \
	"seed|max_tokens"

struct repl {
	struct context *ctx;
	struct t2l_model *model;
	struct lane_settings settings;
	struct mix lanes[MAX_LANES];
	size_t n_lanes;
	struct t2l_adapter *made; /* by the last /task; NULL: none */
	char *last_prompt;
	char *answers[MAX_LANES]; /* of the last prompt */
	bool terminal; /* a person types: an interrupt ends the answer, not the conversation */
	bool diff, leave;
};

/* ---- lanes ---- */

static void
drop_lanes(struct repl *repl)
{
	for (size_t i = 0; i < repl->n_lanes; i++)
		mix_release(&repl->lanes[i]);
	repl->n_lanes = 0;
}

static bool
copy_mix(const struct mix *from, struct mix *to)
{
	*to = (struct mix){ .label = strdup(from->label),
		.adapters = calloc(from->n + 1, sizeof *to->adapters),
		.weights = calloc(from->n + 1, sizeof *to->weights),
		.adapter_id = from->adapter_id };
	if (to->label == NULL || to->adapters == NULL || to->weights == NULL) {
		mix_release(to);
		return false;
	}
	for (; to->n < from->n; to->n++) {
		to->adapters[to->n] = t2l_adapter_ref(from->adapters[to->n]);
		to->weights[to->n] = from->weights[to->n];
	}
	return true;
}

/* The draft of /task as a lane. */
static bool
made_mix(const struct repl *repl, struct mix *mix)
{
	const struct t2l_adapter *adapter = repl->made;
	float weight = 1;
	struct mix one = { .label = "new", .adapters = &adapter, .weights = &weight, .n = 1 };

	return copy_mix(&one, mix);
}

static int
use_lanes(struct repl *repl, char *words)
{
	struct mix lanes[MAX_LANES];
	size_t n = 0;
	bool fine = true;

	for (char *word, *rest = words; fine && (word = strsep(&rest, " \t")) != NULL;) {
		if (word[0] == '\0')
			continue;
		if (n == MAX_LANES)
			fine = (context_fail(repl->ctx, "at most %d lanes", MAX_LANES), false);
		else if (strcmp(word, "new") == 0 && repl->made != NULL)
			fine = made_mix(repl, &lanes[n]);
		else
			fine = mix_parse(repl->ctx, word, &lanes[n]);
		n += fine;
	}
	if (!fine || n == 0) {
		while (n > 0)
			mix_release(&lanes[--n]);
		return fine ? context_usage(repl->ctx, "/use wants lanes: /use translate-es base")
			    : 1;
	}
	drop_lanes(repl);
	memcpy(repl->lanes, lanes, n * sizeof *lanes);
	repl->n_lanes = n;
	return 0;
}

/* ---- prompts ---- */

static bool
take_output(void *user, const struct lane_output *output)
{
	struct repl *repl = user;
	size_t i = output->mix_index;

	free(repl->answers[i]);
	repl->answers[i] = strndup(output->text, output->n_bytes);
	say_json(repl->ctx, lane_output_json(output, false));
	if (repl->ctx->json)
		return true;
	if (repl->n_lanes > 1) {
		bool same = i > 0 && repl->answers[0] != NULL && repl->answers[i] != NULL &&
			    strcmp(repl->answers[0], repl->answers[i]) == 0;

		say(repl->ctx, "%-16s ", output->mix->label);
		if (repl->diff && i > 0)
			say(repl->ctx, "%s ", same ? "=" : "!");
		say_text(repl->ctx, output->text, output->n_bytes);
	}
	say(repl->ctx, "\n");
	return true;
}

static void
stream(void *user, const char *text, size_t n_bytes)
{
	say_text(((struct repl *)user)->ctx, text, n_bytes);
}

static int
ask(struct repl *repl, const char *prompt)
{
	struct prompt item = { .text = (char *)prompt };
	struct prompts prompts = { &item, 1 };
	struct lanes_job job = { .model = repl->model,
		.prompts = &prompts,
		.mixes = repl->lanes,
		.n_mixes = repl->n_lanes,
		.settings = &repl->settings,
		.on_output = take_output,
		.on_text = repl->n_lanes == 1 ? stream : NULL,
		.user = repl };
	int status;

	if (!utf8_valid(prompt, strlen(prompt)))
		return context_fail(repl->ctx, "the prompt '%s' is not valid UTF-8", prompt);
	if (prompt != repl->last_prompt) {
		free(repl->last_prompt);
		repl->last_prompt = strdup(prompt);
	}
	if (repl->terminal)
		atomic_store(repl->ctx->cancelled, false);
	status = lanes_run(repl->ctx, &job);
	if (!repl->terminal)
		return status;
	atomic_store(repl->ctx->cancelled, false);
	return status == 130 ? 0 : status;
}

static int
make(struct repl *repl, const char *task)
{
	struct context *ctx = repl->ctx;
	struct t2l_hypernet *hypernet;
	struct t2l_encoder *encoder;
	struct t2l_adapter *adapter = NULL;
	struct t2l_error err = { .message = "out of memory" };
	float *embedding;
	bool fine;

	if (!workplace_hypernet(ctx, NULL, NULL, &hypernet) ||
	    !workplace_encoder_for(ctx, hypernet, NULL, &encoder))
		return 1;
	embedding =
	    malloc((size_t)t2l_hypernet_facts(hypernet)->embedding_size * sizeof *embedding);
	fine = embedding != NULL &&
	       t2l_hypernet_check(hypernet, repl->model, encoder, &err) == T2L_OK &&
	       t2l_hypernet_embed(hypernet, encoder, task, embedding, &err) == T2L_OK &&
	       t2l_hypernet_generate(hypernet, embedding, task, &adapter, &err) == T2L_OK;
	free(embedding);
	if (!fine)
		return context_fail_error(ctx, &err);
	t2l_adapter_close(repl->made);
	repl->made = adapter;
	/* The new adapter takes the first lane; the others stay. */
	if (repl->n_lanes == 0)
		repl->n_lanes = 1;
	else
		mix_release(&repl->lanes[0]);
	if (!made_mix(repl, &repl->lanes[0]))
		return context_fail(ctx, "out of memory");
	say(ctx, "made; it is the lane 'new' (/save NAME keeps it)\n");
	return repl->last_prompt != NULL ? ask(repl, repl->last_prompt) : 0;
}

static int
save(struct repl *repl, const char *name)
{
	struct keep_options keep = { .name = name[0] ? name : NULL, .source = "generated" };
	struct kept kept;

	if (repl->made == NULL)
		return context_fail(
		    repl->ctx, "nothing was made yet; /task SENTENCE makes an adapter");
	if (!workplace_keep(repl->ctx, repl->made, &keep, &kept))
		return 1;
	say(repl->ctx, "%s  (#%lld)\n", kept.name, (long long)kept.id);
	return 0;
}

/* ---- settings ---- */

static int
set(struct repl *repl, char *words)
{
	struct t2l_sampling *sampling = &repl->settings.sampling;
	const struct {
		const char *name;
		double min, max;
		float *number;
		int *count;
		uint64_t *seed;
		size_t *size;
	} rows[] = {
		{ "temperature", 0, 100, .number = &sampling->temperature },
		{ "top_p", 0, 1, .number = &sampling->top_p },
		{ "min_p", 0, 1, .number = &sampling->min_p },
		{ "repetition_penalty", 0.01, 100, .number = &sampling->repetition_penalty },
		{ "frequency_penalty", -10, 10, .number = &sampling->frequency_penalty },
		{ "presence_penalty", -10, 10, .number = &sampling->presence_penalty },
		{ "top_k", 0, 1e9, .count = &sampling->top_k },
		{ "seed", 0, 9e15, .seed = &sampling->seed },
		{ "max_tokens", 1, 1e9, .size = &repl->settings.max_tokens },
	};
	const size_t n = sizeof rows / sizeof rows[0];
	char *value = words, *key = strsep(&value, " \t"), *end = NULL;
	double number = value ? strtod(value, &end) : 0;
	size_t at = 0;

	while (at < n && strcmp(key, rows[at].name) != 0)
		at++;
	if (at == n || value == NULL || end == value || end[strspn(end, " \t")] != '\0')
		return context_usage(repl->ctx, "/set " SET_KEYS " NUMBER");
	if (!(number >= rows[at].min && number <= rows[at].max) ||
	    (rows[at].number == NULL && number != floor(number)))
		return context_usage(repl->ctx, "%s is a %s in %g .. %g", key,
		    rows[at].number ? "number" : "whole number", rows[at].min, rows[at].max);
	if (rows[at].number != NULL)
		*rows[at].number = (float)number;
	else if (rows[at].count != NULL)
		*rows[at].count = (int)number;
	else if (rows[at].seed != NULL)
		*rows[at].seed = (uint64_t)number;
	else
		*rows[at].size = (size_t)number;
	sampling->greedy = !(sampling->temperature > 0);
	return 0;
}

/* ---- lines ---- */

static void
help(struct repl *repl)
{
	say(repl->ctx,
	    "text                  runs in all lanes\n"
	    "\"\"\"                   begins and ends a prompt of several lines\n"
	    "/task SENTENCE        makes an adapter; it takes the first lane\n"
	    "/use A B base         sets the lanes (names, paths, mixes a:0.5+b:0.5, new)\n"
	    "/diff                 marks lanes that differ from the first\n"
	    "/set KEY NUMBER       temperature, top_k, top_p, min_p, seed, max_tokens,\n"
	    "                      repetition_penalty, frequency_penalty, presence_penalty\n"
	    "/save [NAME]          keeps the adapter of /task in the catalog\n"
	    "/help, /quit          this text; leave (also Ctrl-D)\n"
	    "/COMMAND ...          any command of t2l: /catalog list, /merge --adapters a b\n"
	    "Ctrl-C stops an answer, empties a line, and leaves at an empty one.\n");
}

static int
run_command(struct repl *repl, char *line)
{
	char *rest = line + 1, *word = strsep(&rest, " \t");

	rest = rest ? rest + strspn(rest, " \t") : line + strlen(line);
	if (strcmp(word, "help") == 0 && rest[0] == '\0')
		help(repl);
	else if (strcmp(word, "quit") == 0 || strcmp(word, "exit") == 0)
		repl->leave = true;
	else if (strcmp(word, "task") == 0)
		return rest[0] ? make(repl, rest)
			       : context_usage(repl->ctx, "/task wants a sentence");
	else if (strcmp(word, "use") == 0)
		return use_lanes(repl, rest);
	else if (strcmp(word, "diff") == 0)
		say(repl->ctx, "differences are %s\n",
		    (repl->diff = !repl->diff) ? "marked" : "not marked");
	else if (strcmp(word, "set") == 0)
		return set(repl, rest);
	else if (strcmp(word, "save") == 0)
		return save(repl, rest);
	else {
		/* The word was cut off above; put the line together again. */
		if (rest[0] != '\0')
			word[strlen(word)] = ' ';
		return command_run_line(repl->ctx, line + 1);
	}
	return 0;
}

/* readline's callbacks carry no pointer */
static struct context *completing;
static int stopped_by; /* the signal that ended the last line; 0: none */

static char *
next_completion(const char *start, int state)
{
	static char **words;
	static size_t at;

	(void)start;
	if (state == 0) {
		command_completions_free(words);
		words = command_completions(completing, rl_line_buffer + 1);
		at = 0;
	}
	return words != NULL && words[at] != NULL ? strdup(words[at++]) : NULL;
}

static char **
complete(const char *text, int begin, int end)
{
	(void)begin;
	(void)end;
	if (rl_line_buffer[0] != '/')
		return NULL;
	rl_attempted_completion_over = 1;
	return rl_completion_matches(text, next_completion);
}

/* The next key. Ctrl-C empties the line, and on an empty one ends it, as SIGTERM and SIGHUP do:
 * then readline sees the end of input. */
static int
get_key(FILE *input)
{
	struct pollfd key = { .fd = fileno(input), .events = POLLIN };

	for (;;) {
		int ready = poll(&key, 1, LOOK_EVERY_MS), number = rl_pending_signal();

		if (number == 0 && ready > 0)
			return rl_getc(input);
		if (number == 0)
			continue;
		rl_check_signals(); /* puts the terminal in order and calls this program's handler
				     */
		if (number != SIGINT && number != SIGTERM && number != SIGHUP)
			continue;
		atomic_store(completing->cancelled, false);
		if (number == SIGINT && rl_end > 0) {
			rl_replace_line("", 1);
			rl_crlf();
			rl_on_new_line();
			rl_redisplay();
			continue;
		}
		rl_replace_line("", 1);
		stopped_by = number;
		return EOF;
	}
}

/* One line without its end; NULL at the end of input. From a pipe readline would echo, so it is
 * read plainly. */
static char *
read_line(bool terminal, const char *prompt)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t n;

	stopped_by = 0;
	if (terminal)
		return readline(prompt);
	n = getline(&line, &size, stdin);
	if (n < 0) {
		free(line);
		return NULL;
	}
	line[strcspn(line, "\r\n")] = '\0';
	return line;
}

/* The lines between two """ as one text; takes and frees FIRST. */
static char *
read_block(bool terminal, char *first)
{
	struct buffer text = { 0 };
	char *line;

	buffer_text(&text, first + 3);
	free(first);
	while ((line = read_line(terminal, "... ")) != NULL) {
		size_t n = strlen(line);
		bool last = n >= 3 && strcmp(line + n - 3, "\"\"\"") == 0;

		if (text.n > 0)
			buffer_char(&text, '\n');
		buffer_append(&text, line, last ? n - 3 : n);
		free(line);
		if (last)
			break;
	}
	if (stopped_by != 0) {
		/* Ctrl-C: it was not meant to be said. */
		buffer_free(&text);
		return NULL;
	}
	return buffer_take(&text);
}

static int
converse(struct repl *repl, bool terminal)
{
	int worst = 0;

	while (!repl->leave && (terminal || !atomic_load(repl->ctx->cancelled))) {
		char *line = read_line(terminal, "> ");
		int status;

		if (line == NULL)
			break;
		if (strncmp(line, "\"\"\"", 3) == 0)
			line = read_block(terminal, line);
		if (stopped_by == SIGTERM || stopped_by == SIGHUP) {
			free(line);
			break;
		}
		if (line == NULL || line[strspn(line, " \t")] == '\0') {
			free(line);
			continue;
		}
		if (terminal)
			add_history(line);
		status = line[0] == '/' ? run_command(repl, line) : ask(repl, line);
		worst = status > worst ? status : worst;
		free(line);
	}
	/* A person saw the errors; a script wants the exit status. */
	if (terminal)
		return 0;
	return atomic_load(repl->ctx->cancelled) && !repl->leave ? 130 : worst;
}

int
repl_run(struct context *ctx, struct t2l_model *model, const struct mix *mixes, size_t n_mixes,
    const struct lane_settings *settings)
{
	struct repl repl = { .ctx = ctx, .model = model, .settings = *settings };
	bool terminal = repl.terminal = isatty(STDIN_FILENO) && ctx->out.terminal;
	char history[4096];
	int status;

	for (; repl.n_lanes < n_mixes && repl.n_lanes < MAX_LANES; repl.n_lanes++)
		if (!copy_mix(&mixes[repl.n_lanes], &repl.lanes[repl.n_lanes]))
			return context_fail(ctx, "out of memory");
	snprintf(history, sizeof history, "%s/repl-history", workplace_home(ctx));
	if (terminal) {
		completing = ctx;
		rl_readline_name = "t2l";
		rl_attempted_completion_function = complete;
		rl_getc_function = get_key;
		using_history();
		stifle_history(MAX_HISTORY);
		read_history(history);
		note(ctx, "base '%s'; /help tells what can be done", t2l_model_facts(model)->name);
	}
	status = converse(&repl, terminal);
	if (terminal) {
		write_history(history);
		say(ctx, "\n");
	}
	drop_lanes(&repl);
	for (size_t i = 0; i < MAX_LANES; i++)
		free(repl.answers[i]);
	t2l_adapter_close(repl.made);
	free(repl.last_prompt);
	return status;
}
