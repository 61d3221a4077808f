# engine/inference: lanes over one base, sampling, scores
engine_libt2l_la_SOURCES += \
	engine/inference/session.c \
	engine/inference/lane.c engine/inference/lane.h \
	engine/inference/output-text.c engine/inference/output-text.h \
	engine/inference/sampler.c engine/inference/sampler.h \
	engine/inference/kv-cache.c engine/inference/kv-cache.h \
	engine/inference/base-order.c engine/inference/base-order.h \
	engine/inference/no-number.c engine/inference/no-number.h \
	engine/inference/logits-file.c engine/inference/score.c
