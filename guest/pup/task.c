/* SPDX-License-Identifier: MIT */
/*
 * task.c - user programs, and how the processor passes from one to the next.
 *
 * Each task has its own page directory and kernel stack. A switch queues what the host must know (directory, stack, thread-local
 * segments, whether the FPU may be used) in the ring and has it executed with one call; then it changes kernel stacks. Task 0 is
 * the shell: it has no user half and runs on the boot stack.
 *
 * The FPU is switched lazily: a task that is not its owner runs with TS set, and its first use of the FPU raises #NM, where the
 * registers change hands.
 */
#include "pup.h"

#define FPU_CONTROL_WORD 0x037f
#define MXCSR_DEFAULT    0x1f80

struct task tasks[TASK_COUNT] = { { .state = TASK_READY, .directory = boot_directory } };

static struct task *fpu_owner;
static uint32_t next_id = 1;
static volatile bool slice_over;

extern const char trap_return[];
extern const uint8_t user_image[], user_image_end[];
asm_call void switch_stacks(uint32_t *save, uint32_t load);

void task_init(void)
{
	hypercall(LHCALL_TS, 8, 0, 0, 0);
}

static void set_current(struct task *task)
{
	__asm__ volatile("movl %0, %%fs:0" : : "r"(task) : "memory");
}

/* Interrupts are off. */
static void switch_to(struct task *next)
{
	struct task *previous = task_current();

	if (next == previous)
		return;
	set_current(next);
	hypercall_lazy(LHCALL_NEW_PGTABLE, PHYSICAL(next->directory), 0, 0, 0);
	if (next->stack) {
		hypercall_lazy(LHCALL_SET_STACK, KERNEL_DS, (uint32_t)next->stack + STACK_PAGES * PAGE_SIZE, STACK_PAGES, 0);
		segment_load_tls(next->tls);
	}
	hypercall_lazy(LHCALL_TS, next == fpu_owner ? 0 : 8, 0, 0, 0);
	hypercall(LHCALL_FLUSH_ASYNC, 0, 0, 0, 0);
	switch_stacks(&previous->kernel_esp, next->kernel_esp);
}

/* The next task after @from that could run, @from itself last; NULL: none. */
static struct task *next_ready(struct task *from)
{
	for (unsigned int i = 1; i <= TASK_COUNT; i++) {
		struct task *task = &tasks[(from - tasks + i) % TASK_COUNT];

		if (task->state == TASK_READY)
			return task;
	}
	return NULL;
}

void task_yield(void)
{
	uint32_t flags = irq_save();
	struct task *next;

	slice_over = false;
	while (!(next = next_ready(task_current()))) {
		hypercall(LHCALL_HALT, 0, 0, 0, 0);
		irq_save();
	}
	switch_to(next);
	if (next_ready(next) != next)
		clock_arm(clock_now() + SLICE);
	irq_restore(flags);
}

bool task_should_yield(void)
{
	return slice_over && next_ready(task_current()) != task_current();
}

void task_tick(void)
{
	uint64_t now = clock_now(), next = 0;

	slice_over = true;
	for (struct task *task = tasks; task < tasks + TASK_COUNT; task++) {
		if (task->state != TASK_SLEEPING)
			continue;
		if (task->wake <= now)
			task->state = TASK_READY;
		else if (!next || task->wake < next)
			next = task->wake;
	}
	if (next)
		clock_arm(next);
}

void task_sleep(uint64_t ns)
{
	struct task *task = task_current();

	irq_save();
	task->wake = clock_now() + ns;
	task->state = TASK_SLEEPING;
	clock_arm(task->wake);
	task_yield();
	irq_enable();
}

/* Where a new task's registers are: at the top of its kernel stack, as if it had trapped from ring 3. */
static struct frame *user_frame(struct task *task)
{
	return (struct frame *)(task->stack + STACK_PAGES * PAGE_SIZE) - 1;
}

static struct task *task_create(struct task *parent)
{
	struct task *task = NULL;

	for (unsigned int i = 1; i < TASK_COUNT; i++) {
		if (tasks[i].state == TASK_NONE) {
			task = &tasks[i];
			break;
		}
	}
	if (!task)
		return NULL;
	memset(task, 0, sizeof(*task));
	task->id = next_id++;
	task->parent = parent;
	task->directory = space_create();
	task->stack = page_alloc();
	/* switch_stacks() pops four registers and returns: to trap_return, with the frame on the stack. */
	task->kernel_esp = (uint32_t)user_frame(task) - 5 * 4;
	((uint32_t *)task->kernel_esp)[4] = (uint32_t)trap_return;
	return task;
}

