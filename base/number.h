/*
 * base/number.h - decimal text to double, whatever the locale.
 *
 * strtod() and printf("%g") follow LC_NUMERIC: under a German locale they read and write "0,5".
 */
#ifndef BASE_NUMBER_H
#define BASE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

/* Reads all of TEXT[N] as a C decimal number ("-1.5e-3"); no spaces, no hex, no inf or nan. False
 * when it is none. Values beyond a double's range become infinite, tiny ones 0. */
bool number_parse(const char *text, size_t n, double *out);

/* Decimal text that reads back as VALUE, of as few digits as that needs ("0.1", "100", "1e-05",
 * "-inf", "nan"), into
 * OUT[SIZE] (SIZE >= 32). Returns OUT. */
char *number_text(double value, char *out, size_t size);

#endif
