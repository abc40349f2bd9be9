/* SPDX-License-Identifier: MIT */
/*
 * segments.S - code for segments that are not flat: copied to where their bases lead (segments.c), so all of it must do with offsets
 * from based_code or code16, and absolute addresses in flat DS. Whatever is called ends with a far RET of 32 bits.
 */
#define BASED(label) (0x600000 + (label) - based_code)	/* offset in CS */
#define FLAT(label) (0x620000 + (label) - based_code)	/* linear address */
#define SMALL(label) ((label) - code16)
#define KERNEL_CS 0x08

	.macro entry name
	.globl \name
\name:
	.endm

	.data
	entry based_code
	entry based_eip
	call 1f
1:	popl %eax
	lret

	entry based_flow
	movl $5, %ecx
	xorl %eax, %eax
1:	addl %ecx, %eax
	loop 1b
	jecxz 2f
	ud2
2:	call 3f
	movl $BASED(5f), %edx
	jmp *%edx
	ud2
3:	addl $0x100, %eax
	ret $0
	ud2
5:	pushl $BASED(6f)
	call *(%esp)
	addl $4, %esp
	cmpl $0x1110f, %eax
	je 7f
	ud2
6:	addl $0x11000, %eax
	ret
7:	lret

	entry based_data			/* reads itself through CS, and the same address through DS */
	movl %cs:BASED(based_data), %eax
	subl FLAT(based_data), %eax
	leal BASED(based_data), %edx
	addl %cs:(%edx), %eax
	lret

	entry based_rewrites
	movb $0x2a, FLAT(1f + 1)
1:	movl $7, %eax
	lret

	entry based_ud
	nop
	ud2

	entry based_int
	int $0x46
	entry based_after_int
	lret

	entry based_handler			/* of a gate: where was it called from? */
	movl (%esp), %eax
	addl $0x10000000, %eax
	iret

	entry based_trap			/* ends in a trap, whoever jumps here */
	movl $0x77, %eax
	int $0x80

	entry based_steps
	nop
	call 1f
	lret
1:	incl %eax
	ret

	entry based_far				/* to flat code and back */
	lcall $KERNEL_CS, $flat_helper
	lret
	entry based_code_end

	.balign 16
	entry code16
	.code16
	entry small_plain
	xorl %eax, %eax
	movw $0x1234, %ax
	movw $0x5678, %bx
	addw %bx, %ax
	lretl

	entry small_flow
	movw $5, %cx
	xorl %eax, %eax
1:	addw %cx, %ax
	loop 1b
	jcxz 2f
	ud2
2:	call 3f
	movw $SMALL(4f), %dx
	jmp *%dx
	ud2
3:	addw $0x100, %ax
	ret
4:	movl $SMALL(5f), %edx
	jmpl *%edx
	ud2
5:	lretl

	entry small_data
	movw $SMALL(9f), %bx
	movw $2, %si
	movw %cs:(%bx, %si), %ax
	movl %cs:4(%bx), %edx
	addl %edx, %eax
	movl $SMALL(9f), %ecx
	addw %cs:(%ecx), %ax
	incw %ax
	incl %eax
	lretl
	.balign 4
9:	.long 0x33221100, 0x12340000

	entry small_string			/* 16-bit DS:SI and ES:DI, in flat segments */
	movl $0x7fff8000, %esi
	movl $0x7fff9000, %edi
	movl $0x7fff0004, %ecx
	rep movsb
	movl %esi, %eax
	addl %edi, %eax
	addl %ecx, %eax
	movw $0x9000, %bx
	addl (%bx), %eax
	lretl

	entry small_stack
	movl %esp, %edx
	pushw $0x1111
	pushl $0x22222222
	pushw %cs
	pushal
	popal
	pushaw
	popaw
	popw %bx
	popl %ecx
	popw %ax
	movl %esp, %ebp			/* of which ENTER changes the lower half */
	enter $8, $0
	leave
	cmpl %esp, %edx
	je 1f
	ud2
1:	movzwl %ax, %eax
	addl %ecx, %eax
	lretl

	entry small_sse
	movl $0x01020304, %eax
	movd %eax, %xmm0
	paddd %xmm0, %xmm0
	movd %xmm0, %edx
	movl $3, %ecx
	cvtsi2sd %ecx, %xmm1
	addsd %xmm1, %xmm1
	cvttsd2si %xmm1, %eax
	addl %edx, %eax
	pxor %xmm1, %xmm1
	imulw $3, %ax, %ax
	lretl

	entry small_far				/* a frame of 16 bits */
	pushw %cs
	call 1f
	addw $0x1000, %ax
	lretl
1:	movw $0x0234, %ax
	lretw

	entry small_int
	int $0x46
	entry small_after_int
	lretl

	entry small_ud
	nop
	ud2

	entry small_handler
	movl (%esp), %eax
	addl $0x20000000, %eax
	iretl

	entry small_steps
	nop
	movw $2, %cx
1:	loop 1b
	lretl
	.code32
	entry code16_end

	.text
flat_helper:
	movl $0x99, %eax
	lret

	/* uint32_t far_call(offset, selector) */
	.globl far_call
far_call:
	pushl %ebp
	pushl %ebx
	pushl %esi
	pushl %edi
	xorl %eax, %eax
	lcall *20(%esp)
	popl %edi
	popl %esi
	popl %ebx
	popl %ebp
	ret
	/* far_jump, far_iret, far_return (offset, selector): do not come back */
	.globl far_jump, far_iret, far_return
far_jump:
	ljmp *4(%esp)
far_iret:
	movl 4(%esp), %eax
	movl 8(%esp), %edx
	pushl $2
	pushl %edx
	pushl %eax
	iret
far_return:
	movl 4(%esp), %eax
	movl 8(%esp), %edx
	pushl %edx
	pushl %eax
	lret
	/* user_code(offset, selector): the same to ring 3 */
	.globl user_code
user_code:
	movl 4(%esp), %eax
	movl 8(%esp), %edx
	pushl $0x2b
	pushl $user_stack_top
	pushl $2
	pushl %edx
	pushl %eax
	iret
	.section .note.GNU-stack, "", @progbits
