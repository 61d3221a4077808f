# engine/training: the loop, the optimiser, and what each kind of training trains
engine_libt2l_la_SOURCES += \
	engine/training/batch.c engine/training/batch.h \
	engine/training/adapter-set.c engine/training/adapter-set.h \
	engine/training/checkpoint.c \
	engine/training/collective.c engine/training/collective.h \
	engine/training/dataset.c engine/training/dataset.h \
	engine/training/descriptions.c engine/training/descriptions.h \
	engine/training/embeddings.c engine/training/embeddings.h \
	engine/training/frozen-base.c engine/training/frozen-base.h \
	engine/training/hypernet-output.c engine/training/hypernet-output.h \
	engine/training/lora-parameters.c engine/training/lora-parameters.h \
	engine/training/memory.c engine/training/memory.h \
	engine/training/optimiser.c engine/training/optimiser.h \
	engine/training/parameters.c engine/training/parameters.h \
	engine/training/prepared.c engine/training/prepared.h \
	engine/training/random.h \
	engine/training/reconstruction.c engine/training/reconstruction.h \
	engine/training/refine.c \
	engine/training/suite.c engine/training/suite.h engine/training/suite-folders.c \
	engine/training/task-batch.c engine/training/task-batch.h \
	engine/training/train.c engine/training/trainer.h \
	engine/training/train-base.c \
	engine/training/train-encoder.c \
	engine/training/train-lora.c \
	engine/training/train-reconstruct.c \
	engine/training/train-supervised.c
