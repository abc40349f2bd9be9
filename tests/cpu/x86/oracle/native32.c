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
 * QEMU's user mode can run this program where the processor may not. There, too, the signal frame has everything, but the
 * descriptor tables lie in our own memory: they are spared, and noted as taken.
 *
 * The one exception is single-stepping. POPF is the only way to load TF, and the trap comes one instruction after it, that is,
 * still in our loader. Those traps return.
 */
#include "case.h"

enum {
	SYS_exit = 1, SYS_read = 3, SYS_write = 4, SYS_munmap = 91, SYS_setitimer = 104, SYS_modify_ldt = 123, SYS_mprotect = 125,
	SYS_rt_sigaction = 174, SYS_sigaltstack = 186, SYS_mmap2 = 192, SYS_set_thread_area = 243,
};
enum { PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4, MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_FIXED = 16, MAP_ANONYMOUS = 32,
       MAP_NORESERVE = 0x4000, MAP_POPULATE = 0x8000 };
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

/* What fpstate points at starts with an FNSAVE image, with the FXSAVE image behind it. */
enum { FXSAVE_AT = 112 };

struct siginfo {
	int32_t signo, error, code;
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
	memcpy(out->fx, (const void *)(mc->fpstate + FXSAVE_AT), sizeof(out->fx));
}

/* QEMU 7.2 resets the x87 before it makes the FXSAVE image; the FNSAVE image, which it makes first, has what was in it. */
static void repair_qemu_x87(const struct signal_context *mc)
{
	const uint8_t *image = (const uint8_t *)mc->fpstate;
	uint8_t *fx = (uint8_t *)(mc->fpstate + FXSAVE_AT);
	uint32_t tags = image[8] | image[9] << 8;

	memcpy(fx + FX_FCW, image, 2);
	memcpy(fx + FX_FSW, image + 4, 2);
	fx[FX_FTW] = 0;
	for (int i = 0; i < 8; i++) {
		fx[FX_FTW] |= (uint8_t)(((tags >> (2 * i) & 3) != 3) << i);
		memcpy(fx + FX_ST + 16 * i, image + 28 + 10 * i, 10);
	}
}

/* It has no trap number in the frame either: tell by the signal and its code. */
static uint32_t qemu_trap(int signo, const struct siginfo *info)
{
	enum { SI_KERNEL = 0x80, TRAP_BRKPT = 1 };

	switch (signo) {
	case SIGFPE:
		return 0;
	case SIGTRAP:
		return info->code == TRAP_BRKPT ? 1 : 3;
	case SIGILL:
		return 6;
	case SIGBUS:
		return QEMU_TRAP_NP_OR_SS;
	case SIGSEGV:
		return info->code == SI_KERNEL ? QEMU_TRAP_GP_OR_INT : 14;
	default:
		return TRAP_UNKNOWN_SIGNAL + (uint32_t)signo;
	}
}