static void start_program(struct task *task, struct frame *frame, uint32_t argument)
{
	memset(frame, 0, sizeof(*frame));
	frame->ebx = argument;
	frame->cs = USER_CS;
	frame->ds = frame->es = frame->ss = USER_DS;
	frame->eip = USER_IMAGE;
	frame->esp = USER_STACK_TOP - 16;
	frame->eflags = IRQ_ON | 2;
	memset(task->regions, 0, sizeof(task->regions));
	task->regions[0] = (struct region){ USER_IMAGE, USER_IMAGE + USER_IMAGE_LIMIT, true };
	task->regions[1] = (struct region){ USER_STACK_TOP - USER_STACK, USER_STACK_TOP, true };
	memset(task->tls, 0, sizeof(task->tls));
	task->fpu_used = false;
	if (fpu_owner == task)
		fpu_owner = NULL;
}

static void start(struct task *task)
{
	task->state = TASK_READY;
	clock_arm(clock_now() + SLICE);
}

struct task *task_spawn(uint32_t argument)
{
	struct task *task = task_create(task_current());

	if (!task)
		return NULL;
	start_program(task, user_frame(task), argument);
	start(task);
	return task;
}

void task_exec(struct frame *frame, uint32_t argument)
{
	struct task *task = task_current();

	for (unsigned int i = 0; i < TASK_REGIONS; i++)
		space_unmap(task->directory, task->regions[i].start, task->regions[i].end);
	start_program(task, frame, argument);
	segment_load_tls(task->tls);
	hypercall(LHCALL_TS, 8, 0, 0, 0);
}

static void save_fpu(struct task *task)
{
	__asm__ volatile("fxsave %0" : "=m"(task->fpu));
}

struct task *task_fork(const struct frame *frame)
{
	struct task *parent = task_current(), *child = task_create(parent);

	if (!child)
		return NULL;
	*user_frame(child) = *frame;
	user_frame(child)->eax = 0;
	memcpy(child->regions, parent->regions, sizeof(child->regions));
	memcpy(child->tls, parent->tls, sizeof(child->tls));
	if (fpu_owner == parent)
		save_fpu(parent);
	memcpy(child->fpu, parent->fpu, sizeof(child->fpu));
	child->fpu_used = parent->fpu_used;
	space_share(child->directory, parent->directory);
	start(child);
	return child;
}

void task_exit(uint32_t code)
{
	struct task *task = task_current();

	irq_save();
	if (fpu_owner == task)
		fpu_owner = NULL;
	for (unsigned int i = 1; i < TASK_COUNT; i++) {
		if (tasks[i].parent == task)
			tasks[i].parent = &tasks[0];
	}
	task->exit_code = code;
	task->state = TASK_DEAD;
	if (task->parent->state == TASK_WAITING)
		task->parent->state = TASK_READY;
	for (;;)
		task_yield();
}

uint32_t task_wait(struct task *parent, uint32_t *code)
{
	for (;;) {
		uint32_t flags = irq_save();
		bool any = false;

		for (struct task *task = tasks + 1; task < tasks + TASK_COUNT; task++) {
			if (task->state == TASK_NONE || task->parent != parent)
				continue;
			any = true;
			if (task->state == TASK_DEAD) {
				*code = task->exit_code;
				irq_restore(flags);
				space_destroy(task->directory);
				page_put(task->stack);
				task->state = TASK_NONE;
				return task->id;
			}
		}
		if (any) {
			parent->state = TASK_WAITING;
			task_yield();
		}
		irq_restore(flags);
		if (!any)
			return 0;
	}
}

void task_use_fpu(void)
{
	struct task *task = task_current();

	hypercall(LHCALL_TS, 0, 0, 0, 0);
	if (fpu_owner == task)
		return;
	if (fpu_owner)
		save_fpu(fpu_owner);
	fpu_owner = task;
	if (!task->fpu_used) {
		memset(task->fpu, 0, sizeof(task->fpu));
		*(uint16_t *)&task->fpu[0] = FPU_CONTROL_WORD;
		*(uint32_t *)&task->fpu[24] = MXCSR_DEFAULT;
		task->fpu_used = true;
	}
	__asm__ volatile("fxrstor %0" : : "m"(task->fpu));
}
