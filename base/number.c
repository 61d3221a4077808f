/* number.c - numbers in the "C" locale, for this thread only and only meanwhile. */

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"

#define MAX_DIGITS 1000 /* longer numbers are refused; a double needs 17 */

/* strtod() of TEXT in the "C" locale; false when the locale cannot be had. */
static bool
c_strtod(const char *text, char **end, double *out)
{
	locale_t c = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
	locale_t before;

	if (c == (locale_t)0)
		return false;
	before = uselocale(c);
	*out = strtod(text, end);
	uselocale(before);
	freelocale(c);
	return true;
}

bool
number_parse(const char *text, size_t n, double *out)
{
	char copy[MAX_DIGITS + 1];
	char *end;
	double value;

	if (n == 0 || n > MAX_DIGITS)
		return false;
	for (size_t i = 0; i < n; i++)
		if (text[i] == '\0' || strchr("0123456789+-.eE", text[i]) == NULL)
			return false;
	memcpy(copy, text, n);
	copy[n] = '\0';
	if (!c_strtod(copy, &end, &value) || end != copy + n)
		return false;
	*out = value;
	return true;
}

char *
number_text(double value, char *out, size_t size)
{
	locale_t c = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
	locale_t before = c != (locale_t)0 ? uselocale(c) : (locale_t)0;

	for (int digits = 15; digits <= 17; digits++) {
		snprintf(out, size, "%.*g", digits, value);
		if (isnan(value) || strtod(out, NULL) == value)
			break;
	}
	if (c != (locale_t)0) {
		uselocale(before);
		freelocale(c);
	}
	return out;
}