void on_signal(int signo, const struct siginfo *info, struct user_context *uc);
__attribute__((used)) void on_signal(int signo, const struct siginfo *info, struct user_context *uc)
{
	struct signal_context *mc = &uc->mc;
	struct result *result = &control->result[current_case];
	int ours = mc->eip >= PRIVATE_BASE && mc->eip < (uint32_t)image_end;

	if (control->qemu) {
		mc->trapno = qemu_trap(signo, info);
		repair_qemu_x87(mc);
	}
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

/* @at: in the file, of whole pages. */
static int map(uint32_t address, uint32_t bytes, uint32_t prot, uint32_t at)
{
	return syscall6(SYS_mmap2, address, bytes, prot, MAP_SHARED | MAP_FIXED | MAP_POPULATE, CONTROL_FD, at / 4096) ==
	       (int32_t)address;
}

static void map_areas(void)
{
	const uint32_t prot = PROT_READ | PROT_WRITE | PROT_EXEC;
	const uint8_t *background = control->background;
	uint32_t at = AREAS_AT;

	for (int i = 0; i < AREAS; i++) {
		uint32_t bytes = areas[i].pages * 4096;

		if (map(areas[i].base, bytes, prot, at))
			memcpy((void *)areas[i].base, background, bytes);
		else if (areas[i].base == LOW_BASE)
			control->low_absent = 1;
		else
			die(5);
		if ((areas[i].base == CODE_BASE && !map(ALIAS_BASE, bytes, prot, at)) ||
		    (areas[i].base == DATA_BASE && !map(ALIAS_DATA, 4096, prot, at)))
			die(5);
		background += bytes;
		at += bytes;
	}
	if (SYSCALL3(SYS_mprotect, RO_PAGE, 4096, PROT_READ | PROT_EXEC))
		die(5);
}

/* @which is one of QEMU's tables, of @bytes. */
static void take(int which, uint32_t base, uint32_t bytes)
{
	uint32_t first = base / 4096;

	control->taken[which] = (struct area){ first * 4096, (base + bytes + 4095) / 4096 - first };
}

static void take_tables(void)
{
	struct {
		uint16_t limit;
		uint32_t base;
	} __attribute__((packed)) table;

	__asm__ volatile("sgdt %0" : "=m"(table));
	take(QEMU_GDT, table.base, table.limit + 1u);
	__asm__ volatile("sidt %0" : "=m"(table));
	take(QEMU_IDT, table.base, table.limit + 1u);
}

static void unmap(uint32_t from, uint32_t bytes)
{
	SYSCALL3(SYS_munmap, from, bytes, 0);
}

/* Nothing else will be put there. */
static void block(uint32_t from, uint32_t bytes)
{
	const uint32_t flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;

	if (syscall6(SYS_mmap2, from, bytes, 0, flags, (uint32_t)-1, 0) != (int32_t)from)
		die(7);
}

/* Do @what with [from, end) but for what is taken. */
static void around_taken(uint32_t from, uint32_t end, void (*what)(uint32_t from, uint32_t bytes))
{
	while (from < end) {
		uint32_t stop = end, next = end;

		for (int i = 0; i < QEMU_TABLES; i++) {
			const struct area *a = &control->taken[i];

			if (a->pages && a->base >= from && a->base < stop) {
				stop = a->base;
				next = a->base + a->pages * 4096;
			}
		}
		if (stop > from)
			what(from, stop - from);
		from = next;
	}
}

/*
 * The LDT comes with its first entry, somewhere in our memory. It must be known where, and no area may lie next to it: for the
 * time being nothing else is to be had around them, and where one mapping of its size came to lie, it will.
 */
static void make_qemu_ldt(const struct user_segment *first)
{
	const uint32_t from = DATA_BASE - 0x1000000, end = ALIAS_BASE + 0x1000000, size = 65536;
	uint32_t base;

	around_taken(from, end, block);
	base = (uint32_t)syscall6(SYS_mmap2, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, (uint32_t)-1, 0);
	unmap(base, size);
	if (SYSCALL3(SYS_modify_ldt, 0x11, first, sizeof(*first)))
		die(7);
	around_taken(from, end, unmap);
	/* of a descriptor's first word: the low halves of base and limit */
	if (*(const uint32_t *)base != (first->base << 16 | (first->limit & 0xffff)))
		die(8);
	take(QEMU_LDT, base, size);
}

/* Linux gives descriptors the accessed bit to begin with. */
static void mark_accessed(uint32_t table, uint32_t entries)
{
	for (uint32_t i = 0; i < entries; i++)
		if (((uint32_t *)table)[2 * i + 1])
			((uint32_t *)table)[2 * i + 1] |= 1 << 8;
}

static void make_qemu_segments(void)
{
	static const struct user_segment tls[TLS_SEGMENTS] = TLS_TABLE, ldt[LDT_SEGMENTS] = LDT_TABLE;
	uint32_t *code64 = (uint32_t *)(control->taken[QEMU_GDT].base) + 2 * (SEL_CODE64 >> 3);

	make_qemu_ldt(&ldt[0]);
	for (int i = 1; i < LDT_SEGMENTS; i++)
		if (SYSCALL3(SYS_modify_ldt, 0x11, &ldt[i], sizeof(ldt[i])))
			die(7);
	for (uint32_t i = 0; i < TLS_SEGMENTS; i++) {
		struct user_segment segment = tls[i];

		segment.entry = (SEL_QEMU_TLS0 >> 3) + i;
		if (SYSCALL3(SYS_modify_ldt, 0x11, &segment, sizeof(segment)))
			die(7);
	}
	mark_accessed(control->taken[QEMU_LDT].base, LDT_SEGMENTS + TLS_SEGMENTS);
	code64[0] = 0xffff;
	code64[1] = 0x00affb00;
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
	if (!map(CONTROL_BASE, sizeof(struct control), PROT_READ | PROT_WRITE, 0))
		die(NATIVE_LACKS_CONTROL);
	if (control->qemu)
		take_tables();
	around_taken(0x1000, PRIVATE_BASE, unmap);
	around_taken(PRIVATE_END, 0xffffe000u, unmap);
	if (control->qemu)
		make_qemu_segments();
	map_areas();
	if (!control->qemu)
		make_segments();
	catch_signals();
	current_case = control->cases = 0;
	next_case();
}

__asm__(".globl _start\n_start:\n	mov $main_stack+16384, %esp\n	xor %ebp, %ebp\n	call native_main\n");
