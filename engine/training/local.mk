# engine/training: the loop, the optimiser, and what each kind of training trains
engine_libt2l_la_SOURCES += \
	engine/training/batch.c engine/training/batch.h \
	engine/training/checkpoint.c \
	engine/training/dataset.c engine/training/dataset.h \
	engine/training/embeddings.c engine/training/embeddings.h \
	engine/training/optimiser.c engine/training/optimiser.h \
	engine/training/parameters.c engine/training/parameters.h \
	engine/training/random.h \
	engine/training/reconstruction.c engine/training/reconstruction.h \
	engine/training/suite.c \
	engine/training/task-batch.c engine/training/task-batch.h \
	engine/training/train.c engine/training/trainer.h \
	engine/training/train-base.c \
	engine/training/train-encoder.c \
	engine/training/train-lora.c \
	engine/training/train-supervised.c
