/* help.c - help texts, man page and completions from the table of commands. */

#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "src/help.h"
#include "src/settings.h"

/* What stands for an option's value in help: its own word, or one by type. */
static const char *
argument_of(const struct option_spec *option)
{
	static const char *const by_type[] = {
		[OPTION_FLAG] = "",
		[OPTION_TEXT] = "TEXT",
		[OPTION_PATH] = "PATH",
		[OPTION_ADAPTER] = "ADAPTER",
		[OPTION_MODEL] = "MODEL",
		[OPTION_INTEGER] = "N",
		[OPTION_NUMBER] = "X",
		[OPTION_CHOICE] = "NAME",
		[OPTION_NUMBERS] = "X,X",
	};

	return option->argument ? option->argument : by_type[option->type];
}

/* "-o, --output PATH" */
static void
option_words(const struct option_spec *option, char *words, size_t size)
{
	const char *argument = argument_of(option);
	char letter[8] = "    ";

	if (option->letter)
		snprintf(letter, sizeof letter, "-%c, ", option->letter);
	snprintf(words, size, "%s--%s%s%s%s", letter, option->name, argument[0] ? " " : "",
	    argument, option->flags & MANY ? " ..." : "");
}

/* The help line with its choices and where the value comes from else. */
static void
option_help(const struct option_spec *option, struct buffer *text)
{
	buffer_text(text, option->help);
	if (option->choices != NULL) {
		buffer_text(text, " (");
		for (size_t i = 0; option->choices[i] != NULL; i++)
			buffer_printf(text, "%s%s", i ? ", " : "", option->choices[i]);
		buffer_text(text, ")");
	}
	if (option->flags & REQUIRED)
		buffer_text(text, " [wanted]");
	if (option->fallback != NULL)
		buffer_printf(text, " [%s]", option->fallback);
	if (option->setting != NULL)
		buffer_printf(text, " [setting %s]", option->setting);
}

/* TEXT in lines of at most WIDTH columns, each after INDENT blanks; the first follows what is
 * there. */
static void
wrap(struct buffer *out, const char *text, int indent, int width)
{
	int column = indent;

	while (*text != '\0') {
		int n = (int)strcspn(text, " \n");

		if (column > indent && column + 1 + n > width) {
			buffer_printf(out, "\n%*s", indent, "");
			column = indent;
		} else if (column > indent) {
			buffer_char(out, ' ');
			column++;
		}
		buffer_append(out, text, (size_t)n);
		column += n;
		text += n + (text[n] == ' ');
		/* A line's end in the text ends a line; two begin a paragraph. */
		while (*text == '\n') {
			buffer_printf(out, "\n%*s", text[1] != '\n' ? indent : 0, "");
			column = indent;
			text++;
		}
	}
	buffer_char(out, '\n');
}

static int
width_of(const struct context *ctx)
{
	return ctx->out.columns >= 60 && ctx->out.columns < 110 ? ctx->out.columns : 100;
}

static void
write_out(struct context *ctx, struct buffer *text)
{
	if (!buffer_failed(text))
		ctx->out.write(ctx->out.user, buffer_string(text), text->n);
	buffer_free(text);
}

static void
list_commands(struct buffer *text, const struct command *const *table, int width)
{
	for (size_t i = 0; table[i] != NULL; i++) {
		buffer_printf(text, "  %-13s ", table[i]->name);
		wrap(text, table[i]->summary, 16, width);
	}
}

void
help_all(struct context *ctx)
{
	struct buffer text = { 0 };

	buffer_text(&text,
	    "t2l - describe a task, get a LoRA adapter, try it, keep it.\n\n"
	    "Usage: t2l [COMMAND [OPTION...]]   (without a command: the workbench)\n\n"
	    "Commands:\n");
	list_commands(&text, commands, width_of(ctx));
	buffer_text(&text, "\nt2l COMMAND --help tells more of each; man t2l has it all.\n"
			   "Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.\n");
	write_out(ctx, &text);
}

