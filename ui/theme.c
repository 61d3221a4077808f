/* theme.c - a table of looks, turned into colour pairs of this terminal. */

#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <curses.h>

#include "ui/theme.h"

/* Colours are numbers of the 256-colour palette and, for smaller terminals, of the basic eight; -1
 * is the terminal's own. */
struct look {
	short foreground, background;
	short basic_foreground, basic_background;
	attr_t attributes; /* with colour */
};

static const attr_t mono[N_ROLES] = {
	[ROLE_DIM] = A_DIM,
	[ROLE_STRONG] = A_BOLD,
	[ROLE_FOCUS] = A_BOLD,
	[ROLE_SELECTED] = A_REVERSE,
	[ROLE_MARKED] = A_BOLD | A_UNDERLINE,
	[ROLE_KEY] = A_BOLD,
	[ROLE_BAD] = A_BOLD | A_REVERSE,
	[ROLE_WARN] = A_BOLD,
	[ROLE_CHANGED] = A_UNDERLINE,
	[ROLE_BAR] = A_REVERSE,
	[ROLE_HEADER] = A_REVERSE,
	[ROLE_DRAFT] = A_DIM,
};

static const struct look dark[N_ROLES] = {
	[ROLE_TEXT] = { -1, -1, -1, -1, 0 },
	[ROLE_DIM] = { 245, -1, -1, -1, 0 },
	[ROLE_STRONG] = { -1, -1, -1, -1, A_BOLD },
	[ROLE_BORDER] = { 240, -1, -1, -1, 0 },
	[ROLE_FOCUS] = { 81, -1, COLOR_CYAN, -1, A_BOLD },
	[ROLE_SELECTED] = { 231, 24, COLOR_WHITE, COLOR_BLUE, 0 },
	[ROLE_MARKED] = { 221, -1, COLOR_YELLOW, -1, 0 },
	[ROLE_KEY] = { 81, -1, COLOR_CYAN, -1, A_BOLD },
	[ROLE_GOOD] = { 114, -1, COLOR_GREEN, -1, 0 },
	[ROLE_BAD] = { 210, -1, COLOR_RED, -1, A_BOLD },
	[ROLE_WARN] = { 221, -1, COLOR_YELLOW, -1, 0 },
	[ROLE_CHANGED] = { 222, -1, COLOR_YELLOW, -1, A_UNDERLINE },
	[ROLE_BAR] = { 75, -1, COLOR_BLUE, -1, 0 },
	[ROLE_HEADER] = { 252, 236, COLOR_WHITE, COLOR_BLUE, 0 },
	[ROLE_DRAFT] = { 183, -1, COLOR_MAGENTA, -1, 0 },
};

static const struct look light[N_ROLES] = {
	[ROLE_TEXT] = { -1, -1, -1, -1, 0 },
	[ROLE_DIM] = { 242, -1, -1, -1, 0 },
	[ROLE_STRONG] = { -1, -1, -1, -1, A_BOLD },
	[ROLE_BORDER] = { 249, -1, -1, -1, 0 },
	[ROLE_FOCUS] = { 25, -1, COLOR_BLUE, -1, A_BOLD },
	[ROLE_SELECTED] = { 16, 153, COLOR_BLACK, COLOR_CYAN, 0 },
	[ROLE_MARKED] = { 130, -1, COLOR_MAGENTA, -1, 0 },
	[ROLE_KEY] = { 25, -1, COLOR_BLUE, -1, A_BOLD },
	[ROLE_GOOD] = { 28, -1, COLOR_GREEN, -1, 0 },
	[ROLE_BAD] = { 124, -1, COLOR_RED, -1, A_BOLD },
	[ROLE_WARN] = { 130, -1, COLOR_MAGENTA, -1, 0 },
	[ROLE_CHANGED] = { 88, -1, COLOR_RED, -1, A_UNDERLINE },
	[ROLE_BAR] = { 32, -1, COLOR_BLUE, -1, 0 },
	[ROLE_HEADER] = { 16, 253, COLOR_BLACK, COLOR_CYAN, 0 },
	[ROLE_DRAFT] = { 90, -1, COLOR_MAGENTA, -1, 0 },
};

const char *const theme_names[] = { "dark", "light", "mono", NULL };
static const struct look *const looks[] = { dark, light, NULL };

/* Of the running screen; curses itself is global likewise. */
static attr_t attributes[N_ROLES];
static bool colored;

static void
use(const struct look *table)
{
	for (int role = 0; role < N_ROLES; role++) {
		const struct look *look = &table[role];
		bool many = COLORS >= 256;
		short foreground = many ? look->foreground : look->basic_foreground;
		short background = many ? look->background : look->basic_background;

		attributes[role] = look->attributes;
		if (foreground < 0 && background < 0) {
			/* Eight colours have no grey: dim is then an attribute. */
			attributes[role] |= many ? 0 : mono[role] & A_DIM;
			continue;
		}
		init_pair((short)(role + 1), foreground, background);
		attributes[role] |= (attr_t)COLOR_PAIR(role + 1);
	}
}

bool
theme_start(const char *name)
{
	const char *no_color = getenv("NO_COLOR");
	int chosen = 0;
	bool known = true;

	for (int i = 0; name != NULL && theme_names[chosen] != NULL; i++) {
		chosen = i;
		if (theme_names[i] == NULL || strcmp(theme_names[i], name) == 0)
			break;
	}
	if (theme_names[chosen] == NULL) {
		known = false;
		chosen = 0;
	}
	memcpy(attributes, mono, sizeof attributes);
	colored = false;
	if (looks[chosen] != NULL && (no_color == NULL || no_color[0] == '\0') && has_colors() &&
	    start_color() == OK && use_default_colors() == OK) {
		use(looks[chosen]);
		colored = true;
	}
	return known;
}

const char *
theme_role_name(enum role role)
{
	static const char *const names[N_ROLES] = {
		[ROLE_TEXT] = "text",
		[ROLE_DIM] = "dim",
		[ROLE_STRONG] = "strong",
		[ROLE_BORDER] = "border",
		[ROLE_FOCUS] = "focus",
		[ROLE_SELECTED] = "selected",
		[ROLE_MARKED] = "marked",
		[ROLE_KEY] = "key",
		[ROLE_GOOD] = "good",
		[ROLE_BAD] = "bad",
		[ROLE_WARN] = "warn",
		[ROLE_CHANGED] = "changed",
		[ROLE_BAR] = "bar",
		[ROLE_HEADER] = "header",
		[ROLE_DRAFT] = "draft",
	};

	return names[role];
}

void
theme_color(enum role role, short foreground, short background)
{
	if (!colored || foreground >= COLORS || background >= COLORS)
		return;
	init_pair((short)(role + 1), foreground, background);
	attributes[role] &= (attr_t)~A_COLOR;
	attributes[role] |= (attr_t)COLOR_PAIR(role + 1);
}

unsigned long
theme_attributes(enum role role)
{
	return attributes[role];
}
