/* schema.c - the tables of the catalog, as the list of steps that led to them. doc/catalog.md
 * explains them; a released step is never edited, a change is a new step at the end. */

#include "store/internal.h"

#define APPLICATION_ID 0x74326c43 /* "t2lC", so that file(1) and we know whose database this is */

static const char version_1[] =
    "CREATE TABLE adapters ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " name TEXT NOT NULL,"
    " task TEXT NOT NULL,"
    " base_name TEXT NOT NULL,"
    " base_fingerprint TEXT NOT NULL,"
    " hypernet_name TEXT NOT NULL,"
    " hypernet_fingerprint TEXT NOT NULL,"
    " encoder_name TEXT NOT NULL,"
    " modules TEXT NOT NULL,"
    " rank INTEGER NOT NULL CHECK (rank >= 0),"
    " rslora INTEGER NOT NULL CHECK (rslora IN (0, 1)),"
    " alpha REAL NOT NULL,"
    " scale REAL NOT NULL,"
    " hash TEXT NOT NULL CHECK (length(hash) = 64),"
    " size_bytes INTEGER NOT NULL,"
    " source TEXT NOT NULL CHECK (source IN ('generated', 'merged', 'imported', 'trained')),"
    " generation_ms REAL NOT NULL,"
    " score REAL,"
    " favourite INTEGER NOT NULL DEFAULT 0 CHECK (favourite IN (0, 1)),"
    " note TEXT NOT NULL,"
    " created_ms INTEGER NOT NULL,"
    " used_ms INTEGER NOT NULL DEFAULT 0,"
    " uses INTEGER NOT NULL DEFAULT 0,"
    /* Kept equal to adapter_tags and vote_results by the triggers below. */
    " tags TEXT NOT NULL DEFAULT '',"
    " wins INTEGER NOT NULL DEFAULT 0,"
    " losses INTEGER NOT NULL DEFAULT 0,"
    " ties INTEGER NOT NULL DEFAULT 0,"
    " trashed_ms INTEGER,"
    " trash_step INTEGER);"
    /* One index per sort order, so that a page is read without sorting; with trashed_ms, so that
     * SQLite need not look at the row to see what the index's own condition says. */
    "CREATE UNIQUE INDEX living_name ON adapters (name) WHERE trashed_ms IS NULL;"
    "CREATE INDEX living_name_order ON adapters (name COLLATE NOCASE, id DESC, trashed_ms)"
    " WHERE trashed_ms IS NULL;"
    "CREATE INDEX living_created ON adapters (created_ms DESC, id DESC, trashed_ms) WHERE "
    "trashed_ms IS NULL;"
    "CREATE INDEX living_score ON adapters (score DESC, id DESC, trashed_ms) WHERE trashed_ms IS "
    "NULL;"
    "CREATE INDEX living_wins ON adapters (wins DESC, losses, id DESC, trashed_ms) WHERE "
    "trashed_ms IS NULL;"
    "CREATE INDEX living_used ON adapters (used_ms DESC, id DESC, trashed_ms) WHERE trashed_ms IS "
    "NULL;"
    "CREATE INDEX living_size ON adapters (size_bytes DESC, id DESC, trashed_ms) WHERE trashed_ms "
    "IS NULL;"
    /* What filters look at, so that they need not read whole rows. */
    "CREATE INDEX living_facets ON adapters (rank, source, score, favourite, base_name, name,"
    " created_ms, hypernet_name, encoder_name, modules, alpha, scale, rslora, size_bytes, wins,"
    " losses, ties, uses, trashed_ms) WHERE trashed_ms IS NULL;"
    "CREATE INDEX trash ON adapters (trash_step, id) WHERE trashed_ms IS NOT NULL;"
    "CREATE INDEX adapter_hash ON adapters (hash);"

    "CREATE TABLE adapter_tags ("
    " adapter INTEGER NOT NULL REFERENCES adapters ON DELETE CASCADE,"
    " tag TEXT NOT NULL,"
    " PRIMARY KEY (adapter, tag)) WITHOUT ROWID;"
    "CREATE INDEX tag_adapter ON adapter_tags (tag, adapter);"
    "CREATE TRIGGER tag_added AFTER INSERT ON adapter_tags BEGIN"
    " UPDATE adapters SET tags = (SELECT group_concat(tag, ' ') FROM"
    "  (SELECT tag FROM adapter_tags WHERE adapter = new.adapter ORDER BY tag))"
    " WHERE id = new.adapter; END;"
    "CREATE TRIGGER tag_removed AFTER DELETE ON adapter_tags BEGIN"
    " UPDATE adapters SET tags = coalesce((SELECT group_concat(tag, ' ') FROM"
    "  (SELECT tag FROM adapter_tags WHERE adapter = old.adapter ORDER BY tag)), '')"
    " WHERE id = old.adapter; END;"

    /* The index of words covers what lives; the view is its content for rebuild and check. */
    "CREATE VIEW living AS SELECT id, name, task, tags, note FROM adapters"
    " WHERE trashed_ms IS NULL;"
    "CREATE VIRTUAL TABLE words USING fts5 (name, task, tags, note, content = 'living',"
    " content_rowid = 'id', prefix = '1 2 3', tokenize = 'unicode61 remove_diacritics 2');"
    /* How many live: counting them takes longer than searching. */
    "CREATE TABLE tally (living INTEGER NOT NULL);"
    "INSERT INTO tally VALUES (0);"
    "CREATE TRIGGER words_added AFTER INSERT ON adapters WHEN new.trashed_ms IS NULL BEGIN"
    " INSERT INTO words (rowid, name, task, tags, note)"
    "  VALUES (new.id, new.name, new.task, new.tags, new.note);"
    " UPDATE tally SET living = living + 1; END;"
    "CREATE TRIGGER words_removed AFTER DELETE ON adapters WHEN old.trashed_ms IS NULL BEGIN"
    " INSERT INTO words (words, rowid, name, task, tags, note)"
    "  VALUES ('delete', old.id, old.name, old.task, old.tags, old.note);"
    " UPDATE tally SET living = living - 1; END;"
    "CREATE TRIGGER words_changed AFTER UPDATE OF name, task, tags, note, trashed_ms ON adapters"
    " BEGIN"
    " INSERT INTO words (words, rowid, name, task, tags, note)"
    "  SELECT 'delete', old.id, old.name, old.task, old.tags, old.note"
    "  WHERE old.trashed_ms IS NULL;"
    " INSERT INTO words (rowid, name, task, tags, note)"
    "  SELECT new.id, new.name, new.task, new.tags, new.note WHERE new.trashed_ms IS NULL;"
    " UPDATE tally SET living = living + (new.trashed_ms IS NULL) - (old.trashed_ms IS NULL)"
    "  WHERE (new.trashed_ms IS NULL) <> (old.trashed_ms IS NULL); END;"

    /* A purged parent leaves its name. */
    "CREATE TABLE lineage ("
    " child INTEGER NOT NULL REFERENCES adapters ON DELETE CASCADE,"
    " position INTEGER NOT NULL,"
    " parent INTEGER REFERENCES adapters ON DELETE SET NULL,"
    " parent_name TEXT NOT NULL,"
    " weight REAL NOT NULL,"
    " kind TEXT NOT NULL,"
    " PRIMARY KEY (child, position)) WITHOUT ROWID;"
    "CREATE INDEX lineage_parent ON lineage (parent, child);"

    /* Descriptions' embeddings: unit vectors of int16, little-endian, 1.0 = 16384. A replaced
     * vector gets a new SEQ, so that a reader's cache only needs what is above the last it saw. */
    "CREATE TABLE encoders (id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL UNIQUE);"
    "CREATE TABLE vectors ("
    " seq INTEGER PRIMARY KEY AUTOINCREMENT,"
    " adapter INTEGER NOT NULL REFERENCES adapters ON DELETE CASCADE,"
    " encoder INTEGER NOT NULL REFERENCES encoders,"
    " unit BLOB NOT NULL,"
    " UNIQUE (adapter, encoder));"
    "CREATE INDEX vector_encoder ON vectors (encoder, seq);"

    "CREATE TABLE comparisons ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " created_ms INTEGER NOT NULL,"
    " base_name TEXT NOT NULL,"
    " prompt TEXT NOT NULL,"
    " settings TEXT NOT NULL);"
    "CREATE TABLE outputs ("
    " comparison INTEGER NOT NULL REFERENCES comparisons ON DELETE CASCADE,"
    " position INTEGER NOT NULL,"
    " label TEXT NOT NULL,"
    " adapter INTEGER REFERENCES adapters ON DELETE SET NULL,"
    " mix TEXT NOT NULL,"
    " n_tokens INTEGER NOT NULL,"
    " prefill_ms REAL NOT NULL,"
    " decode_ms REAL NOT NULL,"
    " finish TEXT NOT NULL,"
    " text BLOB NOT NULL,"
    " PRIMARY KEY (comparison, position));"
    "CREATE INDEX output_adapter ON outputs (adapter, comparison);"

    "CREATE TABLE votes ("
    " comparison INTEGER PRIMARY KEY REFERENCES comparisons ON DELETE CASCADE,"
    " winner INTEGER," /* outputs.position; NULL is a tie */
    " created_ms INTEGER NOT NULL);"
    "CREATE TABLE vote_results ("
    " comparison INTEGER NOT NULL REFERENCES votes ON DELETE CASCADE,"
    " adapter INTEGER NOT NULL REFERENCES adapters ON DELETE CASCADE,"
    " result TEXT NOT NULL CHECK (result IN ('win', 'loss', 'tie')),"
    " PRIMARY KEY (comparison, adapter)) WITHOUT ROWID;"
    "CREATE INDEX vote_result_adapter ON vote_results (adapter);"
    "CREATE TRIGGER vote_counted AFTER INSERT ON vote_results BEGIN"
    " UPDATE adapters SET wins = wins + (new.result = 'win'),"
    "  losses = losses + (new.result = 'loss'), ties = ties + (new.result = 'tie')"
    " WHERE id = new.adapter; END;"
    "CREATE TRIGGER vote_uncounted AFTER DELETE ON vote_results BEGIN"
    " UPDATE adapters SET wins = wins - (old.result = 'win'),"
    "  losses = losses - (old.result = 'loss'), ties = ties - (old.result = 'tie')"
    " WHERE id = old.adapter; END;"

    "CREATE TABLE evaluations ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " adapter INTEGER REFERENCES adapters ON DELETE CASCADE,"
    " subject TEXT NOT NULL,"
    " suite TEXT NOT NULL,"
    " task_group TEXT NOT NULL,"
    " method TEXT NOT NULL,"
    " n INTEGER NOT NULL,"
    " n_correct INTEGER NOT NULL CHECK (n_correct BETWEEN 0 AND n),"
    " created_ms INTEGER NOT NULL);"
    "CREATE INDEX evaluation_adapter ON evaluations (adapter, id);"

    "CREATE TABLE models ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " path TEXT NOT NULL UNIQUE,"
    " name TEXT NOT NULL,"
    " kind TEXT NOT NULL,"
    " architecture TEXT NOT NULL,"
    " fingerprint TEXT NOT NULL,"
    " size_bytes INTEGER NOT NULL,"
    " used_ms INTEGER NOT NULL);"

    "CREATE TABLE history ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " kind INTEGER NOT NULL,"
    " text TEXT NOT NULL,"
    " UNIQUE (kind, text));"
    "CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;";