static void
list_options(struct buffer *text, const struct option_spec *table, int width)
{
	for (size_t i = 0; table != NULL && table[i].name != NULL; i++) {
		struct buffer help = { 0 };
		char words[128];

		option_words(&table[i], words, sizeof words);
		option_help(&table[i], &help);
		buffer_printf(text, "  %-30s ", words);
		if (strlen(words) > 30)
			buffer_printf(text, "\n%33s", "");
		wrap(text, buffer_string(&help), 33, width);
		buffer_free(&help);
	}
}

static void
usage_line(struct buffer *text, const struct command *command, const char *name)
{
	buffer_printf(text, "t2l %s", name);
	if (command->subcommands != NULL)
		buffer_text(text, " COMMAND");
	for (size_t i = 0; command->options != NULL && command->options[i].name != NULL; i++)
		if (command->options[i].flags & REQUIRED)
			buffer_printf(text, " --%s %s%s", command->options[i].name,
			    argument_of(&command->options[i]),
			    command->options[i].flags & MANY ? "..." : "");
	if (command->run != NULL)
		buffer_text(text, " [OPTION...]");
	if (command->arguments != NULL)
		buffer_printf(text, command->min_arguments ? " %s" : " [%s]", command->arguments);
}

void
help_command(struct context *ctx, const struct command *command, const char *name)
{
	struct buffer text = { 0 };
	int width = width_of(ctx);

	buffer_printf(&text, "t2l %s - %s\n\nUsage: ", name, command->summary);
	usage_line(&text, command, name);
	buffer_text(&text, "\n");
	if (command->details != NULL) {
		buffer_text(&text, "\n");
		wrap(&text, command->details, 0, width);
	}
	if (command->subcommands != NULL) {
		buffer_text(&text, "\nCommands:\n");
		list_commands(&text, command->subcommands, width);
	}
	buffer_text(&text, "\nOptions:\n");
	list_options(&text, command->options, width);
	list_options(&text, common_options, width);
	if (command->example != NULL)
		buffer_text(&text, "\nExample:\n");
	for (const char *at = command->example; at != NULL && *at != '\0';) {
		int n = (int)strcspn(at, "\n");

		buffer_printf(&text, "  %.*s\n", n, at);
		at += n + (at[n] == '\n');
	}
	write_out(ctx, &text);
}

/* ---- JSON ---- */

static cJSON *
option_json(const struct option_spec *option)
{
	static const char *const types[] = {
		[OPTION_FLAG] = "flag",
		[OPTION_TEXT] = "text",
		[OPTION_PATH] = "path",
		[OPTION_ADAPTER] = "adapter",
		[OPTION_MODEL] = "model",
		[OPTION_INTEGER] = "integer",
		[OPTION_NUMBER] = "number",
		[OPTION_CHOICE] = "choice",
		[OPTION_NUMBERS] = "numbers",
	};
	cJSON *object = cJSON_CreateObject(), *list;
	const char letter[2] = { option->letter };

	cJSON_AddStringToObject(object, "name", option->name);
	if (option->letter != 0)
		cJSON_AddStringToObject(object, "letter", letter);
	cJSON_AddStringToObject(object, "type", types[option->type]);
	cJSON_AddStringToObject(object, "help", option->help);
	cJSON_AddBoolToObject(object, "required", option->flags & REQUIRED);
	cJSON_AddBoolToObject(object, "many", (option->flags & MANY) != 0);
	if (option->choices != NULL) {
		list = cJSON_AddArrayToObject(object, "choices");
		for (size_t i = 0; option->choices[i] != NULL; i++)
			cJSON_AddItemToArray(list, cJSON_CreateString(option->choices[i]));
	}
	if (option->min != 0 || option->max != 0) {
		cJSON_AddNumberToObject(object, "min", option->min);
		cJSON_AddNumberToObject(object, "max", option->max);
	}
	if (option->fallback != NULL)
		cJSON_AddStringToObject(object, "default", option->fallback);
	if (option->setting != NULL)
		cJSON_AddStringToObject(object, "setting", option->setting);
	return object;
}

