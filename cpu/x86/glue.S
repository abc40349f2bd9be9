/* SPDX-License-Identifier: MIT */
/*
 * glue.S - the door between C and translated code.
 *
 * In: glue_enter(cpu) loads the guest's registers and jumps to cpu->target. Out: translated code jumps through cpu->exits[];
 * the stub notes the reason, stores the guest's registers and returns from glue_enter() with the reason.
 *
 * A kick is a signal. If it arrives in translated code, its handler breaks the running block's chain. If it arrives in C, C
 * looks at cpu->kick before it comes here. Between that look and the first translated instruction it would be lost, so
 * glue_enter() looks again, and from that look on, up to glue_enter_end, the handler finds its PC in here and
 * points cpu->target, which is read last of all, at glue_kick.
 */
#include "cpu/x86/state.h"

	.text
	.globl glue_enter, glue_enter_end, glue_kick, glue_fault
	.globl glue_exit_soft, glue_exit_chain, glue_exit_indirect, glue_exit_indirect_end, glue_exit_emulate, glue_exit_nm, glue_exit_next
	.type glue_enter, @function
glue_enter:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rdi, %r15
	mov %rsp, CPU_HOST_SP(%r15)
	cmpl $0, CPU_KICK(%r15)
	jne .Lkicked
	mov CPU_TABLE(%r15), %r14
	mov CPU_WINDOW(%r15), %r13
	push CPU_FLAGS(%r15)
	popfq
	mov CPU_EIP(%r15), %r8d			/* as from a look-up in the jump table: block.h, BLOCK_COLD */
	mov CPU_GPR+0(%r15), %eax
	mov CPU_GPR+4(%r15), %ecx
	mov CPU_GPR+8(%r15), %edx
	mov CPU_GPR+12(%r15), %ebx
	mov CPU_GPR+20(%r15), %ebp
	mov CPU_GPR+24(%r15), %esi
	mov CPU_GPR+28(%r15), %edi
	mov CPU_GPR+16(%r15), %esp
	jmp *CPU_TARGET(%r15)
glue_enter_end:

.Lkicked:
	mov $REASON_KICK, %eax
	jmp .Lreturn

/* What the exit leaves behind: up to three pairs of a register and where it goes, then why. */
.macro leave name, reason, r1, f1, r2, f2, r3, f3
\name:
	.ifnb \r1
	mov \r1, \f1(%r15)
	.endif
	.ifnb \r2
	mov \r2, \f2(%r15)
	.endif
	.ifnb \r3
	mov \r3, \f3(%r15)
	.endif
	movl $\reason, CPU_REASON(%r15)
	jmp .Lleave
.endm

	leave glue_kick, REASON_KICK
	leave glue_exit_chain, REASON_CHAIN, %r9d, CPU_ARG		/* r9d = link */
	leave glue_missed, REASON_INDIRECT, %r8d, CPU_EIP, %r9d, CPU_ARG	/* r8d = target, r9d = depth, here and below */
	leave glue_exit_nm, REASON_NM, %r8d, CPU_EIP			/* r8d = eip, here and below */
	leave glue_exit_next, REASON_NEXT, %r8d, CPU_EIP
	leave glue_exit_emulate, REASON_EMULATE, %r8d, CPU_EIP, %r9d, CPU_ARG	/* r9d = decoded instruction */
	/* r8d = address, r9d = eip, r10d = size | write << 8 */
	leave glue_exit_soft, REASON_SOFT, %r8d, CPU_ARG, %r9d, CPU_EIP, %r10d, CPU_SOFT_KIND

/*
 * The second place in the jump table (jump.h), looked at without changing flags. As in translated code the host address is read first;
 * the kick handler knows that it is in r11, and that r14 is still to be used.
 */
glue_exit_indirect:
	mov %rcx, %r12
	mov %r8d, %ecx
	bswap %ecx
	movzbl %ch, %ecx			/* bits 16 to 23 */
	lea (%rcx, %rcx, 8), %ecx
	lea (%rcx, %rcx, 8), %ecx
	lea (%rcx, %rcx, 8), %ecx		/* times JUMP_SPREAD */
	lea (%rcx, %r8), %ecx
	movzwl %cx, %ecx
	lea (, %r9, 8), %r10d
	lea (, %r10, 8), %r10d
	lea (%rcx, %r10, 4), %r10d		/* and 256 for each step of depth */
	mov JUMP_SECOND_AT + 4(%r14, %r10, 8), %r11d
	mov JUMP_SECOND_AT(%r14, %r10, 8), %r10d
	lea (%r10, %r8), %ecx
	jrcxz .Lfound
	mov %r12, %rcx
	jmp glue_missed
.Lfound:
	mov %r12, %rcx
	lea (%rsp, %r9, 4), %esp		/* where a block of that depth expects it */
	jmp *%r11
glue_exit_indirect_end:

glue_fault:			/* a signal handler has stored reason and eip */
.Lleave:
	mov %eax, CPU_GPR+0(%r15)
	mov %ecx, CPU_GPR+4(%r15)
	mov %edx, CPU_GPR+8(%r15)
	mov %ebx, CPU_GPR+12(%r15)
	mov %esp, CPU_GPR+16(%r15)
	mov %ebp, CPU_GPR+20(%r15)
	mov %esi, CPU_GPR+24(%r15)
	mov %edi, CPU_GPR+28(%r15)
	mov CPU_HOST_SP(%r15), %rsp
	pushfq
	pop CPU_FLAGS(%r15)
	cld
	mov CPU_REASON(%r15), %eax
.Lreturn:
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret
	.size glue_enter, . - glue_enter
	.section .note.GNU-stack, "", @progbits
