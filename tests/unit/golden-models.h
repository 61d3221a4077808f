/*
 * golden-models.h - the engine of a test program, with sums in the order that references are held
 * against, and the models of the golden data opened on it.
 *
 * cmocka_run_group_tests(tests, open_engine, close_engine) frames a group that uses them.
 */
#ifndef TESTS_UNIT_GOLDEN_MODELS_H
#define TESTS_UNIT_GOLDEN_MODELS_H

#include "engine/t2l.h"
#include "tests/unit/golden-tensors.h"

static struct t2l_engine *engine;

static inline int
open_engine(void **state)
{
	const struct t2l_engine_options options = { .precise = true, .n_threads = 2 };

	(void)state;
	return t2l_engine_open(&options, &engine, NULL) == T2L_OK ? 0 : -1;
}

static inline int
close_engine(void **state)
{
	(void)state;
	t2l_engine_close(engine);
	return 0;
}

/* RELATIVE is a GGUF file, or a folder with a config.json; not there: the test is skipped. */
static inline const char *
need_golden_model(const char *relative)
{
	return strstr(relative, ".gguf") != NULL ? need_golden(relative)
						 : need_golden_folder(relative, "config.json");
}

static inline struct t2l_model *
open_golden_model(const char *relative)
{
	struct t2l_error err = { 0 };
	struct t2l_model *model = NULL;

	assert_ok(t2l_model_open(engine, need_golden_model(relative), &model, &err));
	return model;
}

/* RELATIVE is a folder with an adapter_config.json. */
static inline struct t2l_adapter *
open_golden_adapter(const char *relative)
{
	struct t2l_error err = { 0 };
	struct t2l_adapter *adapter = NULL;

	assert_ok(
	    t2l_adapter_open(need_golden_folder(relative, "adapter_config.json"), &adapter, &err));
	return adapter;
}

/* One of the adapters of models/llama2. */
static inline struct t2l_adapter *
open_llama2_adapter(const char *name)
{
	char relative[256];

	snprintf(relative, sizeof relative, "models/llama2/adapters/%s", name);
	return open_golden_adapter(relative);
}

#endif
