/* SPDX-License-Identifier: MIT */
/*
 * window.h - address spaces as host mappings: when they change.
 */
#ifndef KENNEL_CPU_X86_SPACE_WINDOW_H
#define KENNEL_CPU_X86_SPACE_WINDOW_H

#include "cpu/x86/space/slot.h"

int window_create(struct cpu *cpu, unsigned slots, const char **error);
void window_destroy(struct cpu *cpu);

/**
 * window_settle - what the guest has announced of its tables takes effect, as far as the present CPL can see it. Before anything is
 * looked up in a jump table: entries for code that is mapped no more go here.
 */
void window_settle(struct cpu *cpu);

/** window_enter - put the view for the present CPL in force. Before translated code runs. */
void window_enter(struct cpu *cpu);

enum window_result { WINDOW_MAPPED, WINDOW_FAULT, WINDOW_CODE, WINDOW_VOID };

/**
 * window_fault - translated code at the present CPL missed a page
 * Returns WINDOW_MAPPED: try again. WINDOW_FAULT: the guest's own fault, in *@fault. WINDOW_CODE: try again; frame *@frame had translated
 * code, which has been dropped. WINDOW_VOID: the guest may write there, but no memory is there (void.h).
 */
enum window_result window_fault(struct cpu *cpu, uint32_t linear, bool write, uint32_t *frame, struct cpu_fault *fault);

#endif
