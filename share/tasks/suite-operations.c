/* The operations of the demo suite: tables, numbers, letters; and the wrappers of their results. */
#include "config.h"

#include "share/tasks/suite-operations.h"

#include <stdlib.h>
#include <string.h>

enum source {
	FROM_TABLES,	   /* column FROM of the tables, to column TO (or ANSWER of FROM) */
	FROM_BOTH_WAYS,	   /* a -> b of every row, then b -> a */
	FROM_NUMBERS,	   /* LOW..99 */
	FROM_NUMBERS_BACK, /* the answers for LOW..99 as prompts, the number as response */
	FROM_NUMBER_PAIRS, /* "a b", two different numbers below 50 */
	FROM_WORDS,	   /* words.txt, and any other word of letters */
};

typedef char *answer_function(const char *prompt);

struct operation {
	const char *name;
	enum source source;
	answer_function *answer;
	const char *tables, *from, *to;
	int low;
};

struct wrapper {
	const char *name, *before, *after;
	bool upper, twice;
};

enum { MAX_NUMBER = 99, MAX_TERM = 49, TABLE_TEST_MODULUS = 5, WORD_TEST_MODULUS = 10 };

/* --- numbers --- */

static const char *const small_numbers[] = { "zero", "one", "two", "three", "four", "five", "six",
	"seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen",
	"sixteen", "seventeen", "eighteen", "nineteen" };
static const char *const tens[] = { "", "", "twenty", "thirty", "forty", "fifty", "sixty",
	"seventy", "eighty", "ninety" };

static char *
number_in_words(const char *prompt)
{
	int n = atoi(prompt);

	if (n < 20)
		return text_printf("%s", small_numbers[n]);
	if (n % 10 == 0)
		return text_printf("%s", tens[n / 10]);
	return text_printf("%s %s", tens[n / 10], small_numbers[n % 10]);
}

static char *
roman_numeral(const char *prompt)
{
	static const char *const roman_tens[] = { "", "X", "XX", "XXX", "XL", "L", "LX", "LXX",
		"LXXX", "XC" };
	static const char *const roman_ones[] = { "", "I", "II", "III", "IV", "V", "VI", "VII",
		"VIII", "IX" };
	int n = atoi(prompt);

	return text_printf("%s%s", roman_tens[n / 10], roman_ones[n % 10]);
}

static char *
next_number(const char *prompt)
{
	return text_printf("%d", atoi(prompt) + 1);
}

static char *
previous_number(const char *prompt)
{
	return text_printf("%d", atoi(prompt) - 1);
}

static char *
doubled_number(const char *prompt)
{
	return text_printf("%d", 2 * atoi(prompt));
}

static char *
parity(const char *prompt)
{
	return text_printf("%s", atoi(prompt) % 2 ? "odd" : "even");
}

static int
second_term(const char *prompt)
{
	return atoi(strchr(prompt, ' ') + 1);
}

static char *
sum(const char *prompt)
{
	return text_printf("%d", atoi(prompt) + second_term(prompt));
}

static char *
larger(const char *prompt)
{
	int a = atoi(prompt), b = second_term(prompt);

	return text_printf("%d", a > b ? a : b);
}

static char *
smaller(const char *prompt)
{
	int a = atoi(prompt), b = second_term(prompt);

	return text_printf("%d", a < b ? a : b);
}

/* --- words of ASCII lower-case letters --- */

static bool
is_vowel(char c)
{
	return strchr("aeiou", c) != NULL;
}

static char *
same(const char *word)
{
	return text_printf("%s", word);
}

static char *
reversed(const char *word)
{
	size_t n = strlen(word);
	char *result = copy_text(word, n);

	for (size_t i = 0; i < n; i++)
		result[i] = word[n - 1 - i];
	return result;
}

static char *
first_letter(const char *word)
{
	return copy_text(word, 1);
}

static char *
second_letter(const char *word)
{
	return copy_text(word + 1, 1);
}

static char *
third_letter(const char *word)
{
	return copy_text(word + 2, 1);
}

static char *
last_letter(const char *word)
{
	return text_printf("%s", word + strlen(word) - 1);
}

static char *
first_two_letters(const char *word)
{
	return copy_text(word, 2);
}

static char *
last_two_letters(const char *word)
{
	return text_printf("%s", word + strlen(word) - 2);
}

static char *
without_first(const char *word)
{
	return text_printf("%s", word + 1);
}

