# engine/models: the decoder and the encoder, and what loads and saves them
engine_libt2l_la_SOURCES += \
	engine/models/module.c engine/models/module.h \
	engine/models/architecture.c engine/models/architecture.h \
	engine/models/rope.c engine/models/rope.h \
	engine/models/decoder.c engine/models/decoder-lora.c engine/models/decoder-experts.c \
	engine/models/decoder-prepare.c engine/models/decoder.h engine/models/decoder-pass.h \
	engine/models/weights.c engine/models/identity.c engine/models/weights-save.c \
	engine/models/weights-check.c engine/models/weights.h \
	engine/models/decoder-weights.c engine/models/decoder-weights.h \
	engine/models/loader.c engine/models/loader-hf.c engine/models/loader-gguf.c \
	engine/models/config-hf.c engine/models/config-rope.c engine/models/config-gguf.c \
	engine/models/vocabulary-gguf.c engine/models/loader.h \
	engine/models/save-hf.c \
	engine/models/quantise.c engine/models/quantise.h \
	engine/models/recode.c engine/models/recode.h \
	engine/models/convert.c engine/models/convert.h \
	engine/models/config-to-gguf.c engine/models/config-to-hf.c \
	engine/models/vocabulary-to-gguf.c engine/models/vocabulary-to-hf.c \
	engine/models/save-weights.c engine/models/save-gguf.c \
	engine/models/encoder.c engine/models/encoder.h \
	engine/models/encoder-weights.c engine/models/encoder-weights.h \
	engine/models/encoder-load.c engine/models/encoder-config.c engine/models/encoder-load.h \
	engine/models/encoder-save.c \
	engine/models/model.c engine/models/chat.c engine/models/encoder-embed.c engine/models/model.h
