/* view-help.c - the keys of a view, written from the tables that bind them. */

#include "config.h"

#include "base/buffer.h"
#include "base/width.h"
#include "ui/frame.h"

enum { KEY_COLUMNS = 12 };

static void
list(struct buffer *text, const struct binding *bindings)
{
	char name[32];

	while (bindings->key != K_NONE) {
		struct buffer keys = { 0 };
		const struct binding *first = bindings;

		/* Neighbours that do the same share a line. */
		for (; bindings->key != K_NONE && bindings->request == first->request; bindings++)
			buffer_printf(&keys, "%s%s", bindings == first ? "" : " ",
			    key_label(bindings->key, name, sizeof name));
		int width = text_width(buffer_string(&keys));

		buffer_printf(text, "  %s%*s  %s\n", buffer_string(&keys),
		    width < KEY_COLUMNS ? KEY_COLUMNS - width : 0, "", first->help);
		buffer_free(&keys);
	}
}

void
help_show(struct workbench *workbench, const struct view *view)
{
	struct buffer text = { 0 };

	buffer_printf(&text, "%s\n", view->ops->title);
	list(&text, view->ops->bindings);
	buffer_text(&text, "\nEverywhere\n");
	list(&text, frame_bindings);
	buffer_text(&text, "  1..9          the views in their order\n");
	workbench_popup(workbench, "Keys", buffer_string(&text));
	buffer_free(&text);
}
