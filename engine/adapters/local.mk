# engine/adapters: LoRA adapters in memory and in files, merged and compared.
engine_libt2l_la_SOURCES += \
	engine/adapters/adapter.c engine/adapters/adapter.h \
	engine/adapters/lora-table.c engine/adapters/lora-table.h \
	engine/adapters/pattern.c engine/adapters/pattern.h \
	engine/adapters/peft.c engine/adapters/peft-write.c engine/adapters/peft.h \
	engine/adapters/native.c \
	engine/adapters/merge.c engine/adapters/merge.h \
	engine/adapters/merge-inputs.c engine/adapters/merge-inputs.h \
	engine/adapters/merge-warnings.c engine/adapters/merge-strategies.c engine/adapters/merge-span.c \
	engine/adapters/merge-prune.c engine/adapters/merge-combine.c \
	engine/adapters/into-base.c engine/adapters/into-base.h \
	engine/adapters/into-base-hf.c engine/adapters/into-base-gguf.c \
	engine/adapters/norms.c engine/adapters/norms.h \
	engine/adapters/spectrum.c \
	engine/adapters/svd.c engine/adapters/svd-matrix.c engine/adapters/svd.h \
	engine/adapters/base-shape.c engine/adapters/base-shape.h \
	engine/adapters/difference.c engine/adapters/difference.h \
	engine/adapters/export.c \
	engine/adapters/format.c engine/adapters/format.h \
	engine/adapters/format-gguf.c engine/adapters/format-ggml.c \
	engine/adapters/format-hf.c engine/adapters/format-kohya.c \
	engine/adapters/format-mlx.c engine/adapters/format-ollama.c engine/adapters/format-peft.c \
	engine/adapters/half.c engine/adapters/half.h \
	engine/adapters/model-card.c engine/adapters/model-card.h \
	engine/adapters/module-names.c engine/adapters/module-names.h \
	engine/adapters/pairs.c engine/adapters/pairs.h \
	engine/adapters/precision.c engine/adapters/precision.h \
	engine/adapters/row-order.c engine/adapters/row-order.h
