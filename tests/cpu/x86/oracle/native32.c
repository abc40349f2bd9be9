/* SPDX-License-Identifier: MIT */
/*
 * native32.c - the oracle: a 32-bit process that runs instructions on the bare processor and says what they did.
 *
 * Freestanding, without libc: everything a case could stumble over must be ours. After start the address space holds this
 * program's image and struct control (both in the private range of case.h), the areas of case.h, and nothing else: the stack the
 * kernel gave us, the vdso and whatever else there was are unmapped.
 *
 * A case starts by loading all registers and jumping to the case's EIP; it ends at the first signal. The kernel puts the whole
 * state into the signal frame, x87 and SSE registers included, and gives the handler fresh segment registers, so nothing a case
 * does to the registers matters to us. The handler never returns: it notes the result and starts the next case from where it
 * stands, on the alternate stack, which the next signal will reuse from its top.
 *
 * The one exception is single-stepping. POPF is the only way to load TF, and the trap comes one instruction after it, that is,
 * still in our loader. Those traps return.
 */
#include "case.h"

enum {
	SYS_exit = 1, SYS_read = 3, SYS_write = 4, SYS_munmap = 91, SYS_setitimer = 104, SYS_modify_ldt = 123, SYS_mprotect = 125,
	SYS_mremap = 163, SYS_rt_sigaction = 174, SYS_sigaltstack = 186, SYS_mmap2 = 192, SYS_set_thread_area = 243,
};
enum { PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4, MAP_SHARED = 1, MAP_FIXED = 16, MAP_ANONYMOUS = 32,
       MAP_POPULATE = 0x8000 };
enum { SIGILL = 4, SIGTRAP = 5, SIGBUS = 7, SIGFPE = 8, SIGSEGV = 11, SIGALRM = 14 };
enum { SA_SIGINFO = 4, SA_RESTORER = 0x04000000, SA_ONSTACK = 0x08000000, SA_NODEFER = 0x40000000 };
enum { EINTR = 4, BATCH_SECONDS = 2 };

/* The kernel's ia32 signal frame, as far as we read it. */
struct signal_context {
	uint16_t gs, gs_high, fs, fs_high, es, es_high, ds, ds_high;
	uint32_t edi, esi, ebp, esp, ebx, edx, ecx, eax, trapno, error, eip;
	uint16_t cs, cs_high;
	uint32_t eflags, esp_at_signal;
	uint16_t ss, ss_high;
	uint32_t fpstate, oldmask, cr2;
};

struct user_context {
	uint32_t flags, link, stack[3];
	struct signal_context mc;
};

struct sigaction {
	uint32_t handler, flags, restorer, mask[2];
};

static struct control *const control = (struct control *)CONTROL_BASE;
static const struct area areas[AREAS] = AREA_TABLE;
static uint8_t main_stack[16384] __attribute__((aligned(16), used));
static uint8_t signal_stack[65536] __attribute__((aligned(64)));
static uint32_t current_case;
extern const char image_end[] __asm__("_end"); /* the linker's */

/* Where enter_case loads the registers from. */
static struct {
	struct state s;
	uint32_t target[2]; /* EIP, CS */
	uint32_t stack[2];  /* ESP, SS */
} live __attribute__((aligned(16), used));

static int32_t syscall6(uint32_t nr, uint32_t a, uint32_t b, uint32_t c, uint32_t d, uint32_t e, uint32_t f)
{
	uint32_t args[2] = { f, nr };
	int32_t ret;

	__asm__ volatile("push %%ebp\n\tmov (%%eax), %%ebp\n\tmov 4(%%eax), %%eax\n\tint $0x80\n\tpop %%ebp"
			 : "=a"(ret)
			 : "a"(args), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
			 : "memory");
	return ret;
}

#define SYSCALL3(nr, a, b, c) syscall6(nr, (uint32_t)(a), (uint32_t)(b), (uint32_t)(c), 0, 0, 0)

static __attribute__((noreturn)) void die(int status)
{
	for (;;)
		SYSCALL3(SYS_exit, status, 0, 0);
}

/* gcc may ask for these two. */
void *memcpy(void *to, const void *from, unsigned long n);
void *memset(void *to, int value, unsigned long n);
void *memcpy(void *to, const void *from, unsigned long n)
{
	void *d = to;

	__asm__ volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(n) : : "memory");
	return to;
}

void *memset(void *to, int value, unsigned long n)
{
	void *d = to;

	__asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(value) : "memory");
	return to;
}

