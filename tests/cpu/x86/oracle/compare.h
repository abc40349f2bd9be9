/* SPDX-License-Identifier: MIT */
/* compare.h - two results of one case. */
#ifndef ORACLE_COMPARE_H
#define ORACLE_COMPARE_H

#include <stdbool.h>
#include <stdio.h>
#include "tests/cpu/x86/oracle/forms.h"
#include "tests/cpu/x86/oracle/native.h"

enum verdict {
	SAME,
	UNDEFINED_DIFFERS,	/* only where the manuals leave it open */
	DIFFERENT,
	SEGMENT_CHECK,		/* the native one found a segment's limit or type violated, where the translator does not look */
	NOT_OFFERED,		/* the native processor runs it, ours says #UD, and so does our decoder: by design */
	UNTESTABLE,		/* the case touched what only the native side has */
	KNOWN_OF_QEMU,		/* QEMU is the native side, and does this differently; see qemu.h */
};

/**
 * compare_results - @instance may be NULL for sequences: then no flag is undefined.
 * With KNOWN_OF_QEMU, *@reasons is what qemu_known() said.
 */
enum verdict compare_results(const struct instance *instance, const struct test_case *test, const struct control *native,
			     const struct result *a, const struct control *ours, const struct result *b, uint64_t *reasons);

/** went_astray - did the case go on into memory that holds random data? */
bool went_astray(const struct test_case *test, const struct result *r);

/** print_case - the case so that it can be done again by hand, and every difference. */
void print_case(FILE *out, const struct test_case *test);
void print_differences(FILE *out, const struct test_case *test, const struct control *native, const struct result *a,
		       const struct control *ours, const struct result *b);

#endif
