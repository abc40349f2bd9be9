/* SPDX-License-Identifier: MIT */
/*
 * programs.S - programs that rewrite themselves, one after the other.
 *
 * Each is copied to PROGRAM_BASE and ends at the INT3s behind it. The same registers and memory must come out natively and
 * translated. At entry: EBX = a data page, ESI = EDI = another address in it, ESP = the stack, ECX = 0.
 */
#include "tests/cpu/x86/oracle/programs.h"

#define CODE_TO_ALIAS	0x30000000	/* ALIAS_BASE - CODE_BASE */
#define ALIAS_DATA	0x40002000
#define DATA		0x20000000

	.code32
	.text

	.macro	program name
	.balign	16, 0xcc
	.set	here, .
prog_\name:
	.endm

	.macro	finish name
prog_\name\()_end:
	.pushsection .rodata.names, "aMS", @progbits, 1
name_\name:	.asciz "\name"
	.popsection
	.pushsection .data.rel.ro.table, "aw"
	.quad	name_\name, prog_\name, prog_\name\()_end
	.popsection
	.endm

/* Where a label will be at run time. */
#define AT(label, name) (label - prog_##name + PROGRAM_BASE)

	.pushsection .data.rel.ro.table, "aw"
	.balign 8
	.globl	hand_programs
hand_programs:
	.popsection

	/* The next instruction's immediate, in the same block. */
	program	next_instruction
	movb	$7, AT(1f, next_instruction) + 1
1:	mov	$1, %eax
	add	%eax, %edx
	finish	next_instruction

	/* Again and again, in a loop: the page is code and data at once. */
	program	counting_immediate
	mov	$300, %ecx
1:	incb	AT(2f, counting_immediate) + 1
2:	mov	$0, %eax
	add	%eax, %edx
	rol	$1, %edx
	dec	%ecx
	jnz	1b
	finish	counting_immediate

	/* An instruction that has been executed already, then executed again. */
	program	behind
	mov	$3, %ecx
1:	add	$1, %eax
	addb	$5, AT(1b, behind) + 2
	loop	1b
	finish	behind

	/* The opcode of the next instruction: an ADD becomes a SUB. */
	program	next_opcode
	movb	$0x29, AT(1f, next_opcode)
1:	add	%ecx, %eax
	mov	%eax, (%ebx)
	finish	next_opcode

	/* An instruction that overwrites itself; what it did stays done. */
	program	itself
1:	movl	$0x90909090, AT(1b, itself)
	inc	%edx
	finish	itself

	/* A function that is patched between two calls, the first time by another function. */
	program	function
	call	2f
	movl	$0x00000002, AT(2f, function) + 1
	call	2f
	call	1f
	call	2f
	jmp	3f
1:	movl	$0x12345678, AT(2f, function) + 1
	ret
2:	mov	$1, %eax
	add	%eax, %edx
	ret
3:	nop
	finish	function

	/* A branch's displacement: not taken there, but elsewhere. */
	program	branch
	mov	$2, %ecx
1:	jmp	2f
2:	inc	%eax
3:	inc	%edx
	movb	$3f - 2f, AT(1b, branch) + 1
	dec	%ecx
	jnz	1b
	finish	branch

	/* Through another address of the same frame. */
	program	alias
	movb	$9, AT(1f, alias) + 1 + CODE_TO_ALIAS
	jmp	1f
1:	mov	$1, %eax
	add	%eax, %edx
	movb	$11, AT(1b, alias) + 1 + CODE_TO_ALIAS
	inc	%ecx
	cmp	$3, %ecx
	jb	1b
	finish	alias

	/*
	 * The same code at two addresses, in turn: what calls push, what jumps within a page and out of it lead to, and where it stops in the
	 * end are the address's that it runs at. Nothing is rewritten.
	 */
	program	two_places
	mov	$4, %ecx
1:	call	2f
	mov	$AT(2f, two_places) + CODE_TO_ALIAS, %eax
	call	*%eax
	push	$AT(2f, two_places) + CODE_TO_ALIAS
	call	*(%esp)
	pop	%eax
	dec	%ecx
	jnz	1b
	mov	$3, %esi
	mov	$AT(6f, two_places) + CODE_TO_ALIAS, %eax
	jmp	*%eax

