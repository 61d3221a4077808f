/* t2l diff - how alike two adapters are, module by module. */

#include "config.h"

#include <math.h>
#include <stdlib.h>

#include "src/command.h"
#include "src/heat-map.h"
#include "src/options.h"
#include "src/workplace.h"

static const char *const shown_names[] = { "cosine", "input", "output", NULL };

static const struct option_spec options[] = {
	{ "show", 0, OPTION_CHOICE, 0,
	    "what the map shows: cosines, or the overlap of the input or output spaces",
	    .choices = shown_names, .fallback = "cosine" },
	{ 0 },
};

struct sums {
	double aa, bb, ab;
	size_t only_a, only_b;
};

static double
shown_value(const struct t2l_module_overlap *overlap, const char *show)
{
	return show[0] == 'c'	? overlap->cosine
	       : show[0] == 'i' ? overlap->input_overlap
				: overlap->output_overlap;
}

static cJSON *
module_json(const struct t2l_module_overlap *overlap)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddNumberToObject(object, "layer", overlap->layer);
	cJSON_AddStringToObject(object, "module", overlap->module);
	if (overlap->expert >= 0)
		cJSON_AddNumberToObject(object, "expert", overlap->expert);
	cJSON_AddNumberToObject(object, "norm_a", overlap->norm_a);
	cJSON_AddNumberToObject(object, "norm_b", overlap->norm_b);
	if (!overlap->in_both)
		return object;
	cJSON_AddNumberToObject(object, "cosine", overlap->cosine);
	cJSON_AddNumberToObject(object, "input_overlap", overlap->input_overlap);
	cJSON_AddNumberToObject(object, "output_overlap", overlap->output_overlap);
	cJSON_AddNumberToObject(object, "input_angle", overlap->input_angle);
	cJSON_AddNumberToObject(object, "output_angle", overlap->output_angle);
	return object;
}

static bool
tell(struct context *ctx, const struct t2l_module_overlap *overlaps, size_t n, const char *show)
{
	struct heat_map *map = heat_map_new();
	cJSON *object = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(object, "modules");
	struct sums sums = { 0 };
	bool fine = map != NULL;
	double cosine;

	for (size_t i = 0; i < n && fine; i++) {
		const struct t2l_module_overlap *overlap = &overlaps[i];

		cJSON_AddItemToArray(list, module_json(overlap));
		sums.aa += overlap->norm_a * overlap->norm_a;
		sums.bb += overlap->norm_b * overlap->norm_b;
		sums.ab += overlap->inner_product;
		sums.only_a += !overlap->in_both && overlap->norm_a > 0;
		sums.only_b += !overlap->in_both && overlap->norm_b > 0;
		if (overlap->in_both)
			fine = heat_map_add(
			    map, overlap->layer, overlap->module, shown_value(overlap, show));
	}
	if (!fine)
		context_fail(ctx, "out of memory");
	cosine = sums.aa > 0 && sums.bb > 0 ? sums.ab / sqrt(sums.aa * sums.bb) : 0;
	cJSON_AddNumberToObject(object, "cosine", cosine);
	cJSON_AddNumberToObject(object, "norm_a", sqrt(sums.aa));
	cJSON_AddNumberToObject(object, "norm_b", sqrt(sums.bb));
	cJSON_AddNumberToObject(object, "distance", sqrt(fmax(sums.aa - 2 * sums.ab + sums.bb, 0)));
	say_json(ctx, object);
	if (fine) {
		say(ctx, "cosine %.4f, norms %.4g and %.4g, distance %.4g\n", cosine, sqrt(sums.aa),
		    sqrt(sums.bb), sqrt(fmax(sums.aa - 2 * sums.ab + sums.bb, 0)));
		if (sums.only_a + sums.only_b > 0)
			say(ctx, "%zu modules only in the first, %zu only in the second\n",
			    sums.only_a, sums.only_b);
		say(ctx, "%s\n",
		    show[0] == 'c' ? "cosine of the changes" : "overlap of the spaces they use");
		heat_map_print(ctx, map, 0, 1);
	}
	heat_map_free(map);
	return fine;
}

static int
diff_run(struct context *ctx, const struct options *opt)
{
	struct t2l_adapter *pair[2] = { NULL, NULL };
	struct t2l_module_overlap *overlaps;
	struct t2l_error err;
	bool fine = true;
	int64_t id;
	size_t n;

	for (size_t i = 0; i < 2 && fine; i++)
		fine = workplace_adapter(ctx, option_argument(opt, i), &pair[i], &id);
	if (fine && t2l_adapter_overlap(pair[0], pair[1], &overlaps, &n, &err) != T2L_OK) {
		context_fail_error(ctx, &err);
		fine = false;
	} else if (fine) {
		fine = tell(ctx, overlaps, n, option_text(opt, "show"));
		t2l_free(overlaps);
	}
	t2l_adapter_close(pair[0]);
	t2l_adapter_close(pair[1]);
	return fine ? 0 : 1;
}

const struct command command_diff = {
	.name = "diff",
	.summary = "how alike two adapters are, module by module",
	.details = "The cosine says whether two changes point the same way; the overlaps say "
		   "whether they read from (input) and write to (output) the same directions: 1 "
		   "when one space holds the other, 0 at right angles.",
	.example = "t2l diff translate-es translate-fr --show output",
	.arguments = "ADAPTER ADAPTER",
	.min_arguments = 2,
	.max_arguments = 2,
	.argument_type = OPTION_ADAPTER,
	.options = options,
	.run = diff_run,
};
