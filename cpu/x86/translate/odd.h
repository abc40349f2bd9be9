/* SPDX-License-Identifier: MIT */
#ifndef KENNEL_CPU_X86_TRANSLATE_ODD_H
#define KENNEL_CPU_X86_TRANSLATE_ODD_H

#include "cpu/x86/state.h"

/** odd_cannot_copy - is this one of the few forms of copyable instructions that no host operand expresses? @exact: in a block whose addresses are exact? */
bool odd_cannot_copy(const struct cpu *cpu, const struct insn *insn, bool exact);

/** odd_run - run such an instruction, at cpu->eip. false: it faulted, and *@fault says how. */
bool odd_run(struct cpu *cpu, const struct insn *insn, struct cpu_fault *fault);

#endif
