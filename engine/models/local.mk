# engine/models: the decoder and the encoder, and what loads and saves them
engine_libt2l_la_SOURCES += \
	engine/models/module.c engine/models/module.h \
	engine/models/decoder.c engine/models/decoder.h
