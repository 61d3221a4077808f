/* hypernet-settings.c - tells what settings ask of a hypernet that was trained otherwise. */

#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/hypernet-settings.h"
#include "src/settings.h"

/* Whether the lists, divided by commas, name the same modules in any order. */
static bool
same_modules(const char *a, const char *b)
{
	size_t n_a = 1, n_b = 1;

	for (const char *at = a; *at != '\0'; at++)
		n_a += *at == ',';
	for (const char *at = b; *at != '\0'; at++)
		n_b += *at == ',';
	for (const char *at = a; n_a == n_b;) {
		size_t n = strcspn(at, ",");
		bool found = false;

		for (const char *other = b; !found; other += strcspn(other, ",") + 1) {
			found = strcspn(other, ",") == n && strncmp(at, other, n) == 0;
			if (other[strcspn(other, ",")] == '\0')
				break;
		}
		if (!found)
			return false;
		if (at[n] == '\0')
			return true;
		at += n + 1;
	}
	return false;
}

static void
tell(struct context *ctx, const char *key, const char *own)
{
	const char *origin, *wanted = setting_get(ctx->settings, key, &origin);

	note(ctx,
	    "%s: %s = %s, but this hypernet has %s; that is fixed when it is trained (t2l "
	    "train)",
	    origin, key, wanted, own);
}

static void
compare_number(struct context *ctx, const char *key, double own)
{
	const char *wanted = setting_get(ctx->settings, key, NULL);
	char text[32];

	if (wanted == NULL || fabs(atof(wanted) - own) <= 1e-6 * fabs(own))
		return;
	snprintf(text, sizeof text, "%g", own);
	tell(ctx, key, text);
}

void
hypernet_settings_tell(struct context *ctx, const struct t2l_hypernet *hypernet)
{
	const struct t2l_hypernet_facts *facts = t2l_hypernet_facts(hypernet);
	const char *modules = setting_get(ctx->settings, "lora.target_modules", NULL);

	compare_number(ctx, "hypernet.input_dim", facts->embedding_size);
	compare_number(ctx, "lora.rank", facts->rank);
	compare_number(ctx, "lora.alpha", facts->lora_alpha);
	if (modules != NULL && !same_modules(modules, facts->modules))
		tell(ctx, "lora.target_modules", facts->modules);
}