static char *
without_last(const char *word)
{
	return copy_text(word, strlen(word) - 1);
}

/* The vowels or the other letters, in order; "-" for none, because no answer may be empty. */
static char *
filtered(const char *word, bool vowels)
{
	char *result = copy_text(word, strlen(word)), *end = result;

	for (; *word != '\0'; word++)
		if (is_vowel(*word) == vowels)
			*end++ = *word;
	*end = '\0';
	return end == result ? text_printf("-") : result;
}

static char *
without_vowels(const char *word)
{
	return filtered(word, false);
}

static char *
only_vowels(const char *word)
{
	return filtered(word, true);
}

static char *
doubled_letters(const char *word)
{
	size_t n = strlen(word);
	char *result = grow(NULL, 2 * n + 1, 1);

	for (size_t i = 0; i < n; i++)
		result[2 * i] = result[2 * i + 1] = word[i];
	result[2 * n] = '\0';
	return result;
}

static char *
hyphenated(const char *word)
{
	char *result = doubled_letters(word);
	size_t n = strlen(result);

	for (size_t i = 1; i < n; i += 2)
		result[i] = '-';
	result[n - 1] = '\0';
	return result;
}

static char *
letter_count(const char *word)
{
	return text_printf("%zu", strlen(word));
}

static int
by_letter(const void *a, const void *b)
{
	return *(const char *)a - *(const char *)b;
}

static char *
sorted_letters(const char *word)
{
	char *result = text_printf("%s", word);

	qsort(result, strlen(result), 1, by_letter);
	return result;
}

static char *
starts_with_vowel(const char *word)
{
	return text_printf("%s", is_vowel(word[0]) ? "yes" : "no");
}

static char *
capitalised(const char *word)
{
	char *result = text_printf("%s", word);

	result[0] = (char)(result[0] - 'a' + 'A');
	return result;
}

static char *
shifted_by_one(const char *word)
{
	char *result = text_printf("%s", word);

	for (char *c = result; *c != '\0'; c++)
		*c = *c == 'z' ? 'a' : (char)(*c + 1);
	return result;
}

static char *
regular_plural(const char *noun)
{
	size_t n = strlen(noun);
	char last = noun[n - 1], before = n > 1 ? noun[n - 2] : '\0';

	if (strchr("sxz", last) != NULL || (last == 'h' && strchr("cs", before) != NULL))
		return text_printf("%ses", noun);
	if (last == 'y' && !is_vowel(before))
		return text_printf("%.*sies", (int)(n - 1), noun);
	return text_printf("%ss", noun);
}

#define NOUNS_AND_VERBS "nouns.tsv verbs.tsv"

