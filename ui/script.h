/*
 * ui/script.h - plays keys from a file, for tests of the screen.
 *
 * One step a line, '#' starts a comment:
 *   key NAME...        keys by name: Enter, ^L, Up, a
 *   type TEXT          the characters of TEXT; everything after the blank, also blanks
 *   paste TEXT         the same as one bracketed paste
 *   wait-idle          goes on when nothing runs and no timer waits
 *   wait-answers       the same, but what is written to the catalog may still wait
 *   save-display FILE  the screen as text
 *   resize COLS LINES
 *   hide-times         measured numbers are shown as 0, so that displays can be compared
 * The screen starts with 80x24.
 */
#ifndef UI_SCRIPT_H
#define UI_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>

struct workbench;
struct script;

/* NULL with MESSAGE when PATH cannot be read. */
struct script *script_open(const char *path, char *message, size_t size);
void script_close(struct script *script);
/* Does the next step. False at the end, or after a fault: then script_fault() tells. */
bool script_step(struct script *script, struct workbench *workbench);
/* The script waits: nothing to do until something happens in the workbench. */
bool script_waits(const struct script *script);
const char *script_fault(const struct script *script);

/* What the script presses; workbench.c's. */
void workbench_press(struct workbench *workbench, unsigned key);
void workbench_redraw(struct workbench *workbench);

#endif
