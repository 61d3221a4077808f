/* model-card.c - says what an exported adapter is, what it was made from and how to load it. */

#include "engine/adapters/model-card.h"

#include <string.h>

#include "base/visible.h"
#include "engine/formats/json.h"

/* TEXT on one line. */
static void
add_plain(struct buffer *card, const char *text)
{
	visible_append(card, text, strlen(text), 0);
}

/* A row of the table of facts; nothing when VALUE is empty. */
static void
add_row(struct buffer *card, const char *name, const char *value)
{
	if (value[0] == '\0')
		return;
	buffer_printf(card, "| %s | ", name);
	add_plain(card, value);
	buffer_text(card, " |\n");
}

static void
add_front_matter(struct buffer *card, const struct export_job *job)
{
	buffer_text(card, "---\n");
	if (job->base_name[0] != '\0') {
		buffer_text(card, "base_model: ");
		buffer_json_string(card, job->base_name, strlen(job->base_name));
		buffer_char(card, '\n');
	}
	buffer_text(card, "library_name: peft\npipeline_tag: text-generation\ntags:\n- lora\n- "
			  "text-to-lora\n---\n\n");
}

static void
add_title(struct buffer *card, const struct export_job *job)
{
	const char *name = job->adapter->facts.name;

	buffer_text(card, "# ");
	add_plain(card, name[0] != '\0' ? name : "Adapter");
	buffer_text(card, "\n\n");
	if (job->task[0] != '\0') {
		buffer_text(card, "Task: ");
		add_plain(card, job->task);
		buffer_text(card, "\n\n");
	}
}

static void
add_facts(struct buffer *card, const struct export_job *job)
{
	const struct t2l_adapter_facts *facts = &job->adapter->facts;

	buffer_text(card, "## Facts\n\n| | |\n|---|---|\n");
	add_row(card, "base model", job->base_name);
	add_row(card, "base weights (fingerprint)", facts->base_fingerprint);
	add_row(card, "modules", facts->modules);
	buffer_printf(card, "| rank | %d |\n| alpha | %g%s |\n| scale | %g |\n", facts->rank,
	    facts->lora_alpha, facts->use_rslora ? " (rsLoRA)" : "", facts->scale);
	buffer_printf(card, "| layers | %d |\n| numbers | %lld |\n| precision | %s |\n",
	    facts->n_layers, (long long)facts->n_parameters, job->precision->name);
	add_row(card, "hypernetwork", facts->hypernet);
	add_row(card, "task encoder", facts->encoder);
	add_row(card, "SHA-256 of its effect", facts->hash);
	buffer_char(card, '\n');
}

/* The lineage is JSON: [{"hash", "name", "weight"}, ...]. */
static void
add_lineage(struct buffer *card, const struct export_job *job)
{
	const char *lineage = job->adapter->facts.lineage;
	const cJSON *parent;
	cJSON *root;

	if (lineage[0] == '\0' ||
	    json_parse(lineage, strlen(lineage), "lineage", &root, NULL) != T2L_OK)
		return;
	buffer_text(card, "## Made from\n\n");
	cJSON_ArrayForEach(parent, root)
	{
		const cJSON *name = cJSON_GetObjectItemCaseSensitive(parent, "name");
		const cJSON *hash = cJSON_GetObjectItemCaseSensitive(parent, "hash");
		const cJSON *weight = cJSON_GetObjectItemCaseSensitive(parent, "weight");

		buffer_text(card, "- ");
		if (cJSON_IsNumber(weight))
			buffer_printf(card, "%g x ", weight->valuedouble);
		add_plain(card, cJSON_IsString(name) ? name->valuestring : "unnamed");
		if (cJSON_IsString(hash))
			buffer_printf(card, " (%.12s)", hash->valuestring);
		buffer_char(card, '\n');
	}
	buffer_char(card, '\n');
	cJSON_Delete(root);
}

static void
add_loading(struct buffer *card, bool with_base)
{
	buffer_text(card, "## How to load\n\n");
	if (with_base)
		buffer_text(card,
		    "The base's `config.json` and weights lie in this directory (as links, unless "
		    "they "
		    "were copied), so it loads as a whole:\n\n"
		    "```python\nfrom transformers import AutoModelForCausalLM\n"
		    "model = AutoModelForCausalLM.from_pretrained(\"DIRECTORY\")\n```\n\n"
		    "Without the weights beside it, remove `config.json`: transformers takes a "
		    "directory "
		    "with it for a whole model.\n\n");
	else
		buffer_text(card,
		    "This directory has no `config.json`, so that transformers follows "
		    "`base_model_name_or_path` of `adapter_config.json`:\n\n"
		    "```python\nfrom transformers import AutoModelForCausalLM\n"
		    "model = AutoModelForCausalLM.from_pretrained(\"DIRECTORY\")\n```\n\n"
		    "A relative path there counts from the current directory.\n\n");
	buffer_text(card, "On a base that is loaded already:\n\n"
			  "```python\nfrom peft import PeftModel\n"
			  "model = PeftModel.from_pretrained(base, \"DIRECTORY\")\n```\n");
}

char *
model_card_text(const struct export_job *job, bool with_base)
{
	struct buffer card = { 0 };

	add_front_matter(&card, job);
	add_title(&card, job);
	if (job->options->model_card) {
		add_facts(&card, job);
		add_lineage(&card, job);
		if (job->options->card_scores != NULL && job->options->card_scores[0] != '\0')
			buffer_printf(&card, "## Scores\n\n%s\n", job->options->card_scores);
	}
	add_loading(&card, with_base);
	return buffer_take(&card);
}
