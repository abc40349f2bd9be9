/* SPDX-License-Identifier: MIT */
/* syscall.c - what a user program may ask, with INT 0x80, the numbers and the argument registers of Linux on i386. */
#include "pup.h"

enum {
	SYS_EXIT = 1, SYS_FORK = 2, SYS_WRITE = 4, SYS_WAITPID = 7, SYS_EXECVE = 11, SYS_GETPID = 20, SYS_GETPPID = 64,
	SYS_MUNMAP = 91, SYS_SCHED_YIELD = 158, SYS_NANOSLEEP = 162, SYS_MMAP2 = 192, SYS_SET_THREAD_AREA = 243,
	SYS_CLOCK_GETTIME = 265, SYS_COUNT,
};

enum { ECHILD = 10, EAGAIN = 11, ENOMEM = 12, EFAULT = 14, EINVAL = 22, ENOSYS = 38 };

struct copy {
	void *to;
	const void *from;
	size_t size;
};

static asm_call void do_copy(void *argument)
{
	struct copy *copy = argument;

	memcpy(copy->to, copy->from, copy->size);
}

/* Copy where one side belongs to the user: false if that is not memory he could touch himself. */
static bool copy_user(uint32_t user, struct copy copy)
{
	struct probe probe_result;

	if (user >= PAGE_OFFSET || copy.size > PAGE_OFFSET - user)
		return false;
	return probe(&probe_result, do_copy, &copy) == PROBE_NONE;
}

static bool from_user(void *to, uint32_t user, size_t size)
{
	return copy_user(user, (struct copy){ to, (void *)user, size });
}

static bool to_user(uint32_t user, const void *from, size_t size)
{
	return copy_user(user, (struct copy){ (void *)user, from, size });
}

static uint32_t sys_exit(struct frame *frame)
{
	task_exit(frame->ebx & 0xff);
}

static uint32_t sys_fork(struct frame *frame)
{
	struct task *child = task_fork(frame);

	return child ? child->id : (uint32_t)-EAGAIN;
}

static uint32_t sys_write(struct frame *frame)
{
	uint32_t done = 0;
	char text[256];

	while (done < frame->edx) {
		uint32_t size = frame->edx - done < sizeof(text) ? frame->edx - done : sizeof(text);

		if (!from_user(text, frame->ecx + done, size))
			return done ? done : (uint32_t)-EFAULT;
		console_write(text, size);
		done += size;
	}
	return done;
}

/* The status as Linux encodes it: exit code in bits 8-15, or a signal's number: here, the vector of the fatal trap. */
static uint32_t sys_waitpid(struct frame *frame)
{
	uint32_t code, id = task_wait(task_current(), &code), status;

	if (!id)
		return -ECHILD;
	status = code < 256 ? code << 8 : code - 256 + 1;
	if (frame->ecx && !to_user(frame->ecx, &status, sizeof(status)))
		return -EFAULT;
	return id;
}

/* There is one program: EBX is just a number for it. */
static uint32_t sys_execve(struct frame *frame)
{
	task_exec(frame, frame->ebx);
	return 0;
}

static uint32_t sys_getpid(struct frame *frame)
{
	return task_current()->id;
}

static uint32_t sys_getppid(struct frame *frame)
{
	return task_current()->parent->id;
}

/* Anonymous private memory only; the address is ours to choose: the first gap in the arena. */
static uint32_t sys_mmap2(struct frame *frame)
{
	struct task *task = task_current();
	uint32_t size = (frame->ecx + PAGE_SIZE - 1) & PTE_FRAME, start = USER_ARENA;
	struct region *slot = NULL;

	if (!size || size > USER_STACK_TOP - USER_STACK - USER_ARENA)
		return -EINVAL;
	for (unsigned int i = 0; i < TASK_REGIONS; i++) {
		struct region *region = &task->regions[i];

		if (!region->end)
			slot = region;
		else if (region->end > start && region->start < start + size) {
			start = region->end;
			i = -1; /* look again at all of them */
		}
	}
	if (!slot || start + size > USER_STACK_TOP - USER_STACK)
		return -ENOMEM;
	*slot = (struct region){ start, start + size, frame->edx & 2 };
	return start;
}

static uint32_t sys_munmap(struct frame *frame)
{
	struct task *task = task_current();

	for (unsigned int i = 2; i < TASK_REGIONS; i++) {
		struct region *region = &task->regions[i];

		if (region->end && region->start == frame->ebx) {
			space_unmap(task->directory, region->start, region->end);
			*region = (struct region){ 0 };
			return 0;
		}
	}
	return -EINVAL;
}

static uint32_t sys_sched_yield(struct frame *frame)
{
	task_yield();
	return 0;
}

static uint32_t sys_nanosleep(struct frame *frame)
{
	uint32_t time[2];

	if (!from_user(time, frame->ebx, sizeof(time)))
		return -EFAULT;
	task_sleep(time[0] * 1000000000ull + time[1]);
	return 0;
}

/* struct user_desc: entry number, base, limit, flags. We look at the base only; the answer is the entry number. */
static uint32_t sys_set_thread_area(struct frame *frame)
{
	struct task *task = task_current();
	uint32_t description[4];

	if (!from_user(description, frame->ebx, sizeof(description)))
		return -EFAULT;
	task->tls[0] = segment_descriptor(description[1], 0xfffff, 0xf2, 0xc);
	segment_load_tls(task->tls);
	hypercall(LHCALL_FLUSH_ASYNC, 0, 0, 0, 0);
	description[0] = TLS_SLOT;
	return to_user(frame->ebx, description, sizeof(description)) ? 0 : (uint32_t)-EFAULT;
}

static uint32_t sys_clock_gettime(struct frame *frame)
{
	uint64_t now = clock_now();
	uint32_t time[2] = { divide(now, 1000000000) };

	time[1] = now - (uint64_t)time[0] * 1000000000;
	return to_user(frame->ecx, time, sizeof(time)) ? 0 : (uint32_t)-EFAULT;
}

static uint32_t (*const calls[SYS_COUNT])(struct frame *) = {
	[SYS_EXIT] = sys_exit,
	[SYS_FORK] = sys_fork,
	[SYS_WRITE] = sys_write,
	[SYS_WAITPID] = sys_waitpid,
	[SYS_EXECVE] = sys_execve,
	[SYS_GETPID] = sys_getpid,
	[SYS_GETPPID] = sys_getppid,
	[SYS_MUNMAP] = sys_munmap,
	[SYS_SCHED_YIELD] = sys_sched_yield,
	[SYS_NANOSLEEP] = sys_nanosleep,
	[SYS_MMAP2] = sys_mmap2,
	[SYS_SET_THREAD_AREA] = sys_set_thread_area,
	[SYS_CLOCK_GETTIME] = sys_clock_gettime,
};

void syscall(struct frame *frame)
{
	uint32_t number = frame->eax;

	frame->eax = number < SYS_COUNT && calls[number] ? calls[number](frame) : (uint32_t)-ENOSYS;
}
