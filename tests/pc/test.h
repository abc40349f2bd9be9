/* SPDX-License-Identifier: MIT */
/* test.h - what cmocka's header wants to be included before it. */
#ifndef TESTS_PC_TEST_H
#define TESTS_PC_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
