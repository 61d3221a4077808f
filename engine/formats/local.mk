# engine/formats: bytes <-> tensors, and untrusted JSON.
engine_libt2l_la_SOURCES += \
	engine/formats/json.c engine/formats/json.h \
	engine/formats/safetensors.c engine/formats/safetensors.h \
	engine/formats/safetensors-header.c engine/formats/safetensors-header.h \
	engine/formats/safetensors-writer.c engine/formats/safetensors-writer.h
