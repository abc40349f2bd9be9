/* SPDX-License-Identifier: MIT */
/*
 * start.S - the first instructions, and the ways in and out of the kernel.
 *
 * The host enters us at `start` by its physical address, at ring 1, with flat segments, no stack, and no page tables: linear
 * addresses are physical ones until the first NEW_PGTABLE. ESI points to the boot parameters. We are linked at PAGE_OFFSET, so
 * until the jump to `high` every address needs PHYS().
 */
#define PHYS(x) ((x) - 0xc0000000)

	.section .head, "ax"
	.globl start
start:
	/* Keep what we were entered with: the self-test compares it with the contract. */
	movl %eax, PHYS(entry_state) + 0
	movl %ecx, PHYS(entry_state) + 4
	movl %edx, PHYS(entry_state) + 8
	movl %ebx, PHYS(entry_state) + 12
	movl %esp, PHYS(entry_state) + 16
	movl %ebp, PHYS(entry_state) + 20
	movl %esi, PHYS(entry_state) + 24
	movl %edi, PHYS(entry_state) + 28
	movw %cs, PHYS(entry_state) + 32
	movw %ss, PHYS(entry_state) + 36
	movw %ds, PHYS(entry_state) + 40
	movw %es, PHYS(entry_state) + 44
	movw %fs, PHYS(entry_state) + 48
	movw %gs, PHYS(entry_state) + 52
	movl $PHYS(boot_stack_top), %esp
	pushfl
	popl PHYS(entry_state) + 56

	cld
	xorl %eax, %eax
	movl $PHYS(bss_start), %edi
	movl $PHYS(bss_end), %ecx
	subl %edi, %ecx
	shrl $2, %ecx
	rep stosl

	/* The first 8 MiB, both where they are and at PAGE_OFFSET: enough to reach C. Flags: present, writable, accessed, dirty. */
	movl $PHYS(boot_tables), %edi
	movl $0x63, %eax
	movl $2048, %ecx
1:	stosl
	addl $4096, %eax
	decl %ecx
	jnz 1b
	movl $PHYS(boot_tables) + 0x63, PHYS(boot_directory) + 0 * 4
	movl $PHYS(boot_tables) + 0x1063, PHYS(boot_directory) + 1 * 4
	movl $PHYS(boot_tables) + 0x63, PHYS(boot_directory) + 768 * 4
	movl $PHYS(boot_tables) + 0x1063, PHYS(boot_directory) + 769 * 4

	movl $1, %eax			/* LGUEST_INIT: here we are */
	movl $PHYS(lguest_data), %ebx
	int $0x1f
	movl $4, %eax			/* NEW_PGTABLE: ends the physical world */
	movl $PHYS(boot_directory), %ebx
	int $0x1f
	movl $boot_stack_top, %esp
	xorl %ebp, %ebp
	movl $high, %eax
	jmp *%eax

	.text
high:
	call main
	ud2

/*
 * Traps and interrupts. The host pushes EFLAGS, CS, EIP (after SS and ESP, on the stack of SET_STACK, when it came from ring 3)
 * and for some vectors an error code. A stub makes all of them alike; trap_common saves the rest: struct frame in trap.h.
 */
	.macro stub vector
	.align 16
	.if \vector == 8 || (\vector >= 10 && \vector <= 14) || \vector == 17
	.else
	pushl $0
	.endif
	pushl $\vector
	jmp trap_common
	.endm

	.globl trap_stubs
	.align 16
trap_stubs:
	.altmacro
	.set i, 0
	.rept 64
	stub %i
	.set i, i + 1
	.endr
	.noaltmacro

	.globl syscall_stub
syscall_stub:
	pushl $0
	pushl $0x80

trap_common:
	pushal
	pushl %ds
	pushl %es
	pushl %fs
	pushl %gs
	cld
	movl $0x69, %eax
	movl %eax, %ds
	movl %eax, %es
	movl $0xd8, %eax
	movl %eax, %fs
	xorl %eax, %eax			/* LOAD_TLS may replace what GS names: hold nothing meanwhile */
	movl %eax, %gs
	movl %esp, %eax
	call trap
	.globl trap_return
trap_return:
	popl %gs
	popl %fs
	popl %es
	popl %ds
	popal
	addl $8, %esp
	/*
	 * IRET at ring 1 cannot change IF, and the host looks at lguest_data.irq_enabled (its first word) instead: store the
	 * frame's flags there. From that store on an interrupt could come in the middle of our return and pile up frames without
	 * end, so the host keeps away from [noirq_start, noirq_end). DS is the user's already: flat, but SS is surely ours.
	 */
	pushl %eax
	movl 12(%esp), %eax
	.globl noirq_start
noirq_start:
	movl %eax, %ss:lguest_data
	popl %eax
	iret
	.globl noirq_end
noirq_end:

/* void switch_stacks(uint32_t *save, uint32_t load): leave this kernel stack for another one, which was left here too. */
	.globl switch_stacks
switch_stacks:
	pushl %ebp
	pushl %ebx
	pushl %esi
	pushl %edi
	movl %esp, (%eax)
	movl %edx, %esp
	popl %edi
	popl %esi
	popl %ebx
	popl %ebp
	ret

/*
 * int probe_run(struct probe *probe, void (*function)(void *), void *argument): call a function that may trap. The trap handler
 * finds the probe, fills in what happened and returns to probe_landing, which is this function returning 1.
 */
	.globl probe_run
probe_run:
	pushl %ebp
	pushl %ebx
	pushl %esi
	pushl %edi
	pushl %eax
	movl %esp, (%eax)
	movl %ecx, %eax
	call *%edx
	xorl %eax, %eax
	jmp 1f
	.globl probe_landing
probe_landing:
	movl $1, %eax
1:	addl $4, %esp
	popl %edi
	popl %esi
	popl %ebx
	popl %ebp
	ret

	.data
	.align 4
	.globl entry_state
entry_state:
	.fill 15, 4, 0

	.section .bss
	.align 4096
	.globl boot_directory
boot_directory:
	.skip 4096
boot_tables:
	.skip 8192
boot_stack:
	.skip 8192
	.globl boot_stack_top
boot_stack_top:

	.section .note.GNU-stack, "", @progbits
