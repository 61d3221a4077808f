/* pretokenizer.c - cuts normalised text into the pieces a model encodes one by one. */

#include <stdlib.h>
#include <string.h>

#include "engine/error.h"
#include "engine/text/ids.h"
#include "engine/text/pretokenizer.h"

/* One run of the chain, so that stages can hand on to each other. */
struct run {
	const struct pretokenizer *pretokenizer;
	struct pretokenizer_work *work;
	struct pattern_matcher *matcher;
	piece_receiver *receive;
	void *context;
	struct t2l_error *err;
};

static enum t2l_status run_stage(
    struct run *run, size_t stage, const char *text, size_t n_bytes, bool at_start);

static enum t2l_status
out_of_memory(struct run *run)
{
	return t2l_fail(run->err, T2L_ENOMEM, "out of memory splitting text");
}

static bool
add_span(struct run *run, size_t stage, size_t start, size_t end, bool match)
{
	void *spans = run->work->stages[stage].spans;
	size_t *n = &run->work->stages[stage].n;

	if (start == end)
		return true;
	if (!array_grow(&spans, &run->work->stages[stage].capacity, *n + 1, sizeof(struct span)))
		return false;
	run->work->stages[stage].spans = spans;
	run->work->stages[stage].spans[(*n)++] =
	    (struct span){ start, end, match != run->pretokenizer->stages[stage].invert };
	return true;
}

/* Fills the stage's spans: the text cut into matches and what lies between them. */
static enum t2l_status
find_spans(struct run *run, size_t stage, const char *text, size_t n_bytes)
{
	const struct pattern *pattern = run->pretokenizer->stages[stage].pattern;
	size_t at = 0, start, end;
	enum t2l_status status;
	bool found;

	run->work->stages[stage].n = 0;
	for (;;) {
		status = pattern_find(
		    pattern, run->matcher, text, n_bytes, at, &found, &start, &end, run->err);
		if (status != T2L_OK)
			return status;
		if (!found)
			break;
		if (!add_span(run, stage, at, start, false) ||
		    !add_span(run, stage, start, end, true))
			return out_of_memory(run);
		at = end;
	}
	return add_span(run, stage, at, n_bytes, false) ? T2L_OK : out_of_memory(run);
}

/* Joins or drops spans as BEHAVIOR says and returns how many are left. */
static size_t
apply_behavior(struct span *spans, size_t n, enum split_behavior behavior)
{
	size_t i, kept = 0;

	for (i = 0; i < n; i++) {
		bool joins;

		if (behavior == SPLIT_REMOVED && spans[i].match)
			continue;
		/* A run of matches joins one by one with its neighbour: only the match that
		 * touches a non-match does. */
		joins = kept > 0 &&
			((behavior == SPLIT_CONTIGUOUS && spans[i].match == spans[i - 1].match) ||
			    (behavior == SPLIT_MERGED_WITH_PREVIOUS && spans[i].match &&
				!spans[i - 1].match) ||
			    (behavior == SPLIT_MERGED_WITH_NEXT && !spans[i].match &&
				spans[i - 1].match));
		if (joins)
			spans[kept - 1].end = spans[i].end;
		else
			spans[kept++] =
			    (struct span){ spans[i].start, spans[i].end, spans[i].match };
	}
	return kept;
}

static enum t2l_status
split(struct run *run, size_t stage, const char *text, size_t n_bytes, bool at_start)
{
	enum split_behavior behavior = run->pretokenizer->stages[stage].behavior;
	enum t2l_status status = find_spans(run, stage, text, n_bytes);
	const struct span *spans = run->work->stages[stage].spans;
	size_t i, n = run->work->stages[stage].n;

	if (status == T2L_OK && behavior != SPLIT_ISOLATED)
		n = apply_behavior(run->work->stages[stage].spans, n, behavior);
	for (i = 0; status == T2L_OK && i < n; i++)
		status = run_stage(run, stage + 1, text + spans[i].start,
		    spans[i].end - spans[i].start, at_start && spans[i].start == 0);
	return status;
}

static enum t2l_status
put_space_first(struct run *run, size_t stage, const char *text, size_t n_bytes, bool at_start)
{
	struct buffer *out = &run->work->stages[stage].text;

	if (n_bytes > 0 && text[0] == ' ')
		return run_stage(run, stage + 1, text, n_bytes, at_start);
	buffer_clear(out);
	buffer_char(out, ' ');
	buffer_append(out, text, n_bytes);
	if (buffer_failed(out))
		return out_of_memory(run);
	return run_stage(run, stage + 1, out->bytes, out->n, at_start);
}

static enum t2l_status
replace_blanks(struct run *run, size_t stage, const char *text, size_t n_bytes, bool at_start)
{
	const struct split_stage *settings = &run->pretokenizer->stages[stage];
	struct buffer *out = &run->work->stages[stage].text;
	size_t n_blank = strlen(settings->blank), i, start = 0;
	bool begins = (n_bytes > 0 && text[0] == ' ') ||
		      (n_bytes >= n_blank && memcmp(text, settings->blank, n_blank) == 0);

	buffer_clear(out);
	if (!begins && (settings->prepend == PREPEND_ALWAYS ||
			   (settings->prepend == PREPEND_FIRST && at_start)))
		buffer_append(out, settings->blank, n_blank);
	for (i = 0; i < n_bytes; i++)
		if (text[i] == ' ') {
			buffer_append(out, text + start, i - start);
			buffer_append(out, settings->blank, n_blank);
			start = i + 1;
		}
	buffer_append(out, text + start, n_bytes - start);
	if (buffer_failed(out))
		return out_of_memory(run);
	return run_stage(run, stage + 1, out->bytes, out->n, at_start);
}

static enum t2l_status
run_stage(struct run *run, size_t stage, const char *text, size_t n_bytes, bool at_start)
{
	if (n_bytes == 0)
		return T2L_OK;
	if (stage == run->pretokenizer->n)
		return run->receive(run->context, text, n_bytes, run->err);
	switch (run->pretokenizer->stages[stage].kind) {
	case STAGE_SPLIT:
		return split(run, stage, text, n_bytes, at_start);
	case STAGE_SPACE_FIRST:
		return put_space_first(run, stage, text, n_bytes, at_start);
	case STAGE_METASPACE:
		return replace_blanks(run, stage, text, n_bytes, at_start);
	}
	return T2L_OK;
}

enum t2l_status
pretokenizer_run(const struct pretokenizer *pretokenizer, struct pretokenizer_work *work,
    struct pattern_matcher *matcher, const char *text, size_t n_bytes, bool at_start,
    piece_receiver *receive, void *context, struct t2l_error *err)
{
	struct run run = { pretokenizer, work, matcher, receive, context, err };

	return run_stage(&run, 0, text, n_bytes, at_start);
}

void
pretokenizer_work_free(struct pretokenizer_work *work)
{
	size_t i;

	for (i = 0; i < PRETOKENIZER_MAX_STAGES; i++) {
		free(work->stages[i].spans);
		buffer_free(&work->stages[i].text);
	}
}

void
pretokenizer_free(struct pretokenizer *pretokenizer)
{
	size_t i;

	for (i = 0; i < pretokenizer->n; i++)
		pattern_free(pretokenizer->stages[i].pattern);
	pretokenizer->n = 0;
}
