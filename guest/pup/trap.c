/* SPDX-License-Identifier: MIT */
/*
 * trap.c - gates, exceptions and the 32 interrupts.
 *
 * The host keeps the IDT; we send it one gate at a time. Exceptions and interrupts come through interrupt gates, which clear
 * irq_enabled; system calls through a trap gate, which does not. Interrupt 0 is the timer. The others are flow-controlled by
 * blocking: our bit in blocked_interrupts is set while the handler runs, and no hypercall tells the host when it is cleared.
 */
#include "pup.h"

enum { GATE_INTERRUPT = 0x8e00, GATE_TRAP = 0x8f00, GATE_RING3 = 0x6000 };

enum { TRAP_BREAKPOINT = 3, TRAP_OVERFLOW = 4, TRAP_NO_FPU = 7, TRAP_GENERAL_PROTECTION = 13, TRAP_PAGE_FAULT = 14 };

#define STUB_SIZE 16 /* of each entry of trap_stubs in start.S */

extern const char trap_stubs[], syscall_stub[], probe_landing[];
asm_call int probe_run(struct probe *probe, asm_call void (*function)(void *), void *argument);

static struct probe *active_probe;

static struct {
	void (*handler)(void *);
	void *argument;
} irq_actions[IRQ_COUNT];

volatile uint32_t irq_counts[IRQ_COUNT];

static void load_gate(unsigned int vector, const void *entry, uint32_t type)
{
	uint32_t offset = (uint32_t)entry;

	hypercall(LHCALL_LOAD_IDT_ENTRY, vector, (uint32_t)KERNEL_CS << 16 | (offset & 0xffff), (offset & 0xffff0000) | type, 0);
}

void trap_init(void)
{
	for (unsigned int vector = 0; vector < 256; vector++) {
		bool user = vector == TRAP_BREAKPOINT || vector == TRAP_OVERFLOW;

		if (vector == SYSCALL_VECTOR)
			load_gate(vector, syscall_stub, GATE_TRAP | GATE_RING3);
		else if (vector < IRQ_VECTOR + IRQ_COUNT)
			load_gate(vector, trap_stubs + vector * STUB_SIZE, GATE_INTERRUPT | (user ? GATE_RING3 : 0));
		else
			hypercall(LHCALL_LOAD_IDT_ENTRY, vector, 0, 0, 0); /* absent: INT n faults */
	}
}

void irq_request(unsigned int irq, void (*handler)(void *), void *argument)
{
	irq_actions[irq].argument = argument;
	irq_actions[irq].handler = handler;
	lguest_data.blocked_interrupts &= ~(1u << irq);
}

static void handle_irq(unsigned int irq)
{
	irq_counts[irq]++;
	if (irq)
		lguest_data.blocked_interrupts |= 1u << irq;
	if (irq_actions[irq].handler)
		irq_actions[irq].handler(irq_actions[irq].argument);
	if (irq)
		lguest_data.blocked_interrupts &= ~(1u << irq);
}

static bool from_user(const struct frame *frame)
{
	return (frame->cs & 3) == 3;
}

static void describe(const struct frame *frame, uint32_t cr2)
{
	print("pup: trap %u error %x at %02x:%08x address %08x\n", frame->vector, frame->error, frame->cs, frame->eip, cr2);
	print("pup: eax %08x ebx %08x ecx %08x edx %08x\n", frame->eax, frame->ebx, frame->ecx, frame->edx);
	print("pup: esi %08x edi %08x ebp %08x eflags %08x\n", frame->esi, frame->edi, frame->ebp, frame->eflags);
}

/* A kernel trap that somebody is waiting for: note it, and return to probe_landing on the stack that probe_run() had. */
static void land_probe(struct frame *frame, uint32_t cr2)
{
	struct probe *hit = active_probe;

	active_probe = NULL;
	hit->vector = frame->vector;
	hit->error = frame->error;
	hit->cr2 = cr2;
	hit->eip = frame->eip;
	hit->eflags = frame->eflags;
	/* No IRET: the frame is simply forgotten, with everything else below that stack pointer. */
	__asm__ volatile("movl %0, %%esp\n\t"
			 "movl %1, lguest_data\n\t"
			 "jmp probe_landing"
			 : : "r"(hit->esp), "r"(frame->eflags & IRQ_ON) : "memory");
	__builtin_unreachable();
}

static void fault(struct frame *frame)
{
	/* First thing, with interrupts still off: the next fault overwrites it. */
	uint32_t cr2 = lguest_data.cr2;
	bool write = frame->error & 2;

	if (frame->vector == TRAP_NO_FPU) {
		task_use_fpu();
		return;
	}
	if (frame->vector == TRAP_PAGE_FAULT && cr2 < PAGE_OFFSET) {
		if (frame->eflags & IRQ_ON)
			irq_enable();
		if (space_fault(cr2, write))
			return;
		irq_save();
	}
	if (from_user(frame)) {
		irq_enable();
		task_exit(256 + frame->vector);
	}
	if (active_probe)
		land_probe(frame, cr2);
	describe(frame, cr2);
	panic("trap %u in the kernel at %08x", frame->vector, frame->eip);
}

asm_call void trap(struct frame *frame)
{
	uint32_t vector = frame->vector;

	if (vector == SYSCALL_VECTOR)
		syscall(frame);
	else if (vector >= IRQ_VECTOR)
		handle_irq(vector - IRQ_VECTOR);
	else
		fault(frame);
	if (from_user(frame) && task_should_yield()) {
		irq_enable();
		task_yield();
	}
	/* Interrupts stay off from here to the IRET, which turns them on again as the frame says. */
	irq_save();
}

uint32_t probe(struct probe *result, asm_call void (*function)(void *), void *argument)
{
	struct probe *outer = active_probe;
	bool trapped;

	result->vector = PROBE_NONE;
	active_probe = result;
	trapped = probe_run(result, function, argument);
	active_probe = outer;
	return trapped ? result->vector : PROBE_NONE;
}
