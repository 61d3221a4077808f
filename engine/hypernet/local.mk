# engine/hypernet: the Text-to-LoRA network.
engine_libt2l_la_SOURCES += \
	engine/hypernet/hypernet.h engine/hypernet/network.h \
	engine/hypernet/hypernet.c engine/hypernet/initialise.c engine/hypernet/forward.c \
	engine/hypernet/task-encoder.c engine/hypernet/reference.c \
	engine/hypernet/checkpoint.c engine/hypernet/description.c \
	engine/hypernet/embedding-file.c engine/hypernet/generate.c
