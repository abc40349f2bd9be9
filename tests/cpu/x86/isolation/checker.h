/* SPDX-License-Identifier: MIT */
/*
 * checker.h - may this block of host code run? The rules, each with its reason, are the table at the top of checker.c.
 */
#ifndef KENNEL_TESTS_CPU_X86_ISOLATION_CHECKER_H
#define KENNEL_TESTS_CPU_X86_ISOLATION_CHECKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * isolation_check - judge one translated block as the translator finished it, before any of its jumps was chained
 * @by_register: guest memory is reached through r13, not through GS (cpu/x86/reach.h).
 * @code: @len bytes that are to run at host address @address.
 * @why: filled on a verdict of false: "RULE at OFFSET: INSTRUCTION: reason", at most @why_len bytes with the final 0.
 * Returns true if every path through the block keeps every rule. Keeps no state; uses vector registers, as any library may.
 */
bool isolation_check(bool by_register, const uint8_t *code, uint32_t len, uint32_t address, char *why, size_t why_len);

#endif