static const struct operation operations[] = {
	{ "es", FROM_TABLES, .tables = NOUNS_AND_VERBS, .from = "english", .to = "spanish" },
	{ "fr", FROM_TABLES, .tables = NOUNS_AND_VERBS, .from = "english", .to = "french" },
	{ "de", FROM_TABLES, .tables = NOUNS_AND_VERBS, .from = "english", .to = "german" },
	{ "es2en", FROM_TABLES, .tables = NOUNS_AND_VERBS, .from = "spanish", .to = "english" },
	{ "fr2en", FROM_TABLES, .tables = NOUNS_AND_VERBS, .from = "french", .to = "english" },
	{ "de2en", FROM_TABLES, .tables = NOUNS_AND_VERBS, .from = "german", .to = "english" },
	{ "opp", FROM_BOTH_WAYS, .tables = "opposites.tsv", .from = "a", .to = "b" },
	/* The irregular plurals come first, so they win over the rule. */
	{ "plural", FROM_TABLES, .answer = regular_plural,
	    .tables = "irregular-plurals.tsv nouns.tsv", .from = "english", .to = "plural" },
	{ "past", FROM_TABLES, .tables = "verbs.tsv", .from = "english", .to = "past" },
	{ "ing", FROM_TABLES, .tables = "verbs.tsv", .from = "english", .to = "ing" },
	{ "category", FROM_TABLES, .tables = "nouns.tsv", .from = "english", .to = "category" },
	{ "capital", FROM_TABLES, .tables = "countries.tsv", .from = "country", .to = "capital" },
	{ "continent", FROM_TABLES, .tables = "countries.tsv", .from = "country",
	    .to = "continent" },
	{ "code", FROM_TABLES, .tables = "countries.tsv", .from = "country", .to = "code" },
	{ "language", FROM_TABLES, .tables = "countries.tsv", .from = "country", .to = "language" },
	{ "nationality", FROM_TABLES, .tables = "countries.tsv", .from = "country",
	    .to = "nationality" },
	{ "cap2ctry", FROM_TABLES, .tables = "countries.tsv", .from = "capital", .to = "country" },
	{ "code2ctry", FROM_TABLES, .tables = "countries.tsv", .from = "code", .to = "country" },
	{ "numword", FROM_NUMBERS, .answer = number_in_words },
	{ "word2num", FROM_NUMBERS_BACK, .answer = number_in_words },
	{ "roman", FROM_NUMBERS, .answer = roman_numeral, .low = 1 },
	{ "add1", FROM_NUMBERS, .answer = next_number },
	{ "sub1", FROM_NUMBERS, .answer = previous_number, .low = 1 },
	{ "double", FROM_NUMBERS, .answer = doubled_number },
	{ "parity", FROM_NUMBERS, .answer = parity },
	{ "add", FROM_NUMBER_PAIRS, .answer = sum },
	{ "max2", FROM_NUMBER_PAIRS, .answer = larger },
	{ "min2", FROM_NUMBER_PAIRS, .answer = smaller },
	{ "copy", FROM_WORDS, .answer = same },
	{ "rev", FROM_WORDS, .answer = reversed },
	{ "first", FROM_WORDS, .answer = first_letter },
	{ "second", FROM_WORDS, .answer = second_letter },
	{ "third", FROM_WORDS, .answer = third_letter },
	{ "last", FROM_WORDS, .answer = last_letter },
	{ "first2", FROM_WORDS, .answer = first_two_letters },
	{ "last2", FROM_WORDS, .answer = last_two_letters },
	{ "dropfirst", FROM_WORDS, .answer = without_first },
	{ "droplast", FROM_WORDS, .answer = without_last },
	{ "novowel", FROM_WORDS, .answer = without_vowels },
	{ "vowels", FROM_WORDS, .answer = only_vowels },
	{ "doublet", FROM_WORDS, .answer = doubled_letters },
	{ "hyphen", FROM_WORDS, .answer = hyphenated },
	{ "length", FROM_WORDS, .answer = letter_count },
	{ "sort", FROM_WORDS, .answer = sorted_letters },
	{ "startvowel", FROM_WORDS, .answer = starts_with_vowel },
	{ "title", FROM_WORDS, .answer = capitalised },
	{ "shift1", FROM_WORDS, .answer = shifted_by_one },
};

