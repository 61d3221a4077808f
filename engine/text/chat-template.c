/* chat-template.c - renders a conversation through a model's chat template. */

#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "engine/error.h"
#include "engine/text/chat-template.h"
#include "engine/text/jinja-run.h"

struct chat_template {
	struct jinja_arena arena;
	char *name;
	struct jinja_node *tree;
};

/* Numbers and dates of templates are in the C locale, whatever the program runs in. Only this
 * thread is switched. */
static locale_t
enter_c_locale(locale_t *before)
{
	locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);

	if (c != (locale_t)0)
		*before = uselocale(c);
	return c;
}

static void
leave_c_locale(locale_t c, locale_t before)
{
	if (c == (locale_t)0)
		return;
	uselocale(before);
	freelocale(c);
}

static enum t2l_status
parse(struct chat_template *tmpl, const char *source, size_t n_bytes, struct t2l_error *err)
{
	locale_t before = (locale_t)0, c;
	enum t2l_status status;

	if (tmpl->name == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory");
	if (n_bytes > JINJA_MAX_SOURCE)
		return t2l_fail(
		    err, T2L_EFORMAT, "%zu bytes are more than %u", n_bytes, JINJA_MAX_SOURCE);
	if (!utf8_valid(source, n_bytes) || memchr(source, '\0', n_bytes) != NULL)
		return t2l_fail(err, T2L_EFORMAT, "the template is no text in UTF-8");
	c = enter_c_locale(&before);
	if (c == (locale_t)0)
		return t2l_fail(err, T2L_ENOMEM, "out of memory");
	tmpl->arena.limit = JINJA_MAX_PARSE_MEMORY;
	status = jinja_parse(source, n_bytes, &tmpl->arena, &tmpl->tree, err);
	leave_c_locale(c, before);
	return status;
}

enum t2l_status
chat_template_parse(const char *source, size_t n_bytes, const char *name,
    struct chat_template **out, struct t2l_error *err)
{
	struct chat_template *tmpl = calloc(1, sizeof *tmpl);
	struct t2l_error inner = { 0 };
	enum t2l_status status;

	if (tmpl == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", name);
	tmpl->name = strdup(name);
	status = parse(tmpl, source, n_bytes, &inner);
	if (status != T2L_OK) {
		chat_template_close(tmpl);
		return t2l_fail(err, status, "%s: chat template: %s", name, inner.message);
	}
	*out = tmpl;
	return T2L_OK;
}

void
chat_template_close(struct chat_template *tmpl)
{
	if (tmpl == NULL)
		return;
	jinja_arena_free(&tmpl->arena);
	free(tmpl->name);
	free(tmpl);
}

static struct jinja_value
make_messages(struct jinja_run *run, const struct chat_message *messages, size_t n)
{
	struct jinja_value list = jinja_new_list(run, JINJA_LIST), message;
	size_t i;

	for (i = 0; run->status == T2L_OK && i < n; i++) {
		message = jinja_new_dict(run, JINJA_DICT);
		if (run->status == T2L_OK &&
		    jinja_put(run, message, jinja_text("role"), jinja_text(messages[i].role)) &&
		    jinja_put(run, message, jinja_text("content"), jinja_text(messages[i].content)))
			jinja_append(run, list, message);
	}
	return list;
}

/* The variables that transformers gives to a template. */
static void
define_variables(struct jinja_run *run, const struct chat_message *messages, size_t n,
    const struct chat_options *options)
{
	const char *bos = options->bos_token != NULL ? options->bos_token : "";
	const char *eos = options->eos_token != NULL ? options->eos_token : "";

	jinja_define(run, "messages", make_messages(run, messages, n));
	jinja_define(run, "tools", jinja_none());
	jinja_define(run, "documents", jinja_none());
	jinja_define(run, "add_generation_prompt", jinja_bool(options->add_generation_prompt));
	jinja_define(run, "bos_token", jinja_text(bos));
	jinja_define(run, "eos_token", jinja_text(eos));
	if (options->date_string != NULL)
		jinja_define(run, "date_string", jinja_text(options->date_string));
}

static enum t2l_status
check_messages(const struct chat_message *messages, size_t n, struct t2l_error *err)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!utf8_valid(messages[i].role, strlen(messages[i].role)) ||
		    !utf8_valid(messages[i].content, strlen(messages[i].content)))
			return t2l_fail(err, T2L_EINVAL, "message %zu is no valid UTF-8", i + 1);
	return T2L_OK;
}

enum t2l_status
chat_template_render(const struct chat_template *tmpl, const struct chat_message *messages,
    size_t n_messages, const struct chat_options *options, char **text, struct t2l_error *err)
{
	struct buffer out = { 0 };
	struct jinja_scope top = { 0 };
	struct t2l_error inner = { 0 };
	struct jinja_run run = { .err = &inner,
		.out = &out,
		.scope = &top,
		.top = &top,
		.now = options->now,
		.arena.limit = JINJA_MAX_RUN_MEMORY,
		.line = 1 };
	locale_t before = (locale_t)0, c;
	enum t2l_status status = check_messages(messages, n_messages, err);

	if (status != T2L_OK)
		return status;
	c = enter_c_locale(&before);
	if (c == (locale_t)0)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", tmpl->name);
	define_variables(&run, messages, n_messages, options);
	status = jinja_run(&run, tmpl->tree);
	leave_c_locale(c, before);
	jinja_arena_free(&run.arena);
	if (status == T2L_OK) {
		*text = buffer_take(&out);
		if (*text != NULL)
			return T2L_OK;
		status = t2l_fail(&inner, T2L_ENOMEM, "out of memory");
	}
	buffer_free(&out);
	return t2l_fail(err, status, "%s: chat template: %s", tmpl->name, inner.message);
}
