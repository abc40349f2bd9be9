/* SPDX-License-Identifier: MIT */
/* undefined.h - what the manuals leave undefined, so that a difference there is none. */
#ifndef ORACLE_UNDEFINED_H
#define ORACLE_UNDEFINED_H

#include "tests/cpu/x86/oracle/case.h"
#include "tests/cpu/x86/oracle/forms.h"

/** undefined_flags - EFLAGS bits that @instance leaves undefined when it starts from @in. */
uint32_t undefined_flags(const struct instance *instance, const struct state *in);
/** ever_undefined_flags - those that it leaves undefined when it starts from some state or other. */
uint32_t ever_undefined_flags(const struct instance *instance);
/** undefined_registers - bit mask of integer registers likewise. */
uint32_t undefined_registers(const struct instance *instance, const struct state *in);
/** differs_by_nature - integer registers whose value is another one each time or on each machine (time stamps, random bits). */
uint32_t differs_by_nature(const struct instance *instance);
/** stores_host_state - SGDT and its kin: what they store is the host's own, or they fault (UMIP). */
bool stores_host_state(const struct instance *instance);
/** address_by_nature - the trap is the same but EIP need not be. */
bool address_by_nature(const struct instance *instance);

/**
 * several_accesses - the instruction touches memory in several steps whose order the manuals leave open. When it faults, it may
 * have stored some of it, loaded some registers, and report the address of any step.
 */
bool several_accesses(const struct instance *instance);
/** several_checks - as above, and which of several faults comes first is open too (far transfers, far pointers). */
bool several_checks(const struct instance *instance);
/** flags_on_fault - EFLAGS bits undefined when it faults: REP CMPS and SCAS (Intel restores them, AMD does not). */
uint32_t flags_on_fault(const struct instance *instance);

/** undefined_bytes - of the word of memory at @address after @instance stored there: mask of the undefined bits. */
uint32_t undefined_bytes(const struct instance *instance, const struct state *in, uint32_t address);

/** runs_over_64k - an x87 or larger operand runs over the end of what 16-bit addresses reach: some processors wrap some parts. */
bool runs_over_64k(const struct instance *instance, const struct state *in);

/**
 * fails_segment_check - an operand runs over 4 GiB or is written through CS: #GP(0) or #SS(0), which the translator does not
 * check.
 */
bool fails_segment_check(const struct instance *instance, const struct state *in);

#endif