/*
 * Loads everything from `live` and goes there. DS comes last, so the loads before it name CS. The offsets are those of struct
 * state: fx 0, gpr 512, eip 544, eflags 548, seg 552; then target 576 and stack 584.
 */
__attribute__((noreturn)) void enter_case(void);
__asm__(".globl enter_case\n"
	"enter_case:\n"
	"	fxrstor live\n"
	"	mov live+552, %es\n"
	"	mov live+568, %fs\n"
	"	mov live+572, %gs\n"
	"	pushl live+548\n"
	"	mov live+512, %eax\n"
	"	mov live+516, %ecx\n"
	"	mov live+520, %edx\n"
	"	mov live+524, %ebx\n"
	"	mov live+532, %ebp\n"
	"	mov live+536, %esi\n"
	"	mov live+540, %edi\n"
	"	popf\n"
	"	lss %cs:live+584, %esp\n"
	"	mov %cs:live+564, %ds\n"
	"	ljmp *%cs:live+576\n");

/* The case may have left AC or NT set; C code wants neither. */
void signal_entry(void);
void restore(void);
__asm__(".globl signal_entry, restore\n"
	"signal_entry:\n"
	"	pushl $0x202\n"
	"	popf\n"
	"	jmp on_signal\n"
	"restore:\n"
	"	mov $173, %eax\n" /* rt_sigreturn */
	"	int $0x80\n");

static void apply_patches(const struct test_case *test)
{
	for (uint32_t i = 0; i < test->patches; i++)
		memcpy((void *)test->patch[i].address, test->patch[i].bytes, test->patch[i].len);
}

static int line_differs(const uint32_t *a, const uint32_t *b)
{
	uint32_t x = 0;

	for (int i = 0; i < 16; i++)
		x |= a[i] ^ b[i];
	return x != 0;
}

/* Note the words of [base, base + bytes) that differ from `old`, and put the old contents back. */
static void collect_diffs(uint32_t base, uint32_t bytes, const uint8_t *old)
{
	for (uint32_t at = 0; at < bytes; at += 64) {
		uint32_t *now = (uint32_t *)(base + at);
		const uint32_t *was = (const uint32_t *)(old + at);

		if (!line_differs(now, was))
			continue;
		for (int i = 0; i < 16; i++) {
			if (now[i] == was[i])
				continue;
			if (control->diffs < MAX_DIFFS)
				control->diff[control->diffs++] = (struct diff){ (uint32_t)&now[i], now[i] };
			now[i] = was[i];
		}
	}
}

static void collect_memory(void)
{
	const uint8_t *old = control->background;

	for (int i = 0; i < AREAS; i++) {
		uint32_t bytes = areas[i].pages * 4096;

		if (areas[i].base == DATA_BASE)
			collect_diffs(areas[i].base, bytes - 4096, old);
		else if (areas[i].base != LOW_BASE || !control->low_absent)
			collect_diffs(areas[i].base, bytes, old);
		old += bytes;
	}
}

static __attribute__((noreturn)) void next_case(void)
{
	static const uint32_t timeout[4] = { BATCH_SECONDS, 0, BATCH_SECONDS, 0 };
	uint8_t byte = 0;
	int32_t got;

	if (current_case == control->cases) {
		if (SYSCALL3(SYS_write, REPLY_FD, &byte, 1) != 1)
			die(0);
		do
			got = SYSCALL3(SYS_read, COMMAND_FD, &byte, 1);
		while (got == -EINTR);
		if (got != 1)
			die(0);
		SYSCALL3(SYS_setitimer, 0, timeout, 0);
		current_case = 0;
		control->diffs = 0;
	}
	control->current = current_case;
	apply_patches(&control->test[current_case]);
	live.s = control->test[current_case].in;
	live.target[0] = live.s.eip;
	live.target[1] = live.s.seg[1];
	live.stack[0] = live.s.gpr[4];
	live.stack[1] = live.s.seg[2];
	enter_case();
}

static void note_state(struct state *out, const struct signal_context *mc)
{
	const uint32_t gpr[8] = { mc->eax, mc->ecx, mc->edx, mc->ebx, mc->esp, mc->ebp, mc->esi, mc->edi };
	const uint32_t seg[6] = { mc->es, mc->cs, mc->ss, mc->ds, mc->fs, mc->gs };

	memcpy(out->gpr, gpr, sizeof(gpr));
	memcpy(out->seg, seg, sizeof(seg));
	out->eip = mc->eip;
	out->eflags = mc->eflags;
	/* The frame starts with a 112-byte FNSAVE image; the FXSAVE image follows. */
	memcpy(out->fx, (const void *)(mc->fpstate + 112), sizeof(out->fx));
}

