# engine/adapters: LoRA adapters in memory and in files, merged and compared.
engine_libt2l_la_SOURCES += \
	engine/adapters/adapter.c engine/adapters/adapter.h \
	engine/adapters/lora-table.c engine/adapters/lora-table.h \
	engine/adapters/pattern.c engine/adapters/pattern.h \
	engine/adapters/peft.c engine/adapters/peft-write.c engine/adapters/peft.h \
	engine/adapters/native.c engine/adapters/merge.c engine/adapters/norms.c
