/* SPDX-License-Identifier: MIT */
/*
 * start.S - the test kernel's first instructions, its 256 ways in, and the ways back.
 */
	.section .head, "ax"
	.balign 4
	.long 0x1badb002, 0, -0x1badb002	/* multiboot */
	.globl start
start:
	movl $stack_top, %esp
	pushl $0
	popfl
	call main
1:	hlt
	jmp 1b

	.text
	/* Every vector: [error], vector, then the rest of struct frame. */
	.altmacro
.macro stub n
	.balign 16
	.if !(\n == 8 || (\n >= 10 && \n <= 14) || \n == 17)
	pushl $0
	.endif
	pushl $\n
	jmp common
.endm
	.balign 16
	.globl stubs
stubs:
	.set n, 0
	.rept 256
	stub %n
	.set n, n + 1
	.endr

common:
	pushal
	pushl %ds
	pushl %es
	pushl %fs
	pushl %gs
	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	cld
	pushl %esp
	call trap
	addl $4, %esp
	popl %gs
	popl %fs
	popl %es
	popl %ds
	popal
	addl $8, %esp
	iret

	/* int save(void): 0, and 1 when throw() comes back to it */
	.globl save, throw
save:
	movl (%esp), %eax
	movl %eax, context
	movl %esp, context + 4
	movl %ebp, context + 8
	movl %ebx, context + 12
	movl %esi, context + 16
	movl %edi, context + 20
	xorl %eax, %eax
	ret
throw:
	movl context + 4, %esp
	movl context + 8, %ebp
	movl context + 12, %ebx
	movl context + 16, %esi
	movl context + 20, %edi
	pushl $2
	popfl
	movl context, %eax
	movl %eax, (%esp)
	movl $1, %eax
	ret

	/* void to_user(eip, eflags): EAX... are what user_regs says */
	.globl to_user
to_user:
	movl 4(%esp), %eax
	movl 8(%esp), %ecx
	movl $0x2b, %edx
	movl %edx, %ds
	movl %edx, %es
	pushl $0x2b
	pushl $user_stack_top
	pushl %ecx
	pushl $0x23
	pushl %eax
	xorl %eax, %eax
	xorl %ecx, %ecx
	xorl %edx, %edx
	iret

	/* SYSENTER comes here. */
	.globl from_sysenter
from_sysenter:
	pushl %eax
	pushfl
	popl %eax
	movl %eax, sysenter_flags
	movl %cs, %eax
	movl %eax, sysenter_cs
	movl %ss, %eax
	movl %eax, sysenter_ss
	popl %eax
	leal 1(%eax), %eax
	movl %ebx, %edx
	movl %ebp, %ecx
	sysexit

	/* The double-fault task: says so, mends the old task's TSS, and goes back. */
	.globl double_fault_task
double_fault_task:
	call double_fault
	addl $4, %esp
	iret
	jmp double_fault_task

	.bss
	.balign 16
context: .skip 24
	.globl sysenter_flags, sysenter_cs, sysenter_ss
sysenter_flags: .skip 4
sysenter_cs: .skip 4
sysenter_ss: .skip 4
	.balign 4096
	.skip 8192
stack_top:
	.skip 4096
	.globl trap_stack_top, user_stack_top, df_stack_top
trap_stack_top:
	.skip 4096
user_stack_top:
	.skip 4096
df_stack_top:
	.section .note.GNU-stack, "", @progbits
