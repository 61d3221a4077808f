/*
 * adapters/model-card.h - the README.md of an exported adapter.
 */
#ifndef ENGINE_ADAPTERS_MODEL_CARD_H
#define ENGINE_ADAPTERS_MODEL_CARD_H

#include "engine/adapters/format.h"

/* Markdown behind YAML that model hubs read. Short, or with options->model_card the whole card:
 * facts, lineage, scores, how to load. WITH_BASE: the base's weights lie beside the adapter.
 * Texts of files are made visible, so they cannot break the YAML. free() it; NULL: out of memory.
 */
char *model_card_text(const struct export_job *job, bool with_base);

#endif
