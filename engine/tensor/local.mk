# engine/tensor: number formats, arena, operations with their tape.
engine_libt2l_la_SOURCES += \
	engine/tensor/dtype.c engine/tensor/dtype.h \
	engine/tensor/quants.c engine/tensor/quants.h \
	engine/tensor/k-quants.c engine/tensor/k-quants.h \
	engine/tensor/quant-fit.c engine/tensor/quant-fit.h \
	engine/tensor/tensor.h engine/tensor/backend.h \
	engine/tensor/arena.c engine/tensor/arena.h \
	engine/tensor/tape.h engine/tensor/ops.h \
	engine/tensor/ops.c engine/tensor/ops-products.c engine/tensor/ops-rows.c \
	engine/tensor/ops-rope.c engine/tensor/ops-experts.c \
	engine/tensor/ops-elements.c engine/tensor/ops-losses.c engine/tensor/ops-recompute.c \
	engine/tensor/ops-loss-part.c