2:	call	3f
3:	pop	%eax
	call	5f
	test	$1, %cl
	jz	4f
	call	7f
	add	$0x1234, %edx
4:	lea	(%edx, %eax, 2), %edx
	lea	7f - 3b(%eax), %ebp
	push	%ebp
	call	*(%esp)
	call	*%ebp
	pop	%ebp
	ret
5:	add	(%esp), %edx
	call	8f
	rol	$3, %edx
	ret

6:	mov	%esp, %ebp
	call	7f
	push	$8f - 6b
	call	5b
	pop	%eax
	dec	%esi
	jnz	6b
	idivl	DATA + 0x10
	.org	prog_two_places + 0x104, 0xcc	/* behind the edge */
7:	call	8f
	jc	9f
	inc	%edx
9:	ret
8:	add	(%esp), %edx
	xor	4(%esp), %edx
	ret
	finish	two_places

	/* Jump to the other address, rewrite the first from there, and back. */
	program	alias_jump
	mov	$2, %ecx
1:	mov	$1, %eax
	add	%eax, %edx
	mov	$AT(2f, alias_jump) + CODE_TO_ALIAS, %esi
	jmp	*%esi
2:	incb	AT(1b, alias_jump) + 1
	mov	$AT(3f, alias_jump), %esi
	jmp	*%esi
3:	loop	1b
	finish	alias_jump

	/* Data at two addresses in one block. */
	program	alias_data
	movl	$1, DATA + 0x10
	addl	$2, ALIAS_DATA + 0x10
	mov	DATA + 0x10, %eax
	shll	$4, DATA + 0x10
	mov	ALIAS_DATA + 0x10, %edx
	lock incl DATA + 0x10
	mov	$DATA + 0x10, %esi
	mov	$ALIAS_DATA + 0x14, %edi
	mov	$8, %ecx
	rep movsl
	mov	ALIAS_DATA + 0x30, %ebp
	finish	alias_data

	/* Pushes that write the code ahead: 0x40404040 is four INC EAX. */
	program	push_ahead
	mov	%esp, %ebp
	mov	$AT(1f, push_ahead) + 8, %esp
	push	$0x40404040
	push	$0x42424242
	mov	%ebp, %esp
1:	.fill	8, 1, 0x90
	nop
	finish	push_ahead

	/* A call whose return address is written into the code that it returns to. */
	program	call_ahead
	mov	%esp, %ebp
	mov	$AT(1f, call_ahead) + 5, %esp
	call	2f
	mov	%ebp, %esp
1:	mov	$0, %eax
	add	%eax, %edx
	jmp	3f
2:	ret
3:	nop
	finish	call_ahead

	/* PUSHA over the code ahead. */
	program	pusha_ahead
	mov	%esp, %ebp
	mov	$0x41414141, %eax
	mov	%eax, %ecx
	mov	$0x40404040, %edx
	mov	%edx, %ebx
	mov	%edx, %esi
	mov	%edx, %edi
	mov	$AT(1f, pusha_ahead) + 20, %esp
	pusha
	mov	%ebp, %esp
	nop
1:	.fill	24, 1, 0x90
	finish	pusha_ahead

	/* Copy code over code ahead, forwards and backwards. */
	program	string_ahead
	mov	$AT(3f, string_ahead), %esi
	mov	$AT(1f, string_ahead), %edi
	mov	$6, %ecx
	rep movsb
	nop
1:	.fill	6, 1, 0xcc
	std
	mov	$AT(4f, string_ahead) - 1, %esi
	mov	$AT(2f, string_ahead) + 5, %edi
	mov	$6, %ecx
	rep movsb
	cld
2:	.fill	6, 1, 0xcc
	jmp	4f
3:	inc	%eax
	lea	1(%edx,%edx), %edx
	nop
4:	nop
	finish	string_ahead

	/* Stores of every kind into the code ahead. */
	program	kinds_of_stores
	movups	DATA, %xmm0
	movl	$0x90909090, %eax
	movd	%eax, %xmm1
	pshufd	$0, %xmm1, %xmm1
	movups	%xmm1, AT(1f, kinds_of_stores)
