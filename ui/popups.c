/* popups.c - the small windows: a question with a text field, yes or no, and a text to read. */

#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "ui/field.h"
#include "ui/frame.h"

enum { MAX_ANSWER_BYTES = 64 * 1024, ROWS_OF_WORDS = 8 };

static void
popup_box(struct area box, const char *title, const char *keys)
{
	struct box_titles titles = { .top_left = title, .bottom_right = keys };

	draw_clear(box);
	draw_box(box, ROLE_FOCUS, &titles);
}

/* ---- a question ---- */

struct question {
	struct ask ask;
	char *text;
	struct prompt_line line;
	struct store_strings *history;
	char **words;		/* completions of what is typed */
	size_t n_words, chosen; /* chosen: 1 + index, 0 none */
};

static void
forget_words(struct question *question)
{
	for (size_t i = 0; question->words != NULL && i < question->n_words; i++)
		free(question->words[i]);
	free(question->words);
	question->words = NULL;
	question->n_words = question->chosen = 0;
}

static void
find_words(struct question *question)
{
	forget_words(question);
	if (question->ask.complete == NULL)
		return;
	question->words =
	    question->ask.complete(question->ask.user, prompt_line_text(&question->line));
	while (question->words != NULL && question->words[question->n_words] != NULL)
		question->n_words++;
}

static void
question_close(struct view *view)
{
	struct question *question = view->state;

	forget_words(question);
	prompt_line_free(&question->line);
	store_free(question->history);
	free(question->text);
	free(question);
}

static void
question_draw(struct view *view, struct area area)
{
	struct question *question = view->state;
	size_t n_words = question->n_words < ROWS_OF_WORDS ? question->n_words : ROWS_OF_WORDS;
	size_t first = question->chosen > n_words ? question->chosen - n_words : 0;
	struct area box = area_middle(area, 3 + (int)n_words, area.columns * 4 / 5);

	/* The field stays where it is while completions come and go beneath it. */
	box.row = area.row + area.rows / 3;
	if (box.row + box.rows > area.row + area.rows)
		box.row = area.row + area.rows - box.rows;
	popup_box(box, question->text,
	    question->ask.complete != NULL ? "Enter take · Tab complete · Esc leave"
					   : "Enter take · Esc leave");
	struct area inside = area_inside(box);

	for (size_t i = 0; i < n_words; i++) {
		bool chosen = first + i + 1 == question->chosen;

		if (chosen)
			draw_fill(inside, 1 + (int)i, ROLE_SELECTED);
		draw_short(inside, 1 + (int)i, 1, inside.columns - 2,
		    chosen ? ROLE_SELECTED : ROLE_DIM, question->words[first + i]);
	}
	field_draw(&question->line, inside, NULL, true);
}

/* The longest text that all completions begin with; when that is what is there, one after the
 * other. */
static void
complete_more(struct question *question, bool back)
{
	size_t common;

	if (question->n_words == 0)
		return;
	common = strlen(question->words[0]);
	for (size_t i = 1; i < question->n_words; i++) {
		size_t same = 0;

		while (same < common && question->words[i][same] == question->words[0][same])
			same++;
		common = same;
	}
	/* Not inside a character. */
	while (common > 0 && ((unsigned char)question->words[0][common] & 0xc0) == 0x80)
		common--;
	if (common > question->line.n && question->chosen == 0) {
		char *text = strndup(question->words[0], common);

		prompt_line_set(&question->line, text);
		free(text);
		if (question->n_words == 1)
			find_words(question);
		return;
	}
	size_t n = question->n_words;

	question->chosen = back ? (question->chosen + n - 1) % (n + 1) : question->chosen % n + 1;
	if (question->chosen > 0)
		prompt_line_set(&question->line, question->words[question->chosen - 1]);
}

static bool
question_key(struct view *view, key_code key)
{
	struct question *question = view->state;
	struct workbench *workbench = view->workbench;
	struct ask ask = question->ask;
	char *text;

	switch (key) {
	case K_ESC:
	case CONTROL('C'):
		workbench_pop(workbench);
		ask.answered(ask.user, NULL);
		return true;
	case K_ENTER:
		text = strdup(prompt_line_text(&question->line));
		if (ask.history >= 0)
			workbench_remember(workbench, (enum store_history_kind)ask.history,
			    prompt_line_text(&question->line));
		workbench_pop(workbench);
		ask.answered(ask.user, text);
		free(text);
		return true;
	case K_TAB:
	case K_BACK_TAB:
		complete_more(question, key == K_BACK_TAB);
		return true;
	case K_DOWN:
	case K_UP:
		if (question->history == NULL) {
			complete_more(question, key == K_UP);
			return true;
		}
		break;
	}
	enum line_answer answer = prompt_line_key(&question->line, key, NULL);

	if (answer == LINE_CHANGED)
		find_words(question);
	return answer != LINE_IGNORED;
}

static void
question_paste(struct view *view, const char *text, size_t n_bytes)
{
	struct question *question = view->state;

	prompt_line_insert(&question->line, text, n_bytes);
	find_words(question);
}

static const struct view_ops question_ops = {
	.name = "question",
	.close = question_close,
	.draw = question_draw,
	.key = question_key,
	.paste = question_paste,
};

