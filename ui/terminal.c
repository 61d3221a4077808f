/* terminal.c - starts curses, turns what it reads into key codes, and restores the terminal. */

#include "config.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <curses.h>

#include "base/buffer.h"
#include "base/utf8.h"
#include "ui/draw.h"
#include "ui/terminal.h"

/* Where handlers must reach it; there is one terminal a process. */
static struct {
	SCREEN *screen;
	FILE *in, *out;
	int wake_fd;
	bool hidden, has_saved;
	int click_row, click_column;
	struct termios saved;
	volatile sig_atomic_t resized, ending, continued;
} terminal;

/* ---- signals ---- */

static void
wake(void)
{
	uint64_t one = 1;
	int before = errno;

	if (write(terminal.wake_fd, &one, sizeof one) < 0)
		errno = before;
	errno = before;
}

static void
on_resize(int number)
{
	(void)number;
	terminal.resized = 1;
	wake();
}

static void
on_end(int number)
{
	/* A second one does not wait for a screen that may hang. */
	if (terminal.ending) {
		signal(number, SIG_DFL);
		raise(number);
	}
	terminal.ending = number;
	wake();
}

static void
on_continue(int number)
{
	(void)number;
	terminal.continued = 1;
	wake();
}

/* Only calls that are safe in a handler: curses is not. */
static void
restore_raw(void)
{
	static const char reset[] = "\033[0m\033[?1000l\033[?1006l\033[?2004l\033[?1l\033>\033[?25h\033[?1049l\r\n";

	if (terminal.hidden || terminal.screen == NULL)
		return;
	if (write(STDOUT_FILENO, reset, sizeof reset - 1) < 0)
		return;
	if (terminal.has_saved)
		tcsetattr(STDIN_FILENO, TCSANOW, &terminal.saved);
}

static void
on_crash(int number)
{
	restore_raw();
	signal(number, SIG_DFL);
	raise(number);
}

static void
on_stop(int number)
{
	(void)number;
	terminal.continued = 0;
	restore_raw();
	raise(SIGSTOP);
}

static void catch (int number, void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	sigemptyset(&action.sa_mask);
	sigaction(number, &action, NULL);
}