1:	.fill	16, 1, 0xcc
	movd	%eax, %mm0
	punpckldq %mm0, %mm0
	movq	%mm0, AT(2f, kinds_of_stores)
2:	.fill	8, 1, 0xcc
	emms
	fildl	DATA + 0x40
	movl	$0x40404040, DATA + 0x44
	filds	DATA + 0x44
	fistps	AT(3f, kinds_of_stores)
3:	.fill	2, 1, 0xcc
	fstp	%st(0)
	mov	$0x90909090, %ebx
	mov	$0x90909090, %ecx
	mov	AT(4f, kinds_of_stores), %eax
	mov	AT(4f, kinds_of_stores) + 4, %edx
	lock cmpxchg8b AT(4f, kinds_of_stores)
4:	.fill	8, 1, 0xcc
	xchg	%ebx, AT(5f, kinds_of_stores)
5:	.fill	4, 1, 0xcc
	mov	%ebp, DATA + 0x50
	mov	$0x90, %bh
	lock xchg %bh, AT(6f, kinds_of_stores)
6:	.byte	0xcc
	finish	kinds_of_stores

	/* The same page as code and as a counter, many times. */
	program	hot_counter
	mov	$20000, %ecx
1:	incl	AT(2f, hot_counter)
	add	AT(2f, hot_counter), %eax
	dec	%ecx
	jnz	1b
	jmp	3f
2:	.long	0
3:	nop
	finish	hot_counter

	/* The immediate of an instruction that lies across two pages: its second part is rewritten from the first page. */
	program	across_second
	mov	$4, %ecx
	jmp	1f
	.org	prog_across_second + PROGRAM_EDGE - PROGRAM_BASE - 2, 0x90
1:	mov	$0x01020304, %eax
	add	%eax, %edx
	incb	AT(1b, across_second) + 4
	dec	%ecx
	jnz	1b
	finish	across_second

	/* ... its first part, from the second page. */
	program	across_first
	mov	$4, %ecx
	jmp	1f
	.org	prog_across_first + PROGRAM_EDGE - PROGRAM_BASE - 2, 0x90
1:	mov	$0x01020304, %eax
	add	%eax, %edx
	incb	AT(1b, across_first) + 1
	dec	%ecx
	jnz	1b
	finish	across_first

	/* ... both at once, by a store that lies across the pages itself, and through the other address. */
	program	across_both
	mov	$4, %ecx
	jmp	1f
	.org	prog_across_both + PROGRAM_EDGE - PROGRAM_BASE - 3, 0x90
1:	mov	$0x01020304, %eax
	add	%eax, %edx
	addl	$0x10203, AT(1b, across_both) + 1
	addl	$0x1000000, AT(1b, across_both) + 1 + CODE_TO_ALIAS
	dec	%ecx
	jnz	1b
	finish	across_both

	/* The other page is rewritten by code that jumps there and back. */
	program	other_page
	mov	$5, %ecx
1:	call	2f
	incb	AT(2f, other_page) + 1
	loop	1b
	jmp	3f
	.org	prog_other_page + PROGRAM_EDGE - PROGRAM_BASE + 32, 0x90
2:	mov	$1, %eax
	add	%eax, %edx
	ret
3:	nop
	finish	other_page

	/* Code made on the stack and in data, run there, made anew, run again. */
	program	made_in_data
	movl	$0xc340c031, (%ebx)	/* xor eax, eax; inc eax; ret */
	call	*%ebx
	add	%eax, %edx
	movb	$0x48, 2(%ebx)		/* dec eax */
	call	*%ebx
	add	%eax, %edx
	push	$0xc3404040
	mov	%esp, %esi
	call	*%esi
	movb	$0xc3, 1(%esp)
	call	*%esi
	pop	%edi
	finish	made_in_data

	.pushsection .data.rel.ro.table, "aw"
	.quad	0, 0, 0
	.popsection

	.section .note.GNU-stack, "", @progbits
