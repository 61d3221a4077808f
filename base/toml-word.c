/* toml-word.c - TOML's bare values: booleans, integers, floats, dates and times. */

#include <math.h>
#include <string.h>

#include "base/number.h"
#include "base/toml-scan.h"

#define MAX_WORD 128

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* ---- dates and times (RFC 3339) ---- */

/* Reads exactly N digits of *TEXT as a number from MIN to MAX. */
static bool
digits(const char **text, int n, int min, int max, int *out)
{
	int value = 0;

	for (int i = 0; i < n; i++) {
		if (!is_digit((*text)[i]))
			return false;
		value = 10 * value + (*text)[i] - '0';
	}
	*text += n;
	*out = value;
	return value >= min && value <= max;
}

static bool
skip(const char **text, char c)
{
	if (**text != c)
		return false;
	*text += 1;
	return true;
}

static int
days_of(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

static bool
scan_date(const char **text)
{
	int year, month, day;

	return digits(text, 4, 0, 9999, &year) && skip(text, '-') &&
	       digits(text, 2, 1, 12, &month) && skip(text, '-') &&
	       digits(text, 2, 1, days_of(year, month), &day);
}

static bool
scan_time(const char **text)
{
	int part;

	if (!digits(text, 2, 0, 23, &part) || !skip(text, ':') || !digits(text, 2, 0, 59, &part) ||
	    !skip(text, ':') || !digits(text, 2, 0, 60, &part))
		return false;
	if (!skip(text, '.'))
		return true;
	if (!is_digit(**text))
		return false;
	while (is_digit(**text))
		*text += 1;
	return true;
}

static bool
scan_offset(const char **text)
{
	int part;

	if (skip(text, 'Z') || skip(text, 'z'))
		return true;
	return (skip(text, '+') || skip(text, '-')) && digits(text, 2, 0, 23, &part) &&
	       skip(text, ':') && digits(text, 2, 0, 59, &part);
}

/* Offset date-time, local date-time, local date or local time. */
static bool
is_date(const char *text)
{
	if (text[0] != '\0' && text[1] != '\0' && text[2] == ':')
		return scan_time(&text) && *text == '\0';
	if (!scan_date(&text))
		return false;
	if (*text == '\0')
		return true;
	if (!skip(&text, 'T') && !skip(&text, 't') && !skip(&text, ' '))
		return false;
	if (!scan_time(&text))
		return false;
	return *text == '\0' || (scan_offset(&text) && *text == '\0');
}

static bool
looks_like_date(const char *text)
{
	size_t n = strspn(text, "0123456789");

	return (n == 4 && text[4] == '-') || (n == 2 && text[2] == ':');
}

/* ---- numbers ---- */

/* Copies WORD without its underscores, each of which must stand between two digits. */
static bool
drop_underscores(const char *word, const char *digit_set, char out[MAX_WORD])
{
	size_t n = 0;

	for (size_t i = 0; word[i] != '\0'; i++) {
		if (word[i] != '_') {
			out[n++] = word[i];
			continue;
		}
		if (i == 0 || word[i + 1] == '\0' || strchr(digit_set, word[i - 1]) == NULL ||
		    strchr(digit_set, word[i + 1]) == NULL)
			return false;
	}
	out[n] = '\0';
	return true;
}

/* DIGITS in BASE with a sign; false when it is none or beyond 64 bits (then *TOO_LARGE). */
static bool
integer_of(const char *text, bool negative, int base, int64_t *out, bool *too_large)
{
	static const char digit_set[] = "0123456789abcdef";
	int64_t value = 0;

	*too_large = false;
	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		char c = *text >= 'A' && *text <= 'F' ? (char)(*text | 0x20) : *text;
		const char *digit = strchr(digit_set, c);

		if (digit == NULL || digit - digit_set >= base)
			return false;
		*too_large = *too_large || __builtin_mul_overflow(value, base, &value) ||
			     __builtin_sub_overflow(value, digit - digit_set, &value);
	}
	/* The value was gathered below zero, where there is one number more. */
	*too_large = *too_large || (!negative && value == INT64_MIN);
	if (*too_large)
		return false;
	*out = negative ? value : -value;
	return true;
}

