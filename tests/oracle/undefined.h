/* SPDX-License-Identifier: MIT */
/* undefined.h - what the manuals leave undefined, so that a difference there is none. */
#ifndef ORACLE_UNDEFINED_H
#define ORACLE_UNDEFINED_H

#include "tests/oracle/case.h"
#include "tests/oracle/forms.h"

/** undefined_flags - EFLAGS bits that @instance leaves undefined when it starts from @in. */
uint32_t undefined_flags(const struct instance *instance, const struct state *in);
/** undefined_registers - bit mask of integer registers likewise. */
uint32_t undefined_registers(const struct instance *instance, const struct state *in);
/** differs_by_nature - integer registers whose value is another one each time or on each machine (time stamps, random numbers). */
uint32_t differs_by_nature(const struct instance *instance);
/** stores_host_state - SGDT and its kin: what they store is the host's own. */
bool stores_host_state(const struct instance *instance);

#endif
