/* byte-level-families.c - how byte-level models cut text into words, by the name GGUF has for it.
 */
#include "engine/text/tokenizer-json.h"

#define LLAMA3_WORDS(digits)                                                                       \
	"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits                       \
	"| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
/* Mistral Nemo and later: words break before a capital, and have no contractions. */
#define TEKKEN_WORDS                                                                               \
	"[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]" \
	"+"                                                                                        \
	"|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}" \
	"]*"                                                                                       \
	"|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

const struct byte_level_family byte_level_families[] = {
	{ "gpt-2", NULL, gpt2_words, false, false },
	{ "phi-2", NULL, gpt2_words, false, false },
	{ "smollm", "\\p{N}", gpt2_words, false, false },
	{ "starcoder", "\\p{N}", gpt2_words, false, false },
	{ "llama-bpe", NULL, LLAMA3_WORDS("\\p{N}{1,3}"), true, false },
	{ "llama3", NULL, LLAMA3_WORDS("\\p{N}{1,3}"), true, false },
	{ "llama-v3", NULL, LLAMA3_WORDS("\\p{N}{1,3}"), true, false },
	{ "pixtral", NULL, LLAMA3_WORDS("\\p{N}{1,3}"), true, false },
	{ "dbrx", NULL, LLAMA3_WORDS("\\p{N}{1,3}"), false, false },
	{ "smaug-bpe", NULL, LLAMA3_WORDS("\\p{N}{1,3}"), false, false },
	{ "qwen2", NULL, LLAMA3_WORDS("\\p{N}"), false, true },
	{ "deepseek-r1-qwen", NULL, LLAMA3_WORDS("\\p{N}"), false, false },
	{ "stablelm2", NULL, LLAMA3_WORDS("\\p{N}"), false, false },
	{ "tekken", NULL, TEKKEN_WORDS, true, false },
	{ .pre = NULL },
};
