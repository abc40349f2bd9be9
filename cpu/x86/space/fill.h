/* SPDX-License-Identifier: MIT */
/* fill.h - what the tables allow appears in a view: on demand, or just before. */
#ifndef KENNEL_CPU_X86_SPACE_FILL_H
#define KENNEL_CPU_X86_SPACE_FILL_H

#include "cpu/x86/space/slot.h"

/** fill_page - show @page, mapped by @pte, in a view of the slot in force, and its neighbours if one call can do it. */
void fill_page(struct cpu *cpu, enum view view, uint32_t page, uint32_t pte);
/** fill_drop_other_frame - no view may go on showing @page's old frame, if @pte names another. */
void fill_drop_other_frame(struct cpu *cpu, uint32_t page, uint32_t pte);
/**
 * fill_awaited - the page of the last fault given to the guest, if its kernel has made it usable: before it is asked for again
 * Returns whether it has.
 */
bool fill_awaited(struct cpu *cpu);

#endif