static void
catch_signals(void)
{
	static const int crashes[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
	static const int ends[] = { SIGTERM, SIGHUP, SIGINT };

	for (size_t i = 0; i < sizeof crashes / sizeof crashes[0]; i++)
		catch (crashes[i], on_crash, (int)SA_RESETHAND);
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
		catch (ends[i], on_end, 0);
	catch (SIGWINCH, on_resize, SA_RESTART);
	catch (SIGCONT, on_continue, SA_RESTART);
	catch (SIGTSTP, on_stop, SA_RESTART);
	signal(SIGPIPE, SIG_IGN);
}

/* ---- starting and stopping ---- */

enum { PASTE_START = KEY_MAX + 1, PASTE_END, WORD_LEFT, WORD_RIGHT };

static void
prepare(void)
{
	raw();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(25);
	curs_set(0);
	define_key("\033[200~", PASTE_START);
	define_key("\033[201~", PASTE_END);
	define_key("\033[1;5D", WORD_LEFT);
	define_key("\033[1;5C", WORD_RIGHT);
	define_key("\033[1;3D", WORD_LEFT);
	define_key("\033[1;3C", WORD_RIGHT);
}

static void
bracketed_paste(bool on)
{
	if (!terminal.hidden) {
		fputs(on ? "\033[?2004h" : "\033[?2004l", terminal.out);
		fflush(terminal.out);
	}
}

static void
choose_characters(void)
{
	/* Character type only: numbers in files are written with a point everywhere. */
	setlocale(LC_CTYPE, "");
	draw_set_ascii(strcmp(nl_langinfo(CODESET), "UTF-8") != 0);
}

const char *
terminal_start(int wake_fd)
{
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return "the workbench wants a terminal; 't2l --help' lists the commands that need "
		       "none";
	choose_characters();
	terminal.wake_fd = wake_fd;
	terminal.in = stdin;
	terminal.out = stdout;
	terminal.has_saved = tcgetattr(STDIN_FILENO, &terminal.saved) == 0;
	terminal.screen = newterm(NULL, stdout, stdin);
	if (terminal.screen == NULL)
		return "this terminal cannot show the workbench: set TERM to what it is "
		       "(xterm-256color for most)";
	catch_signals();
	prepare();
	bracketed_paste(true);
	return NULL;
}

const char *
terminal_start_hidden(int wake_fd, int columns, int lines)
{
	choose_characters();
	terminal.hidden = true;
	terminal.wake_fd = wake_fd;
	terminal.in = fopen("/dev/null", "r");
	terminal.out = fopen("/dev/null", "w");
	if (terminal.in == NULL || terminal.out == NULL)
		return "cannot open /dev/null";
	terminal.screen = newterm("xterm-256color", terminal.out, terminal.in);
	if (terminal.screen == NULL)
		terminal.screen = newterm("vt100", terminal.out, terminal.in);
	if (terminal.screen == NULL)
		return "no description of a terminal is installed (package ncurses-base)";
	catch_signals();
	prepare();
	resizeterm(lines, columns);
	return NULL;
}

void
terminal_stop(void)
{
	if (terminal.screen == NULL)
		return;
	bracketed_paste(false);
	curs_set(1);
	endwin();
	delscreen(terminal.screen);
	terminal.screen = NULL;
	if (terminal.hidden) {
		fclose(terminal.in);
		fclose(terminal.out);
	}
}

int
terminal_fd(void)
{
	return terminal.hidden ? -1 : STDIN_FILENO;
}

/* ---- keys ---- */

static const struct {
	wint_t curses;
	key_code key;
} keypad_keys[] = {
	{ KEY_UP, K_UP },
	{ KEY_DOWN, K_DOWN },
	{ KEY_LEFT, K_LEFT },
	{ KEY_RIGHT, K_RIGHT },
	{ KEY_HOME, K_HOME },
	{ KEY_END, K_END },
	{ KEY_PPAGE, K_PAGE_UP },
	{ KEY_NPAGE, K_PAGE_DOWN },
	{ KEY_DC, K_DELETE },
	{ KEY_IC, K_INSERT },
	{ KEY_BTAB, K_BACK_TAB },
	{ KEY_BACKSPACE, K_BACKSPACE },
	{ KEY_ENTER, K_ENTER },
	{ KEY_F(1), K_F1 },
	{ WORD_LEFT, K_WORD_LEFT },
	{ WORD_RIGHT, K_WORD_RIGHT },
	{ PASTE_START, K_PASTE_START },
	{ PASTE_END, K_PASTE_END },
};

static key_code
plain_key(wint_t character)
{
	if (character == '\n')
		return K_ENTER;
	if (character == 8)
		return K_BACKSPACE;
	/* ^@ would be "no key". */
	return character == 0 ? ' ' : character < 0x110000 ? (key_code)character : K_NONE;
}

/* After Esc: Alt and a letter comes in the same burst. */
static key_code
after_escape(void)
{
	wint_t next;

	if (wget_wch(stdscr, &next) != OK)
		return K_ESC;
	switch (next) {
	case '\r':
	case '\n':
		return K_ALT_ENTER;
	case 'b':
		return K_WORD_LEFT;
	case 'f':
		return K_WORD_RIGHT;
	default:
		unget_wch((wchar_t)next);
		return K_ESC;
	}
}

void
terminal_mouse(void)
{
	mousemask(BUTTON1_PRESSED | BUTTON1_CLICKED | BUTTON4_PRESSED | BUTTON5_PRESSED, NULL);
	/* Clicks count when the button goes down: there is nothing to drag. */
	mouseinterval(0);
}

void
terminal_click(int *row, int *column)
{
	*row = terminal.click_row;
	*column = terminal.click_column;
}

static key_code
mouse_key(void)
{
	MEVENT event;

	if (getmouse(&event) != OK)
		return K_NONE;
	if (event.bstate & BUTTON4_PRESSED)
		return K_UP;
	if (event.bstate & BUTTON5_PRESSED)
		return K_DOWN;
	if (!(event.bstate & (BUTTON1_PRESSED | BUTTON1_CLICKED)))
		return K_NONE;
	terminal.click_row = event.y;
	terminal.click_column = event.x;
	return K_CLICK;
}

key_code
terminal_key(void)
{
	wint_t character;

	for (;;) {
		switch (wget_wch(stdscr, &character)) {
		case OK:
			return character == K_ESC ? after_escape() : plain_key(character);
		case KEY_CODE_YES:
			if (character == KEY_MOUSE) {
				key_code key = mouse_key();

				if (key != K_NONE)
					return key;
				break;
			}
			for (size_t i = 0; i < sizeof keypad_keys / sizeof keypad_keys[0]; i++)
				if (keypad_keys[i].curses == character)
					return keypad_keys[i].key;
			break; /* a key we have no use for; look at the next */
		default:
			return K_NONE;
		}
	}
}

/* ---- what happened meanwhile ---- */

bool
terminal_resized(void)
{
	struct winsize size;

	if (terminal.continued) {
		terminal.continued = 0;
		terminal.resized = 1;
		if (!terminal.hidden) {
			/* Somebody may have written over the screen while we were stopped. */
			endwin();
			bracketed_paste(true);
			prepare();
			clearok(curscr, TRUE);
		}
	}
	if (!terminal.resized)
		return false;
	terminal.resized = 0;
	if (!terminal.hidden && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 &&
	    size.ws_col > 0)
		resizeterm(size.ws_row, size.ws_col);
	return true;
}

int
terminal_ending(void)
{
	return terminal.ending;
}

void
terminal_resize_hidden(int columns, int lines)
{
	if (terminal.hidden)
		resizeterm(lines, columns);
}

void
terminal_suspend(void)
{
	if (terminal.hidden)
		return;
	bracketed_paste(false);
	curs_set(1);
	refresh();
	endwin();
	raise(SIGSTOP);
	/* SIGCONT's handler has asked for the rest. */
}

/* ---- clipboard and display ---- */

static void
base64(struct buffer *out, const char *text, size_t n)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < n; i += 3) {
		size_t some = n - i < 3 ? n - i : 3;
		uint32_t bits = 0;

		for (size_t j = 0; j < 3; j++)
			bits = bits << 8 | (j < some ? (unsigned char)text[i + j] : 0);
		for (size_t j = 0; j < 4; j++)
			buffer_char(out, j <= some ? digits[bits >> (18 - 6 * j) & 63] : '=');
	}
}