/* What an adapter does, whatever its file's labels: '' until somebody who can read adapters has
 * said. */
static const char version_2[] = "ALTER TABLE adapters ADD COLUMN content TEXT NOT NULL DEFAULT ''"
				" CHECK (length(content) IN (0, 64));"
				"CREATE INDEX adapter_content ON adapters (content);";

const struct migration schema_migrations[] = {
	{ 1, version_1 },
	{ 2, version_2 },
	{ 0, NULL },
};

/* Whether the database is ours, and its version; 0 when it is empty. */
static enum store_status
schema_version(struct store *store, int64_t *version)
{
	int64_t application, n_tables;
	enum store_status status;

	*version = 0;
	status = sql_int64(store, &application, "PRAGMA application_id", "");
	if (status != STORE_OK)
		return status;
	status = sql_int64(store, &n_tables, "SELECT count(*) FROM sqlite_schema", "");
	if (status != STORE_OK)
		return status;
	if (n_tables == 0)
		return STORE_OK;
	if (application != APPLICATION_ID)
		return store_fail(store, STORE_EDAMAGED,
		    "'%s' is a database of another program; move it away or set T2L_HOME",
		    store->path);
	return sql_int64(store, version, "SELECT max(version) FROM schema_versions", "");
}

static enum store_status
apply(struct store *store, const struct migration *migration)
{
	if (sqlite3_exec(store->db, migration->sql, NULL, NULL, NULL) != SQLITE_OK)
		return store_fail_sql(store, "cannot upgrade the catalog");
	return sql_run(store, "INSERT INTO schema_versions (version, applied_ms) VALUES (?, ?)",
	    "ii", (int64_t)migration->version, now_ms());
}

