# engine/formats: bytes <-> tensors, and untrusted JSON.
engine_libt2l_la_SOURCES += \
	engine/formats/chat-lines.c engine/formats/chat-lines.h \
	engine/formats/fingerprint.c engine/formats/fingerprint.h \
	engine/formats/ggml.c engine/formats/ggml-writer.c engine/formats/ggml.h \
	engine/formats/gguf.c engine/formats/gguf.h \
	engine/formats/gguf-format.c engine/formats/gguf-format.h \
	engine/formats/gguf-metadata.c engine/formats/gguf-parts.c \
	engine/formats/gguf-copy.c engine/formats/gguf-copy.h \
	engine/formats/gguf-writer.c engine/formats/gguf-writer.h \
	engine/formats/json.c engine/formats/json.h \
	engine/formats/safetensors.c engine/formats/safetensors.h \
	engine/formats/safetensors-header.c engine/formats/safetensors-header.h \
	engine/formats/safetensors-writer.c engine/formats/safetensors-writer.h \
	engine/formats/torch-checkpoint.c engine/formats/torch-checkpoint.h \
	engine/formats/torch-pickle.c engine/formats/torch-pickle.h \
	engine/formats/zip-directory.c engine/formats/zip-directory.h
