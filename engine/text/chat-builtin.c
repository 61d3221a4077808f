/* chat-builtin.c - chat templates by family, for models that come without one. */

#include <string.h>

#include "engine/text/chat-builtin.h"

/* SYSTEM and the rest of the messages apart; roles of the rest must alternate. */
#define SPLIT_SYSTEM                                                                               \
	"{% set system = '' %}{% set turns = messages %}"                                          \
	"{% if messages and messages[0].role == 'system' %}"                                       \
	"{% set system = messages[0].content %}{% set turns = messages[1:] %}{% endif %}"
#define CHECK_TURN                                                                                 \
	"{% if (message.role == 'user') != (loop.index0 % 2 == 0) %}"                              \
	"{{ raise_exception('after an optional system message, user and assistant must take "      \
	"turns') }}{% endif %}"

static const struct chat_builtin builtins[] = {
	{ "chatml", "Qwen, OpenHermes and many fine-tunes",
	    "{% for message in messages %}"
	    "{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}"
	    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
	    { "<|im_start|>", "<|im_end|>" } },
	{ "llama3", "LLaMA 3 Instruct",
	    "{{ bos_token }}{% for message in messages %}"
	    "{{ '<|start_header_id|>' + message.role + '<|end_header_id|>\n\n'"
	    " + message.content | trim + '<|eot_id|>' }}"
	    "{% endfor %}{% if add_generation_prompt %}"
	    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}",
	    { "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>" } },
	{ "phi3", "Phi-3 and Phi-3.5",
	    "{% for message in messages %}{% if message.content or message.role != 'system' %}"
	    "{{ '<|' + message.role + '|>\n' + message.content + '<|end|>\n' }}"
	    "{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}"
	    "{% else %}{{ eos_token }}{% endif %}",
	    { "<|user|>", "<|assistant|>", "<|end|>" } },
	{ "gemma", "Gemma 1 and 2; the system message goes before the first turn",
	    SPLIT_SYSTEM
	    "{{ bos_token }}{% for message in turns %}" CHECK_TURN
	    "{{ '<start_of_turn>' + ('model' if message.role == 'assistant' else message.role)"
	    " + '\n' + (system + '\n\n' if loop.first and system else '')"
	    " + message.content | trim + '<end_of_turn>\n' }}{% endfor %}"
	    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}",
	    { "<start_of_turn>", "<end_of_turn>" } },
	{ "mistral", "Mistral 7B Instruct 0.3 and later with [INST] as a token",
	    SPLIT_SYSTEM
	    "{{ bos_token }}{% for message in turns %}" CHECK_TURN "{% if message.role == 'user' %}"
	    "{{ '[INST] ' + (system + '\n\n' if loop.last and system else '') + message.content"
	    " + '[/INST]' }}"
	    "{% else %}{{ ' ' + message.content | trim + eos_token }}{% endif %}{% endfor %}",
	    { "[INST]", "[/INST]" } },
	{ "mistral-v1", "Mistral 7B Instruct 0.1 and 0.2, Mixtral",
	    SPLIT_SYSTEM
	    "{{ bos_token }}{% for message in turns %}" CHECK_TURN "{% if message.role == 'user' %}"
	    "{{ ' [INST] ' + (system + '\n\n' if loop.first and system else '') + message.content"
	    " + ' [/INST]' }}"
	    "{% else %}{{ ' ' + message.content + eos_token }}{% endif %}{% endfor %}",
	    { NULL } },
	{ "llama2", "LLaMA 2 Chat",
	    SPLIT_SYSTEM
	    "{% for message in turns %}" CHECK_TURN "{% if message.role == 'user' %}"
	    "{% set head = '<<SYS>>\n' + system + '\n<</SYS>>\n\n' if loop.first and system"
	    " else '' %}"
	    "{{ bos_token + '[INST] ' + (head + message.content) | trim + ' [/INST]' }}"
	    "{% else %}{{ ' ' + message.content | trim + ' ' + eos_token }}{% endif %}{% endfor %}",
	    { NULL } },
	{ "zephyr", "Zephyr, TinyLlama Chat",
	    "{% for message in messages %}"
	    "{{ '<|' + message.role + '|>\n' + message.content + eos_token + '\n' }}"
	    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}",
	    { NULL } },
	{ "vicuna", "Vicuna",
	    "{% for message in messages %}{% if message.role == 'system' %}"
	    "{{ message.content + '\n\n' }}{% elif message.role == 'user' %}"
	    "{{ 'USER: ' + message.content + '\n' }}{% else %}"
	    "{{ 'ASSISTANT: ' + message.content + '</s>\n' }}{% endif %}{% endfor %}"
	    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}",
	    { NULL } },
	{ "alpaca", "Alpaca",
	    SPLIT_SYSTEM
	    "{{ bos_token }}{{ (system if turns != messages else"
	    " 'Below is an instruction that describes a task. Write a response that appropriately"
	    " completes the request.') + '\n\n' }}{% for message in turns %}"
	    "{% if message.role == 'user' %}"
	    "{{ '### Instruction:\n' + message.content + '\n\n' }}{% else %}"
	    "{{ '### Response:\n' + message.content + eos_token + '\n\n' }}{% endif %}{% endfor %}"
	    "{% if add_generation_prompt %}{{ '### Response:\n' }}{% endif %}",
	    { NULL } },
	{ "phi2", "Phi-1.5 and Phi-2",
	    "{% for message in messages %}{% if message.role == 'system' %}"
	    "{{ message.content + '\n' }}{% elif message.role == 'user' %}"
	    "{{ 'Instruct: ' + message.content + '\n' }}{% else %}"
	    "{{ 'Output: ' + message.content + '\n' }}{% endif %}{% endfor %}"
	    "{% if add_generation_prompt %}{{ 'Output:' }}{% endif %}",
	    { NULL } },
	{ "plain", "the messages alone, an empty line between them",
	    "{{ bos_token }}{% for message in messages %}{{ message.content }}"
	    "{% if not loop.last %}{{ '\n\n' }}{% endif %}{% endfor %}",
	    { NULL } },
};
#define N_BUILTINS (sizeof builtins / sizeof *builtins)

const struct chat_builtin *
chat_builtin_at(size_t index)
{
	return index < N_BUILTINS ? &builtins[index] : NULL;
}

const struct chat_builtin *
chat_builtin_find(const char *name)
{
	for (size_t i = 0; i < N_BUILTINS; i++)
		if (strcmp(builtins[i].name, name) == 0)
			return &builtins[i];
	return NULL;
}

static bool
has_tokens(const struct tokenizer *tok, const struct chat_builtin *builtin)
{
	for (size_t i = 0; i < 3 && builtin->tokens[i] != NULL; i++)
		if (!tokenizer_is_special(tok, tokenizer_find(tok, builtin->tokens[i])))
			return false;
	return builtin->tokens[0] != NULL;
}

const struct chat_builtin *
chat_builtin_of(const struct tokenizer *tok)
{
	for (size_t i = 0; i < N_BUILTINS; i++)
		if (has_tokens(tok, &builtins[i]))
			return &builtins[i];
	return NULL;
}
