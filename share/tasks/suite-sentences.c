/* Composes task descriptions: an operation's phrasing, in a wrapper's template, in a frame. */
#include "config.h"

#include "share/tasks/suite-sentences.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct section {
	char *name;
	struct phrasings phrasings;
};

struct sections {
	struct section *section;
	size_t n;
};

/* The names of the section being read and the values of its variables, per name. */
struct heading {
	struct strings names;
	struct strings variables;
	struct strings *values; /* [variables.n], each of names.n strings */
};

struct language {
	struct sections phrasings; /* of operations and wrappers, whose names differ */
	struct sections frames;	   /* "bare" and "framed" */
	struct sections held_out;
};

static const char *const kind_names[] = { "do", "get", "ask", "say", "any" };

static struct section *
section_named(const struct sections *sections, const char *name)
{
	for (size_t i = 0; i < sections->n; i++)
		if (strcmp(sections->section[i].name, name) == 0)
			return &sections->section[i];
	return NULL;
}

static struct section *
section_open(struct sections *sections, const char *name)
{
	struct section *section = section_named(sections, name);

	if (section != NULL)
		return section;
	sections->section = grow(sections->section, sections->n + 1, sizeof(*sections->section));
	section = &sections->section[sections->n++];
	*section = (struct section){ .name = text_printf("%s", name) };
	return section;
}

static void
phrasings_add(struct phrasings *list, enum kind kind, char *text)
{
	list->phrasing = grow(list->phrasing, list->n + 1, sizeof(*list->phrasing));
	list->phrasing[list->n++] = (struct phrasing){ kind, text };
}

/* --- reading --- */

static void
split(struct strings *parts, const char *text, const char *separator)
{
	char *copy = text_printf("%s", text), *part;

	while ((part = strsep(&copy, separator)) != NULL)
		if (*part != '\0')
			strings_add(parts, part);
}

/* "[es fr] LANGUAGE=Spanish,French" */
static void
read_heading(const char *line, const char *where, struct heading *heading)
{
	const char *end = strchr(line, ']');
	struct strings settings = { 0 };

	*heading = (struct heading){ .values = NULL };
	if (end == NULL)
		die("%s: '[' without ']'", where);
	split(&heading->names, copy_text(line + 1, (size_t)(end - line - 1)), " ");
	split(&settings, end + 1, " ");
	heading->values = grow(NULL, settings.n + 1, sizeof(*heading->values));
	for (size_t i = 0; i < settings.n; i++) {
		char *equals = strchr(settings.item[i], '=');

		if (equals == NULL)
			die("%s: '%s' is not NAME=values", where, settings.item[i]);
		*equals = '\0';
		strings_add(&heading->variables, settings.item[i]);
		heading->values[i] = (struct strings){ 0 };
		split(&heading->values[i], equals + 1, ",");
		if (heading->values[i].n != heading->names.n)
			die("%s: %s has %zu values for %zu names", where, settings.item[i],
			    heading->values[i].n, heading->names.n);
	}
}

