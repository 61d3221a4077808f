/* lineage.c - what an adapter was made from, and what was made from it, as a tree to draw. */

#include "store/internal.h"

/* A catalog that someone else wrote may hold a circle. */
#define MAX_DEPTH 64

static enum store_status
read_relative(struct store *store, void *result, sqlite3_stmt *statement, void *row)
{
	struct store_relative *relative = row;

	relative->id = sqlite3_column_int64(statement, 0);
	relative->name = result_text(store, result, statement, 1, NULL);
	relative->kind = result_text(store, result, statement, 2, NULL);
	relative->weight = sqlite3_column_double(statement, 3);
	relative->trashed = sqlite3_column_int(statement, 4) != 0;
	return relative->name != NULL && relative->kind != NULL ? STORE_OK : STORE_ENOMEM;
}

static const char ancestors[] =
    "SELECT l.parent, coalesce(a.name, l.parent_name), l.kind, l.weight,"
    " a.trashed_ms IS NOT NULL FROM lineage AS l LEFT JOIN adapters AS a ON a.id = l.parent"
    " WHERE l.child = ? ORDER BY l.position LIMIT ?";

static const char descendants[] =
    "SELECT l.child, a.name, l.kind, l.weight, a.trashed_ms IS NOT NULL"
    " FROM lineage AS l JOIN adapters AS a ON a.id = l.child"
    " WHERE l.parent = ? ORDER BY l.child, l.position LIMIT ?";

struct tree {
	struct store *store;
	struct store_relatives *relatives;
	const char *sql;
	size_t limit;
};

/* Adds the relatives of ID, each followed by its own: the order in which a tree is drawn. */
static enum store_status
grow_tree(struct tree *tree, int64_t id, uint32_t depth)
{
	struct store_relatives *all = tree->relatives;
	struct store_relative *rows;
	enum store_status status;
	size_t n;

	rows = result_rows(tree->store, all,
	    sql_open(tree->store, tree->sql, "ii", id, (int64_t)(tree->limit - all->n_rows + 1)),
	    read_relative, sizeof *rows, &n, &status);
	if (status == STORE_OK && n > 0 && depth > MAX_DEPTH)
		all->cut = true;
	if (status != STORE_OK || depth > MAX_DEPTH)
		return status;
	for (size_t i = 0; status == STORE_OK && i < n; i++) {
		if (all->n_rows == tree->limit) {
			all->cut = true;
			break;
		}
		rows[i].depth = depth;
		all->rows[all->n_rows++] = rows[i];
		if (rows[i].id != 0)
			status = grow_tree(tree, rows[i].id, depth + 1);
	}
	return status;
}

enum store_status
store_lineage(struct store *store, int64_t id, enum store_direction direction, size_t limit,
    struct store_relatives **out)
{
	struct store_relatives *relatives = result_new(store, sizeof *relatives);
	struct tree tree = { store, relatives,
		direction == STORE_ANCESTORS ? ancestors : descendants,
		limit < 100000 ? limit : 100000 };
	enum store_status status = STORE_ENOMEM;

	if (relatives != NULL)
		relatives->rows =
		    result_alloc(store, relatives, tree.limit + 1, sizeof *relatives->rows);
	if (relatives != NULL && relatives->rows != NULL)
		status = adapter_exists(store, id);
	if (status == STORE_OK)
		status = grow_tree(&tree, id, 1);
	if (status != STORE_OK) {
		store_free(relatives);
		return status;
	}
	*out = relatives;
	return STORE_OK;
}