void on_signal(int signo, void *info, struct user_context *uc);
__attribute__((used)) void on_signal(int signo, void *info, struct user_context *uc)
{
	const struct signal_context *mc = &uc->mc;
	struct result *result = &control->result[current_case];
	int ours = mc->eip >= PRIVATE_BASE && mc->eip < (uint32_t)image_end;

	(void)info;
	/* TF shows while our loader finishes, and once more at the first instruction of the case. */
	if (signo == SIGTRAP && mc->trapno == 1 && (ours || (live.target[1] && mc->eip == live.target[0]))) {
		if (!ours)
			live.target[1] = 0;
		return;
	}
	if (signo == SIGALRM && ours)
		return;
	if (ours)
		die(3);
	note_state(&result->out, mc);
	result->trap = mc->trapno;
	result->error = mc->error;
	result->address = mc->cr2;
	if (signo == SIGALRM)
		result->trap = TRAP_TIMEOUT;
	result->first_diff = control->diffs;
	collect_memory();
	result->diffs = control->diffs - result->first_diff;
	current_case++;
	next_case();
}

static void catch_signals(void)
{
	static const uint8_t signals[] = { SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGALRM };
	uint32_t stack[3] = { (uint32_t)signal_stack, 0, sizeof(signal_stack) };
	const uint32_t flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTORER;
	struct sigaction action = { (uint32_t)signal_entry, flags, (uint32_t)restore, { 0, 0 } };

	if (SYSCALL3(SYS_sigaltstack, stack, 0, 0))
		die(4);
	for (unsigned i = 0; i < sizeof(signals); i++)
		if (syscall6(SYS_rt_sigaction, signals[i], (uint32_t)&action, 0, 8, 0, 0))
			die(4);
}

static int map(uint32_t address, uint32_t bytes, uint32_t prot, uint32_t flags, int fd)
{
	return syscall6(SYS_mmap2, address, bytes, prot, flags | MAP_FIXED | MAP_POPULATE, (uint32_t)fd, 0) == (int32_t)address;
}

/* An mremap() that moves nothing (old size 0) shows a shared page at a second address. */
static void map_alias(uint32_t alias, uint32_t base, uint32_t bytes)
{
	const uint32_t maymove_fixed = 3;

	if (syscall6(SYS_mremap, base, 0, bytes, maymove_fixed, alias, 0) != (int32_t)alias)
		die(5);
}

static void map_areas(void)
{
	const uint32_t flags = MAP_SHARED | MAP_ANONYMOUS;
	const uint8_t *background = control->background;

	for (int i = 0; i < AREAS; i++) {
		uint32_t bytes = areas[i].pages * 4096;

		if (map(areas[i].base, bytes, PROT_READ | PROT_WRITE | PROT_EXEC, flags, -1))
			memcpy((void *)areas[i].base, background, bytes);
		else if (areas[i].base == LOW_BASE)
			control->low_absent = 1;
		else
			die(5);
		background += bytes;
	}
	map_alias(ALIAS_BASE, CODE_BASE, CODE_PAGES * 4096);
	map_alias(ALIAS_DATA, DATA_BASE, 4096);
	if (SYSCALL3(SYS_mprotect, RO_PAGE, 4096, PROT_READ | PROT_EXEC))
		die(5);
}

static void make_segments(void)
{
	static const struct user_segment tls[TLS_SEGMENTS] = TLS_TABLE, ldt[LDT_SEGMENTS] = LDT_TABLE;

	for (int i = 0; i < TLS_SEGMENTS; i++)
		if (SYSCALL3(SYS_set_thread_area, &tls[i], 0, 0))
			die(6);
	for (int i = 0; i < LDT_SEGMENTS; i++)
		if (SYSCALL3(SYS_modify_ldt, 0x11, &ldt[i], sizeof(ldt[i])))
			control->ldt_absent = 1;
}

void native_main(void) __attribute__((used, noreturn));
void native_main(void)
{
	SYSCALL3(SYS_munmap, 0x1000, PRIVATE_BASE - 0x1000, 0);
	SYSCALL3(SYS_munmap, PRIVATE_END, 0xffffe000u - PRIVATE_END, 0);
	if (!map(CONTROL_BASE, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, CONTROL_FD))
		die(2);
	map_areas();
	make_segments();
	catch_signals();
	current_case = control->cases = 0;
	next_case();
}

__asm__(".globl _start\n_start:\n	mov $main_stack+16384, %esp\n	xor %ebp, %ebp\n	call native_main\n");