static enum store_status
apply_above(struct store *store, const struct migration *migrations)
{
	enum store_status status;
	int64_t version;

	/* Another process may have done it while we waited for the lock. */
	status = schema_version(store, &version);
	if (status == STORE_OK && version == 0 &&
	    sqlite3_exec(store->db,
		"CREATE TABLE schema_versions (version INTEGER PRIMARY KEY,"
		" applied_ms INTEGER NOT NULL)",
		NULL, NULL, NULL) != SQLITE_OK)
		status = store_fail_sql(store, "cannot create the catalog");
	for (; status == STORE_OK && migrations->version != 0; migrations++)
		if (migrations->version > version)
			status = apply(store, migrations);
	return status;
}

/* application_id is part of the header page, so it is set in the same transaction. */
static enum store_status
upgrade(struct store *store, const struct migration *migrations)
{
	enum store_status status = transaction_begin(store);
	char pragma[64];

	if (status != STORE_OK)
		return status;
	status = apply_above(store, migrations);
	sqlite3_snprintf(sizeof pragma, pragma, "PRAGMA application_id = %d", APPLICATION_ID);
	if (status == STORE_OK && sqlite3_exec(store->db, pragma, NULL, NULL, NULL) != SQLITE_OK)
		status = store_fail_sql(store, "cannot create the catalog");
	return transaction_end(store, status);
}

enum store_status
schema_migrate(struct store *store, const struct migration *migrations)
{
	enum store_status status;
	int64_t version;
	int newest = 0;

	for (const struct migration *m = migrations; m->version != 0; m++)
		newest = m->version;
	status = schema_version(store, &version);
	if (status != STORE_OK)
		return status;
	if (version > newest)
		return store_fail(store, STORE_ENEWER,
		    "the catalog '%s' has version %lld and this t2l knows up to %d; use a newer "
		    "t2l, or another T2L_HOME",
		    store->path, (long long)version, newest);
	if (version == newest)
		return STORE_OK;
	if (store->read_only)
		return store_fail(store, STORE_EREADONLY,
		    "the catalog '%s' has version %lld and needs an upgrade to %d, but cannot be "
		    "written (%s)",
		    store->path, (long long)version, newest, store->read_only_reason);
	return upgrade(store, migrations);
}
