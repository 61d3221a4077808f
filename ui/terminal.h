/*
 * ui/terminal.h - the terminal: started, read, and given back however the program ends.
 *
 * Signals become flags and wake the poll loop; a crash (SIGSEGV, SIGABRT, ...) restores the
 * terminal first and then dies of its own signal, so that a core and the shell's message stay.
 */
#ifndef UI_TERMINAL_H
#define UI_TERMINAL_H

#include <stdbool.h>

#include "ui/keys.h"

/* Full screen. WAKE_FD (an eventfd) is written to by the signal handlers. NULL, or why not. */
const char *terminal_start(int wake_fd);
/* A screen that is nowhere, of COLUMNS x LINES, for scripts. */
const char *terminal_start_hidden(int wake_fd, int columns, int lines);
void terminal_stop(void);

/* File descriptor to poll for keys; -1 on a hidden screen. */
int terminal_fd(void);
/* The next key that is there, K_NONE when none is. */
key_code terminal_key(void);

/* Clicks become K_CLICK, the wheel K_UP and K_DOWN; selecting text needs Shift then. */
void terminal_mouse(void);
void terminal_click(int *row, int *column); /* of the last K_CLICK */

/* Each true once after it happened. */
bool terminal_resized(void);
int terminal_ending(void); /* SIGTERM, SIGHUP or SIGINT; 0 */

void terminal_resize_hidden(int columns, int lines);
/* ^Z: gives the terminal back and stops the process; goes on after SIGCONT. */
void terminal_suspend(void);
/* Puts TEXT into the terminal's clipboard (OSC 52); false when it is too long for that. */
bool terminal_copy(const char *text, size_t n_bytes);
/* Writes what is on the screen as text, blanks at line ends cut. 0, or -1 with errno. */
int terminal_save(const char *path);

#endif