void
popup_ask(struct workbench *workbench, const struct ask *ask)
{
	struct question *question = calloc(1, sizeof *question);
	struct store *store = workbench->host->store;

	if (question == NULL || (question->text = strdup(ask->question)) == NULL) {
		free(question);
		ask->answered(ask->user, NULL);
		return;
	}
	question->ask = *ask;
	prompt_line_init(&question->line, MAX_ANSWER_BYTES);
	if (ask->initial != NULL)
		prompt_line_set(&question->line, ask->initial);
	if (ask->history >= 0 && store != NULL &&
	    store_history(store, (enum store_history_kind)ask->history, 200, &question->history) ==
		STORE_OK)
		prompt_line_history(
		    &question->line, question->history->rows, question->history->n_rows);
	find_words(question);
	workbench_push(workbench, &question_ops, question);
}

void
workbench_ask(struct workbench *workbench, const char *question, const char *initial,
    char **(*complete)(void *user, const char *text),
    void (*answered)(void *user, const char *text), void *user)
{
	const struct ask ask = { question, initial, -1, complete, answered, user };

	popup_ask(workbench, &ask);
}

/* ---- yes or no ---- */

struct decision {
	char *question;
	void (*answered)(void *user, bool yes);
	void *user;
};

static void
decision_close(struct view *view)
{
	struct decision *decision = view->state;

	free(decision->question);
	free(decision);
}

static void
decision_draw(struct view *view, struct area area)
{
	struct decision *decision = view->state;
	int columns = draw_width(decision->question) + 4;
	struct area box = area_middle(area, 3, columns > 30 ? columns : 30);

	popup_box(box, NULL, "y yes · n no");
	draw_short(area_inside(box), 0, 1, box.columns - 4, ROLE_TEXT, decision->question);
}

static bool
decision_key(struct view *view, key_code key)
{
	struct decision answer = *(struct decision *)view->state;

	if (key != 'y' && key != 'Y' && key != 'n' && key != 'N' && key != K_ESC && key != 'q')
		return true;
	workbench_pop(view->workbench);
	answer.answered(answer.user, key == 'y' || key == 'Y');
	return true;
}

static const struct view_ops decision_ops = {
	.name = "decision",
	.close = decision_close,
	.draw = decision_draw,
	.key = decision_key,
};

void
workbench_confirm(struct workbench *workbench, const char *question,
    void (*answered)(void *user, bool yes), void *user)
{
	struct decision *decision = calloc(1, sizeof *decision);

	if (decision == NULL || (decision->question = strdup(question)) == NULL) {
		free(decision);
		answered(user, false);
		return;
	}
	decision->answered = answered;
	decision->user = user;
	workbench_push(workbench, &decision_ops, decision);
}

/* ---- a text to read ---- */

struct reading {
	char *title, *text;
	size_t scroll;
	size_t n_lines, rows; /* of the last drawing */
};

static void
reading_close(struct view *view)
{
	struct reading *reading = view->state;

	free(reading->title);
	free(reading->text);
	free(reading);
}

static void
reading_draw(struct view *view, struct area area)
{
	struct reading *reading = view->state;
	int columns = area.columns > 104 ? 100 : area.columns - 4;
	size_t n = strlen(reading->text);

	reading->n_lines = draw_wrap(reading->text, n, columns - 4, NULL, 0);
	struct area box = area_middle(area,
	    reading->n_lines + 2 < (size_t)area.rows - 2 ? (int)reading->n_lines + 2
							 : area.rows - 2,
	    columns);
	struct area inside = area_inside(box);

	reading->rows = (size_t)inside.rows;
	popup_box(box, reading->title,
	    reading->n_lines > reading->rows ? "↑ ↓ scroll · any key closes" : "any key closes");
	inside.column++;
	inside.columns -= 2;
	draw_wrapped(inside, reading->scroll, ROLE_TEXT, reading->text, n);
}

static bool
reading_key(struct view *view, key_code key)
{
	struct reading *reading = view->state;
	size_t most = reading->n_lines > reading->rows ? reading->n_lines - reading->rows : 0;
	size_t page = reading->rows > 1 ? reading->rows - 1 : 1;

	if (key == K_DOWN || key == 'j')
		reading->scroll += 1;
	else if (key == K_PAGE_DOWN || key == ' ')
		reading->scroll += page;
	else if (key == K_END)
		reading->scroll = most;
	else if (key == K_UP || key == 'k')
		reading->scroll -= reading->scroll > 0;
	else if (key == K_PAGE_UP)
		reading->scroll -= reading->scroll > page ? page : reading->scroll;
	else if (key == K_HOME)
		reading->scroll = 0;
	else {
		workbench_pop(view->workbench);
		return true;
	}
	if (reading->scroll > most)
		reading->scroll = most;
	return true;
}

static const struct view_ops reading_ops = {
	.name = "reading",
	.close = reading_close,
	.draw = reading_draw,
	.key = reading_key,
};

void
workbench_popup(struct workbench *workbench, const char *title, const char *text)
{
	struct reading *reading = calloc(1, sizeof *reading);

	if (reading == NULL || (reading->title = strdup(title)) == NULL ||
	    (reading->text = strdup(text)) == NULL) {
		if (reading != NULL)
			free(reading->title);
		free(reading);
		return;
	}
	workbench_push(workbench, &reading_ops, reading);
}
