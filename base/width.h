/*
 * base/width.h - how many terminal columns text takes.
 *
 * TEXT should be well-formed UTF-8 without control characters (base/visible.h makes it so).
 */
#ifndef BASE_WIDTH_H
#define BASE_WIDTH_H

#include <stddef.h>

int text_width(const char *text);
/* Bytes of the longest start of TEXT that takes at most COLUMNS; combining marks stay with their base. */
size_t text_fit(const char *text, int columns);

#endif
