/* SPDX-License-Identifier: MIT */
/*
 * codepage.h - pages that hold translated code: who may write to them, and who must hear when they move.
 *
 * Such a page is mapped read-only in every view. To find the views when a page becomes code: the kernel's linear map is looked at
 * directly, any other writable mapping is remembered in its frame (struct frame.writer), and if there were several, all shadows
 * are searched.
 */
#ifndef KENNEL_CPU_X86_SPACE_CODEPAGE_H
#define KENNEL_CPU_X86_SPACE_CODEPAGE_H

#include "cpu/x86/space/slot.h"

/** codepage_note_writer - @page of @slot has come to show frame @number writable. */
void codepage_note_writer(struct cpu *cpu, struct slot *slot, uint32_t page, uint32_t number);
/** codepage_protect - a frame has become code: no view may have it writable. */
frame_protect codepage_protect;

/** codepage_note - code at @linear, mapped by @pte, is about to be known to jump tables or chains. Returns whether it was noted before. */
bool codepage_note(struct cpu *cpu, uint32_t linear, uint32_t pte);

/** codepage_compare_kernel - @page of the kernel half may have moved, or the large page it was part of: if it holds code, drop that. */
void codepage_compare_kernel(struct cpu *cpu, uint32_t page);
/** codepage_compare_all_kernel - any page of the kernel half may have. */
void codepage_compare_all_kernel(struct cpu *cpu);
/** codepage_compare_local - any that is not global may have. */
void codepage_compare_local(struct cpu *cpu);
void codepage_forget_kernel(struct cpu *cpu);
void codepage_destroy(struct cpu *cpu);

#endif