bool
terminal_copy(const char *text, size_t n_bytes)
{
	enum { MOST = 74994 }; /* what xterm takes in one go */
	struct buffer sequence = { 0 };

	if (n_bytes > MOST)
		return false;
	buffer_text(&sequence, "\033]52;c;");
	base64(&sequence, text, n_bytes);
	buffer_char(&sequence, '\a');
	bool fine = !buffer_failed(&sequence) &&
		    fwrite(sequence.bytes, 1, sequence.n, terminal.out) == sequence.n &&
		    fflush(terminal.out) == 0;

	buffer_free(&sequence);
	return fine;
}

static void
save_row(struct buffer *text, int row)
{
	size_t end = text->n;

	for (int column = 0; column < COLS; column++) {
		wchar_t characters[CCHARW_MAX + 1] = { 0 };
		attr_t attributes;
		short pair;
		cchar_t cell;
		int width = 0;

		if (mvin_wch(row, column, &cell) != OK ||
		    getcchar(&cell, characters, &attributes, &pair, NULL) != OK)
			continue;
		for (size_t i = 0; characters[i] != L'\0' && i < CCHARW_MAX; i++) {
			char bytes[UTF8_MAX_BYTES];

			buffer_append(text, bytes, utf8_encode((uint32_t)characters[i], bytes));
		}
		/* The second half of a wide character repeats it. */
		width = wcwidth(characters[0]);
		if (width > 1)
			column += width - 1;
		if (characters[0] != L' ')
			end = text->n;
	}
	if (!buffer_failed(text) && text->n > end)
		text->n = end;
	buffer_char(text, '\n');
}

int
terminal_save(const char *path)
{
	struct buffer text = { 0 };
	int y, x, status = -1;

	getyx(stdscr, y, x);
	for (int row = 0; row < LINES; row++)
		save_row(&text, row);
	move(y, x);
	FILE *file = buffer_failed(&text) ? NULL : fopen(path, "w");

	if (file != NULL) {
		bool wrote = fwrite(text.bytes, 1, text.n, file) == text.n;

		status = fclose(file) == 0 && wrote ? 0 : -1;
	}
	buffer_free(&text);
	return status;
}
