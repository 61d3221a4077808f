/*
 * models/model.h - what t2l_model is to the rooms above.
 */
#ifndef ENGINE_MODELS_MODEL_H
#define ENGINE_MODELS_MODEL_H

#include "engine/engine.h"
#include "engine/models/decoder.h"
#include "engine/models/encoder.h"

struct t2l_model {
	struct t2l_engine *engine;
	struct base_model *base; /* owned */
};

struct t2l_encoder {
	struct t2l_engine *engine;
	struct text_encoder *text; /* owned */
	struct ops *ops;	   /* owned; used under the engine's lock only */
};

#endif