void
help_json(struct context *ctx, const struct command *command, const char *name)
{
	const struct option_spec *tables[] = { command->options, common_options };
	cJSON *object, *list;

	for (size_t i = 0; command->subcommands != NULL && command->subcommands[i] != NULL; i++) {
		char full[128];

		snprintf(full, sizeof full, "%s %s", name, command->subcommands[i]->name);
		help_json(ctx, command->subcommands[i], full);
	}
	if (command->subcommands != NULL)
		return;
	object = cJSON_CreateObject();
	cJSON_AddStringToObject(object, "command", name);
	cJSON_AddStringToObject(object, "summary", command->summary);
	if (command->arguments != NULL)
		cJSON_AddStringToObject(object, "arguments", command->arguments);
	list = cJSON_AddArrayToObject(object, "options");
	for (int t = 0; t < 2; t++)
		for (size_t i = 0; tables[t] != NULL && tables[t][i].name != NULL; i++)
			cJSON_AddItemToArray(list, option_json(&tables[t][i]));
	say_json(ctx, object);
}

/* ---- man page ---- */

/* Text for mdoc: backslashes and leading dots or quotes are not for roff. */
static void
roff(FILE *out, const char *text)
{
	bool line_start = true;

	for (; *text != '\0'; text++) {
		if (line_start && (*text == '.' || *text == '\''))
			fputs("\\&", out);
		if (text[0] == '\n' && text[1] == '\n') {
			fputs("\n.Pp", out); /* an empty line is none of mdoc's */
			continue;
		}
		if (*text == '\\')
			fputs("\\e", out);
		else if (*text == '-')
			fputs("\\-", out);
		else
			fputc(*text, out);
		line_start = *text == '\n';
	}
}

static void
man_option(FILE *out, const struct option_spec *option)
{
	struct buffer help = { 0 };
	char words[128];
	const char *start = words;

	option_words(option, words, sizeof words);
	while (*start == ' ')
		start++;
	option_help(option, &help);
	fputs(".It ", out);
	roff(out, start);
	fputs("\n", out);
	roff(out, buffer_string(&help));
	fputs("\n", out);
	buffer_free(&help);
}

static void
man_command(FILE *out, const struct command *command, const char *name)
{
	struct buffer usage = { 0 };

	usage_line(&usage, command, name);
	fprintf(out, ".Ss ");
	roff(out, buffer_string(&usage));
	fputs("\n", out);
	buffer_free(&usage);
	roff(out, command->summary);
	fputs(".\n", out);
	if (command->details != NULL) {
		roff(out, command->details);
		fputs("\n", out);
	}
	if (command->options != NULL && command->options[0].name != NULL) {
		fputs(".Bl -tag -width Ds\n", out);
		for (size_t i = 0; command->options[i].name != NULL; i++)
			man_option(out, &command->options[i]);
		fputs(".El\n", out);
	}
	if (command->example != NULL) {
		fputs(".Pp\nExample:\n.Bd -literal -offset indent -compact\n", out);
		roff(out, command->example);
		fputs("\n.Ed\n", out);
	}
	for (size_t i = 0; command->subcommands != NULL && command->subcommands[i] != NULL; i++) {
		char full[128];

		snprintf(full, sizeof full, "%s %s", name, command->subcommands[i]->name);
		man_command(out, command->subcommands[i], full);
	}
}

static void
man_setting(FILE *out, const struct setting_spec *setting)
{
	fputs(".It ", out);
	roff(out, setting->key);
	fputs("\n", out);
	roff(out, setting->help);
	for (size_t i = 0; setting->choices != NULL && setting->choices[i] != NULL; i++) {
		fputs(i > 0 ? ", " : " (", out);
		roff(out, setting->choices[i]);
	}
	fputs(setting->choices != NULL ? ")" : "", out);
	if (setting->fallback != NULL) {
		fputs(" [", out);
		roff(out, setting->fallback);
		fputs("]", out);
	}
	fputs("\n", out);
}

