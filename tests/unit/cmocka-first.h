/* cmocka-first.h - cmocka with the headers that it needs before it. */
#ifndef TESTS_UNIT_CMOCKA_FIRST_H
#define TESTS_UNIT_CMOCKA_FIRST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#endif