static const struct wrapper wrappers[] = {
	{ "plain", .before = "", .after = "" },
	{ "caps", .before = "", .after = "", .upper = true },
	{ "quotes", .before = "\"", .after = "\"" },
	{ "brackets", .before = "[", .after = "]" },
	{ "exclaim", .before = "", .after = "!" },
	{ "twice", .before = "", .after = "", .twice = true },
	{ "question", .before = "", .after = "?" },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const struct operation *
operation_named(const char *name)
{
	for (size_t i = 0; i < COUNT(operations); i++)
		if (strcmp(operations[i].name, name) == 0)
			return &operations[i];
	return NULL;
}

const struct wrapper *
wrapper_named(const char *name)
{
	for (size_t i = 0; i < COUNT(wrappers); i++)
		if (strcmp(wrappers[i].name, name) == 0)
			return &wrappers[i];
	return NULL;
}

/* --- pairs --- */

static void
add_pair(struct pairs *pairs, struct string_set *seen, char *prompt, char *response)
{
	if (!set_add(seen, prompt))
		return;
	pairs->pair = grow(pairs->pair, pairs->n + 1, sizeof(*pairs->pair));
	pairs->pair[pairs->n++] = (struct pair){ prompt, response };
}

/* The place of a named column in the table's first row, or -1. */
static int
column_of(const struct rows *table, const char *name)
{
	for (size_t i = 0; table->n > 0 && i < table->columns[0]; i++)
		if (strcmp(table->row[0][i], name) == 0)
			return (int)i;
	return -1;
}

static void
pairs_of_table(const struct operation *operation, const char *directory, const char *name,
    struct pairs *pairs, struct string_set *seen)
{
	struct rows table = { 0 };
	int from, to;

	read_rows(directory, name, 1, &table);
	from = column_of(&table, operation->from);
	to = column_of(&table, operation->to);
	if (from < 0 || (to < 0 && operation->answer == NULL))
		die("%s/%s: no column '%s' or '%s'", directory, name, operation->from,
		    operation->to);
	for (size_t i = 1; i < table.n; i++) {
		char *prompt = table.row[i][from];

		if (table.columns[i] != table.columns[0])
			die("%s/%s: row '%s' has %zu columns", directory, name, prompt,
			    table.columns[i]);
		add_pair(
		    pairs, seen, prompt, to < 0 ? operation->answer(prompt) : table.row[i][to]);
	}
	if (operation->source == FROM_BOTH_WAYS)
		for (size_t i = 1; i < table.n; i++)
			add_pair(pairs, seen, table.row[i][to], table.row[i][from]);
}

static void
pairs_of_tables(const struct operation *operation, const char *directory, struct pairs *pairs,
    struct string_set *seen)
{
	char *tables = text_printf("%s", operation->tables), *rest = tables, *name;

	while ((name = strsep(&rest, " ")) != NULL)
		pairs_of_table(operation, directory, name, pairs, seen);
	free(tables);
}

static void
pairs_of_numbers(const struct operation *operation, struct pairs *pairs, struct string_set *seen)
{
	for (int n = operation->low; n <= MAX_NUMBER; n++) {
		char *number = text_printf("%d", n), *answer = operation->answer(number);

		if (operation->source == FROM_NUMBERS_BACK)
			add_pair(pairs, seen, answer, number);
		else
			add_pair(pairs, seen, number, answer);
	}
}

static void
pairs_of_terms(const struct operation *operation, struct pairs *pairs, struct string_set *seen)
{
	for (int a = 0; a <= MAX_TERM; a++)
		for (int b = 0; b <= MAX_TERM; b++) {
			char *prompt = text_printf("%d %d", a, b);

			if (a != b)
				add_pair(pairs, seen, prompt, operation->answer(prompt));
		}
}

static bool
is_word(const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz");

	return n >= 3 && text[n] == '\0';
}

static void
pairs_of_words(const struct operation *operation, const char *directory, struct pairs *pairs,
    struct string_set *seen)
{
	struct strings words = { 0 };

	read_lines(directory, "words.txt", &words);
	for (size_t i = 0; i < words.n; i++) {
		if (!is_word(words.item[i]))
			die("%s/words.txt:%zu: not a word of three or more letters", directory,
			    i + 1);
		add_pair(pairs, seen, words.item[i], operation->answer(words.item[i]));
	}
}

void
operation_pairs(const struct operation *operation, const char *directory, struct pairs *pairs)
{
	struct string_set seen = { 0 };

	switch (operation->source) {
	case FROM_TABLES:
	case FROM_BOTH_WAYS:
		pairs_of_tables(operation, directory, pairs, &seen);
		break;
	case FROM_NUMBERS:
	case FROM_NUMBERS_BACK:
		pairs_of_numbers(operation, pairs, &seen);
		break;
	case FROM_NUMBER_PAIRS:
		pairs_of_terms(operation, pairs, &seen);
		break;
	case FROM_WORDS:
		pairs_of_words(operation, directory, pairs, &seen);
		break;
	}
}

char *
operation_answer(const struct operation *operation, const struct pairs *pairs, const char *prompt)
{
	if (operation->source == FROM_WORDS)
		return is_word(prompt) ? operation->answer(prompt) : NULL;
	for (size_t i = 0; i < pairs->n; i++)
		if (strcmp(pairs->pair[i].prompt, prompt) == 0)
			return pairs->pair[i].response;
	return NULL;
}

bool
operation_is_knowledge(const struct operation *operation)
{
	return operation->source != FROM_WORDS && operation->source != FROM_NUMBER_PAIRS;
}

bool
is_test_prompt(const struct operation *operation, const char *prompt)
{
	return crc32_of(prompt) %
		   (operation_is_knowledge(operation) ? TABLE_TEST_MODULUS : WORD_TEST_MODULUS) ==
	       0;
}

char *
wrap(const struct wrapper *wrapper, const char *text)
{
	if (wrapper->upper)
		return upper_case(text);
	if (wrapper->twice)
		return text_printf("%s %s", text, text);
	return text_printf("%s%s%s", wrapper->before, text, wrapper->after);
}