void
help_man_page(FILE *out)
{
	fputs(".\\\" Made from the table of commands by t2l help --man.\n"
	      ".Dd $Mdocdate$\n.Dt T2L 1\n.Os\n.Sh NAME\n.Nm t2l\n"
	      ".Nd describe a task, get a LoRA adapter, try it, keep it\n.Sh SYNOPSIS\n.Nm\n"
	      ".Op Ar command Op Ar option ...\n.Sh DESCRIPTION\nWithout a command\n.Nm\n"
	      "opens the workbench: a typed sentence becomes a LoRA adapter, whose output stands "
	      "beside "
	      "that of other adapters and of the base model.\nAdapters are kept in a catalog, "
	      "merged and "
	      "exported.\n.Sh COMMANDS\n",
	    out);
	for (size_t i = 0; commands[i] != NULL; i++)
		man_command(out, commands[i], commands[i]->name);
	fputs(".Sh OPTIONS OF ALL COMMANDS\n.Bl -tag -width Ds\n", out);
	for (size_t i = 0; common_options[i].name != NULL; i++)
		man_option(out, &common_options[i]);
	fputs(".El\n.Sh SETTINGS\n"
	      "Of t2l.toml, t2l.yaml, config.toml and\n.Cm t2l config .\n.Bl -tag -width Ds\n",
	    out);
	for (size_t i = 0; setting_specs[i].key != NULL; i++)
		man_setting(out, &setting_specs[i]);
	fputs(".El\n.Sh ENVIRONMENT\n.Bl -tag -width Ds\n"
	      ".It Ev T2L_HOME\nThe data home: catalog and adapter files.\n"
	      ".It Ev T2L_DATADIR\nWhere demo models, tasks and themes are.\n"
	      ".It Ev T2L_*\nAny setting: T2L_INFER_SEED is the setting infer.seed.\n"
	      ".It Ev NO_COLOR\nNo colours in the workbench.\n.El\n"
	      ".Sh EXIT STATUS\n0 done, 1 failed, 2 wrong usage, 130 interrupted.\n",
	    out);
}

/* ---- completion ---- */

/* The shells ask the program itself, so that new commands and catalog names need no new file. */
static const struct {
	const char *shell, *script;
} completions[] = {
	{ "bash",
	    "# bash completion for t2l\n"
	    "_t2l() {\n"
	    "    local line=${COMP_LINE:0:COMP_POINT}\n"
	    "    mapfile -t COMPREPLY < <(t2l help --complete \"${line#* }\" 2>/dev/null)\n"
	    "    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == */ ]] && compopt -o nospace\n"
	    "}\n"
	    "complete -o bashdefault -o default -F _t2l t2l\n" },
	{ "zsh", "#compdef t2l\n"
		 "_t2l() {\n"
		 "    local -a found\n"
		 "    found=(${(f)\"$(t2l help --complete \"${${LBUFFER}#* }\" 2>/dev/null)\"})\n"
		 "    (( $#found )) && compadd -- $found || _files\n"
		 "}\n"
		 "compdef _t2l t2l\n" },
	{ "fish",
	    "# fish completion for t2l\n"
	    "complete -c t2l -f -a '(t2l help --complete (string replace -r \"^\\S+ ?\" \"\" -- "
	    "(commandline -cp)) 2>/dev/null)'\n" },
};

bool
help_completion(FILE *out, const char *shell)
{
	for (size_t i = 0; i < sizeof completions / sizeof completions[0]; i++) {
		if (strcmp(completions[i].shell, shell) == 0) {
			fputs(completions[i].script, out);
			return true;
		}
	}
	return false;
}
