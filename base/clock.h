/*
 * base/clock.h - how long things take: a clock that nobody sets, so that it only goes forward.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <time.h>

/* Since some moment that stays the same as long as the machine runs. */
static inline double
clock_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static inline double
clock_ms(void)
{
	return 1e3 * clock_seconds();
}

#endif