/* 0x, 0o, 0b */
static bool
prefixed_integer(const char *word, int64_t *out, bool *too_large)
{
	char plain[MAX_WORD];
	int base = word[1] == 'x' ? 16 : word[1] == 'o' ? 8 : 2;

	return drop_underscores(word + 2, "0123456789abcdefABCDEF", plain) &&
	       integer_of(plain, false, base, out, too_large);
}

/* Whether PLAIN, behind its sign, is [0|1-9...] [.digits] [e[+-]digits] as TOML wants it. */
static bool
is_float(const char *plain)
{
	size_t whole = strspn(plain, "0123456789"), n;

	if (whole == 0 || (whole > 1 && plain[0] == '0'))
		return false;
	plain += whole;
	if (*plain == '.') {
		n = strspn(plain + 1, "0123456789");
		if (n == 0)
			return false;
		plain += 1 + n;
	}
	if (*plain == 'e' || *plain == 'E') {
		plain += plain[1] == '+' || plain[1] == '-' ? 2 : 1;
		n = strspn(plain, "0123456789");
		if (n == 0)
			return false;
		plain += n;
	}
	return *plain == '\0';
}

static void
set_integer(struct config_value *value, int64_t integer)
{
	value->kind = CONFIG_INTEGER;
	value->integer = integer;
	value->number = (double)integer;
}

static void
set_number(struct config_value *value, double number)
{
	value->kind = CONFIG_NUMBER;
	value->number = number;
}

static bool
set_decimal(struct toml_scan *scan, const char *word, struct config_value *value)
{
	bool negative = word[0] == '-', too_large = false;
	const char *unsigned_word = word + (word[0] == '-' || word[0] == '+');
	char plain[MAX_WORD];
	int64_t integer;
	double number;

	if (strcmp(unsigned_word, "inf") == 0 || strcmp(unsigned_word, "nan") == 0) {
		number = unsigned_word[0] == 'i' ? (double)INFINITY : (double)NAN;
		set_number(value, negative ? -number : number);
		return true;
	}
	if (!drop_underscores(unsigned_word, "0123456789", plain) || !is_float(plain))
		return toml_fail(scan, "not a TOML value (strings need quotes)");
	if (strpbrk(plain, ".eE") == NULL) {
		if (!integer_of(plain, negative, 10, &integer, &too_large))
			return toml_fail(scan, "this integer does not fit 64 bits");
		set_integer(value, integer);
		return true;
	}
	if (!number_parse(plain, strlen(plain), &number))
		return toml_fail(scan, "not a number");
	set_number(value, negative ? -number : number);
	return true;
}

/* ---- words ---- */

/* The characters up to the end of the value. A date may be followed by a blank and its time. */
static bool
take_word(struct toml_scan *scan, char word[MAX_WORD])
{
	size_t n = 0;

	while (scan->at < scan->end && strchr(" \t\r\n,]}#=\"'[{", *scan->at) == NULL) {
		if (n == MAX_WORD - 1)
			return toml_fail(scan, "this value is too long");
		word[n++] = *scan->at++;
		word[n] = '\0';
		if (n == 10 && looks_like_date(word) && toml_peek(scan) == ' ' &&
		    scan->end - scan->at > 3 && is_digit(scan->at[1]) && is_digit(scan->at[2]) &&
		    scan->at[3] == ':')
			word[n++] = *scan->at++;
	}
	word[n] = '\0';
	return n > 0 || toml_fail(scan, "a value is missing here");
}

bool
toml_word(struct toml_scan *scan, struct config_value *value)
{
	char word[MAX_WORD];
	int64_t integer;
	bool too_large = false;

	if (!take_word(scan, word))
		return false;
	if (strcmp(word, "true") == 0 || strcmp(word, "false") == 0) {
		value->kind = CONFIG_BOOL;
		value->boolean = word[0] == 't';
		return true;
	}
	if (looks_like_date(word)) {
		value->kind = CONFIG_DATE;
		return is_date(word) ? config_set_string(&scan->builder, value, word, strlen(word))
				     : toml_fail(scan, "not a date or time that exists");
	}
	if (word[0] == '0' && word[1] != '\0' && strchr("xob", word[1]) != NULL) {
		if (!prefixed_integer(word, &integer, &too_large))
			return toml_fail(scan,
			    too_large ? "this integer does not fit 64 bits" : "not an integer");
		set_integer(value, integer);
		return true;
	}
	return set_decimal(scan, word, value);
}
