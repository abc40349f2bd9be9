/* SPDX-License-Identifier: MIT */
/* states.h - random initial states that make an instruction show its edges. */
#ifndef ORACLE_STATES_H
#define ORACLE_STATES_H

#include "tests/cpu/x86/oracle/case.h"
#include "tests/cpu/x86/oracle/forms.h"

struct state_options {
	bool low;	/* the low area is mapped */
	bool segments;	/* segment bases other than zero also in DS, ES, SS; selectors that cannot be loaded */
	bool strict;	/* segments whose limit, type or absence makes an access fault: null, read-only, execute-only, short */
	bool steps;	/* some states have TF set */
	bool qemu;	/* the child's TLS segments are where QEMU has room for them */
};

/** background_make - initial contents of all areas: integers, floats, addresses, noise; INT3 in the code area. */
void background_make(uint8_t *background, uint64_t seed);

/** state_make - a state, and patches to memory, for @instance; the code bytes are the first patch. */
void state_make(struct test_case *test, const struct instance *instance, const struct state_options *options, struct rng *rng);

/** fpu_make - random x87 and SSE contents in an FXSAVE image; @wild: unmasked exceptions may be pending or come. */
void fpu_make(uint8_t fx[512], bool wild, struct rng *rng);

/** add_patch - append to the case, in several pieces if need be. Returns false for what cannot be patched. */
bool add_patch(struct test_case *test, uint32_t address, const void *bytes, uint32_t len);

/** effective_offset, effective_address - of a memory operand, without and with its segment's base. */
uint32_t effective_offset(const struct instance *instance, const struct state *in, const ZydisDecodedOperand *op);
uint32_t effective_address(const struct instance *instance, const struct state *in, const ZydisDecodedOperand *op);

/** tls_selector - of TLS segment @n, 0 to 2. */
uint16_t tls_selector(const struct state_options *options, uint32_t n);

/** segment_base - of one of the selectors that cases use. */
uint32_t segment_base(uint32_t selector);

#endif