/* TEXT with each $VARIABLE replaced by its value for the heading's name number WHICH. */
static char *
filled_in(const struct heading *heading, size_t which, const char *text, const char *where)
{
	char *result = text_printf("%s", text), *dollar;

	while ((dollar = strchr(result, '$')) != NULL) {
		size_t length = strspn(dollar + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"), i = 0;

		while (i < heading->variables.n &&
		       (strlen(heading->variables.item[i]) != length ||
			   strncmp(heading->variables.item[i], dollar + 1, length) != 0))
			i++;
		if (i == heading->variables.n)
			die("%s: unknown variable in '%s'", where, text);
		result = text_printf("%.*s%s%s", (int)(dollar - result), result,
		    heading->values[i].item[which], dollar + 1 + length);
	}
	return result;
}

/* "kind: text" -> the kind, and TEXT moved behind it. */
static enum kind
read_kind(const char **text, const char *where)
{
	for (int kind = DO; kind < ANY; kind++) {
		size_t n = strlen(kind_names[kind]);

		if (strncmp(*text, kind_names[kind], n) == 0 && strncmp(*text + n, ": ", 2) == 0) {
			*text += n + 2;
			return (enum kind)kind;
		}
	}
	die("%s: '%s' does not start with do:, get:, ask: or say:", where, *text);
}

char *
core_form(const char *text)
{
	char *form = word_form(text), *result = copy_text(form, strlen(form)), *end = result;
	char *rest = form, *word;

	while ((word = strsep(&rest, " ")) != NULL)
		if (strcmp(word, "the") != 0 && strcmp(word, "a") != 0 && strcmp(word, "an") != 0 &&
		    strcmp(word, "please") != 0) {
			if (end > result)
				*end++ = ' ';
			end = stpcpy(end, word);
		}
	*end = '\0';
	free(form);
	return result;
}

static bool
is_held_out(const struct language *language, const char *name, const char *text)
{
	const struct section *section = section_named(&language->held_out, name);
	char *form = core_form(text);

	for (size_t i = 0; section != NULL && i < section->phrasings.n; i++)
		if (strcmp(core_form(section->phrasings.phrasing[i].text), form) == 0)
			return true;
	return false;
}

/* What a template says besides its slot; any other text as it is. */
static char *
without_slot(const char *text)
{
	const char *open = strchr(text, '{'), *close = open ? strchr(open, '}') : NULL;

	if (close == NULL)
		return text_printf("%s", text);
	return text_printf("%.*s %s", (int)(open - text), text, close + 1);
}

/* Adds a phrasing unless it is held out or there already, but for articles and punctuation. */
static void
add_phrasing(const struct language *language, struct section *section, enum kind kind, char *text)
{
	char *form = core_form(text);

	if (is_held_out(language, section->name, without_slot(text))) {
		section->phrasings.held_out++;
		return;
	}
	for (size_t i = 0; i < section->phrasings.n; i++)
		if (strcmp(core_form(section->phrasings.phrasing[i].text), form) == 0)
			return;
	phrasings_add(&section->phrasings, kind, text);
}

static void
read_sections(struct language *language, const char *directory, const char *name)
{
	struct strings lines = { 0 };
	struct heading heading = { .values = NULL };

	read_lines(directory, name, &lines);
	for (size_t i = 0; i < lines.n; i++) {
		const char *line = lines.item[i];
		char *where = text_printf("%s/%s:%zu", directory, name, i + 1);

		if (line[0] == '[') {
			read_heading(line, where, &heading);
		} else if (line[0] != '\0' && line[0] != '#') {
			enum kind kind = read_kind(&line, where);

			if (heading.names.n == 0)
				die("%s: a phrasing before the first [section]", where);
			for (size_t which = 0; which < heading.names.n; which++)
				add_phrasing(language,
				    section_open(&language->phrasings, heading.names.item[which]),
				    kind, filled_in(&heading, which, line, where));
		}
		free(where);
	}
}

/* Sections whose lines have no kind: frames and held-out phrasings. */
static void
read_plain_sections(struct sections *sections, const char *directory, const char *name)
{
	struct strings lines = { 0 };
	struct section *section = NULL;

	read_lines(directory, name, &lines);
	for (size_t i = 0; i < lines.n; i++) {
		char *line = lines.item[i];

		if (line[0] == '[' && line[strcspn(line, "] ")] == ']') {
			line[strcspn(line, "]")] = '\0';
			section = section_open(sections, line + 1);
		} else if (line[0] != '\0' && line[0] != '#') {
			if (section == NULL)
				die("%s/%s:%zu: a line before the first [section]", directory, name,
				    i + 1);
			phrasings_add(&section->phrasings, SAY, line);
		}
	}
}

struct language *
language_read(const char *directory)
{
	struct language *language = grow(NULL, 1, sizeof(*language));

	*language = (struct language){ .frames = { .n = 0 } };
	read_plain_sections(&language->held_out, directory, "held-out-cores.txt");
	read_plain_sections(&language->frames, directory, "frames.txt");
	if (section_named(&language->frames, "bare") == NULL ||
	    section_named(&language->frames, "framed") == NULL)
		die("%s/frames.txt: [bare] and [framed] are both needed", directory);
	read_sections(language, directory, "operations.txt");
	read_sections(language, directory, "wrappers.txt");
	return language;
}

const struct phrasings *
language_phrasings(const struct language *language, const char *name)
{
	const struct section *section = section_named(&language->phrasings, name);

	if (section == NULL || section->phrasings.n == 0)
		die("no phrasings for '%s'", name);
	return &section->phrasings;
}

/* --- composing --- */

/* Puts TEXT of KIND into the template's slot; NULL when the slot does not take this kind. */
static char *
put_into(const char *template, enum kind kind, const char *text)
{
	const char *open = strchr(template, '{'), *close = open ? strchr(open, '}') : NULL;
	size_t length;
	int slot = DO;
	char *result;

	if (close == NULL || strchr(close, '{') != NULL)
		die("'%s': needs one {slot}", template);
	length = (size_t)(close - open - 1);
	while (slot <= ANY && (strlen(kind_names[slot]) != length ||
				  strncasecmp(kind_names[slot], open + 1, length) != 0))
		slot++;
	if (slot > ANY)
		die("'%s': the slot is not {do}, {get}, {ask}, {say} or {any}", template);
	if (slot != ANY && slot != (int)kind)
		return NULL;
	result = text_printf("%.*s%s%s", (int)(open - template), template, text, close + 1);
	if (isupper((unsigned char)open[1]))
		result[open - template] = (char)toupper((unsigned char)result[open - template]);
	return result;
}

/* One list of templates with the number of times each was used. */
struct choice {
	const struct phrasings *templates;
	size_t *used;
};

static struct choice
choice_of(const struct phrasings *templates)
{
	struct choice choice = { templates, grow(NULL, templates->n, sizeof(size_t)) };

	memset(choice.used, 0, templates->n * sizeof(size_t));
	return choice;
}

/* CORE in the least used template that takes it, ties by chance. */
static struct phrasing
composed(struct choice *choice, uint64_t *chance, struct phrasing core)
{
	size_t n = choice->templates->n, best = n, ties = 0;
	const struct phrasing *template;

	for (size_t i = 0; i < n; i++) {
		if (put_into(choice->templates->phrasing[i].text, core.kind, "") == NULL)
			continue;
		if (best == n || choice->used[i] < choice->used[best]) {
			best = i;
			ties = 1;
		} else if (choice->used[i] == choice->used[best] &&
			   draw_below(chance, ++ties) == 0) {
			best = i;
		}
	}
	if (best == n)
		die("no template takes the %s phrasing '%s'", kind_names[core.kind], core.text);
	choice->used[best]++;
	template = &choice->templates->phrasing[best];
	return (struct phrasing){ template->kind, put_into(template->text, core.kind, core.text) };
}

void
describe(const struct language *language, const char *operation, const char *wrapper, size_t n,
    const char *seed, const struct string_set *avoid, struct strings *list)
{
	/* Chance may repeat itself near the end of a small stock of sentences. */
	enum { ROUNDS = 40 };
	const struct phrasings *cores = language_phrasings(language, operation);
	const bool wrapped = strcmp(wrapper, "plain") != 0;
	struct choice templates = { 0 };
	struct choice bare = choice_of(&section_named(&language->frames, "bare")->phrasings);
	struct choice framed = choice_of(&section_named(&language->frames, "framed")->phrasings);
	struct string_set said = { 0 };
	uint64_t chance = seed_of(seed);
	size_t *order = grow(NULL, cores->n, sizeof(*order));

	if (wrapped)
		templates = choice_of(language_phrasings(language, wrapper));
	for (size_t round = 0; round < ROUNDS && list->n < n; round++) {
		shuffled_order(&chance, order, cores->n);
		for (size_t i = 0; i < cores->n && list->n < n; i++) {
			struct phrasing body = cores->phrasing[order[i]];
			bool as_it_is = wrapped ? draw_below(&chance, 2) == 0 : round == 0;
			char *form;

			if (wrapped)
				body = composed(&templates, &chance, body);
			body = composed(as_it_is ? &bare : &framed, &chance, body);
			form = word_form(body.text);
			if (!set_has(avoid, form) && set_add(&said, form))
				strings_add(list, body.text);
			free(form);
		}
	}
	free(order);
}

static void
add_sayable(const struct phrasings *frames, struct phrasing body, struct string_set *sayable)
{
	for (size_t i = 0; i < frames->n; i++) {
		char *sentence = put_into(frames->phrasing[i].text, body.kind, body.text), *form;

		if (sentence == NULL)
			continue;
		form = core_form(sentence);
		set_add(sayable, form);
		free(form);
		free(sentence);
	}
}

void
collect_sayable(const struct language *language, const char *operation, const char *wrapper,
    struct string_set *sayable)
{
	const struct phrasings *cores = language_phrasings(language, operation);
	const struct phrasings *bare = &section_named(&language->frames, "bare")->phrasings;
	const struct phrasings *framed = &section_named(&language->frames, "framed")->phrasings;
	const struct phrasings *templates;

	if (strcmp(wrapper, "plain") == 0) {
		for (size_t i = 0; i < cores->n; i++) {
			add_sayable(bare, cores->phrasing[i], sayable);
			add_sayable(framed, cores->phrasing[i], sayable);
		}
		return;
	}
	templates = language_phrasings(language, wrapper);
	for (size_t i = 0; i < cores->n; i++)
		for (size_t j = 0; j < templates->n; j++) {
			struct phrasing body = { templates->phrasing[j].kind,
				put_into(templates->phrasing[j].text, cores->phrasing[i].kind,
				    cores->phrasing[i].text) };

			if (body.text != NULL)
				add_sayable(bare, body, sayable);
		}
}
