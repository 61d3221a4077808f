# engine/cpu: the CPU backend. The kernels are compiled once per instruction set, the operations once.

# Every kernels-*.c below is built three times; KERNELS_SUFFIX names the tables that it exports.
CPU_KERNELS = \
	engine/cpu/kernels-matmul.c engine/cpu/kernels-matmul.h engine/cpu/kernels-simd.h \
	engine/cpu/kernels-tiles.h engine/cpu/kernels-bf16.c \
	engine/cpu/kernels-dots.c engine/cpu/kernels-dots.h engine/cpu/kernels-dots-blocks.c \
	engine/cpu/kernels-dots-super.c engine/cpu/kernels-quants.c engine/cpu/kernels-quants.h \
	engine/cpu/kernels-rows.c engine/cpu/kernels-norms.c engine/cpu/kernels-softmax.c \
	engine/cpu/kernels-values.c engine/cpu/kernels-rows.h engine/cpu/kernels-math.h

# "omp simd" loops are vectorised although the user's -O2 comes after our -O3.
KERNELS_CPPFLAGS = $(AM_CPPFLAGS) -DT2L_BUILDING
KERNELS_CFLAGS = $(AM_CFLAGS) -fvisibility=hidden -O3 \
	-fno-math-errno -fno-trapping-math -fopenmp-simd

noinst_LTLIBRARIES += engine/cpu/libkernels-plain.la
engine_cpu_libkernels_plain_la_SOURCES = $(CPU_KERNELS)
engine_cpu_libkernels_plain_la_CPPFLAGS = $(KERNELS_CPPFLAGS) -DKERNELS_SUFFIX=plain
engine_cpu_libkernels_plain_la_CFLAGS = $(KERNELS_CFLAGS)
engine_libt2l_la_LIBADD += engine/cpu/libkernels-plain.la

if X86_64
noinst_LTLIBRARIES += engine/cpu/libkernels-avx2.la
engine_cpu_libkernels_avx2_la_SOURCES = $(CPU_KERNELS)
engine_cpu_libkernels_avx2_la_CPPFLAGS = $(KERNELS_CPPFLAGS) -DKERNELS_SUFFIX=avx2
engine_cpu_libkernels_avx2_la_CFLAGS = $(KERNELS_CFLAGS) -mavx2 -mfma -mf16c
engine_libt2l_la_LIBADD += engine/cpu/libkernels-avx2.la

noinst_LTLIBRARIES += engine/cpu/libkernels-avx512.la
engine_cpu_libkernels_avx512_la_SOURCES = $(CPU_KERNELS)
engine_cpu_libkernels_avx512_la_CPPFLAGS = $(KERNELS_CPPFLAGS) -DKERNELS_SUFFIX=avx512
engine_cpu_libkernels_avx512_la_CFLAGS = $(KERNELS_CFLAGS) -mavx512f -mavx512bw -mavx512vl \
	-mavx512dq -mavx512vnni -mfma -mf16c -mavx2
engine_libt2l_la_LIBADD += engine/cpu/libkernels-avx512.la

noinst_LTLIBRARIES += engine/cpu/libkernels-pairs.la
engine_cpu_libkernels_pairs_la_SOURCES = engine/cpu/kernels-pairs.c
engine_cpu_libkernels_pairs_la_CPPFLAGS = $(KERNELS_CPPFLAGS)
engine_cpu_libkernels_pairs_la_CFLAGS = $(engine_cpu_libkernels_avx512_la_CFLAGS) -mavx512bf16
engine_libt2l_la_LIBADD += engine/cpu/libkernels-pairs.la
endif

engine_libt2l_la_SOURCES += \
	engine/cpu/cpu.c engine/cpu/cpu.h engine/cpu/cpu-state.h \
	engine/cpu/threads.c engine/cpu/threads.h \
	engine/cpu/matmul.h engine/cpu/matmul-table.c \
	engine/cpu/linear.c engine/cpu/gemm.c engine/cpu/lora.c
engine_libt2l_la_SOURCES += \
	engine/cpu/rows.h engine/cpu/rows-table.c engine/cpu/attention.h engine/cpu/attention.c \
	engine/cpu/attention-backward.c engine/cpu/attention-few.c \
	engine/cpu/elementwise.c engine/cpu/experts.c engine/cpu/gather.c engine/cpu/loss.c engine/cpu/norm.c engine/cpu/optimiser.c engine/cpu/rope.c
