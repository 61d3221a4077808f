/*
 * fuzz.h - what a fuzz target is: one function that must survive any bytes.
 *
 * libFuzzer calls it (make fuzz), and so does replay.c with the committed corpus (make check).
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* Reads all of BYTES[N], so that a sanitizer sees any that are not there. Returns their sum. */
static inline unsigned
fuzz_touch(const void *bytes, size_t n)
{
	volatile unsigned sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += ((const uint8_t *)bytes)[i];
	return sum;
}

#endif
