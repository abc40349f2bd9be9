/* SPDX-License-Identifier: MIT */
/*
 * fake_cpu.c - see fake_cpu.h.
 */
#include "fake_cpu.h"

#include "cpu/x86/system/system.h"

struct cpu fake, before;
struct cpu_exit fake_exit;
struct insn fake_insn;
struct cpu_system *fake_system;
uint32_t fake_open_port;

#define DESCRIPTOR(base, limit, access, flags) \
	{ (uint32_t)(base) << 16 | ((limit) & 0xffff), ((base) & 0xff000000) | (flags) << 20 | ((limit) & 0xf0000) | \
						       (access) << 8 | ((base) >> 16 & 0xff) }
#define FLAT(access) DESCRIPTOR(0u, 0xfffffu, access, 0xcu)

static const uint32_t table[][2] = {
	[0] = FLAT(0xf3u),	/* nobody may ever get at it */
	[CODE0 / 8] = FLAT(0x9bu),
	[DATA0 / 8] = FLAT(0x93u),
	[CODE1 / 8] = FLAT(0xbbu),
	[DATA1 / 8] = FLAT(0xb3u),
	[CODE3 / 8] = FLAT(0xfbu),
	[DATA3 / 8] = FLAT(0xf3u),
	[SMALL3 / 8] = DESCRIPTOR(0x4000u, 0xfffu, 0xf3u, 4u),
	[CONFORMING0 / 8] = FLAT(0x9fu),
	[EXECUTE_ONLY3 / 8] = FLAT(0xf9u),
	[READ_ONLY3 / 8] = FLAT(0xf1u),
	[DOWN3 / 8] = DESCRIPTOR(0u, 0xfffu, 0xf7u, 0u),
	[STACK16_3 / 8] = DESCRIPTOR(0u, 0xffffu, 0xf3u, 0u),
	[ABSENT_DATA3 / 8] = FLAT(0x73u),
	[ABSENT_CODE3 / 8] = FLAT(0x7bu),
	[ABSENT_CODE1 / 8] = FLAT(0x3bu),
	[CALL_GATE3 / 8] = { CODE0 << 16 | 0x2000, 0xec00 },
	[TSS3 / 8] = DESCRIPTOR(0x123000u, 0x67u, 0xe9u, 0u),
	[SHORT_CODE3 / 8] = DESCRIPTOR(0u, 0x1fffu, 0xfbu, 4u),
	[SHORT_CODE1 / 8] = DESCRIPTOR(0u, 0x1fffu, 0xbbu, 4u),
	[CONFORMING3 / 8] = FLAT(0xffu),
	[STACK16_1 / 8] = DESCRIPTOR(0u, 0xffffu, 0xb3u, 0u),
	[INTERRUPT_GATE3 / 8] = { CODE0 << 16 | 0x2000, 0xee00 },
};

static bool descriptor(void *opaque, uint32_t selector, uint32_t *low, uint32_t *high)
{
	assert_ptr_equal(opaque, &fake);
	if (selector & 4 || selector / 8 >= sizeof(table) / sizeof(table[0]))
		return false;
	*low = table[selector / 8][0];
	*high = table[selector / 8][1];
	return true;
}

static void cpuid(void *opaque, uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
	regs[0] = leaf;
	regs[2] = subleaf;
	regs[3] = 0xd0d0d0d0;
}

static const struct cpu_ops ops = { .descriptor = descriptor, .cpuid = cpuid };

const struct cpu_ops *cpu_ops(struct cpu *cpu, void **opaque)
{
	*opaque = cpu;
	return &ops;
}

uint32_t *cpu_gpr(struct cpu *cpu)
{
	return cpu->gpr;
}

uint32_t cpu_eip(const struct cpu *cpu)
{
	return cpu->eip;
}

void cpu_set_eip(struct cpu *cpu, uint32_t eip)
{
	cpu->eip = eip;
}

uint32_t cpu_eflags(const struct cpu *cpu)
{
	return cpu->eflags;
}

void cpu_set_eflags(struct cpu *cpu, uint32_t eflags)
{
	cpu->eflags = eflags;
}

unsigned cpu_cpl(const struct cpu *cpu)
{
	return cpu->cpl;
}

const struct segment *cpu_segment(const struct cpu *cpu, unsigned s)
{
	assert_true(s < S_COUNT);
	return &cpu->seg[s];
}

void cpu_set_segment(struct cpu *cpu, unsigned s, const struct segment *seg)
{
	cpu->seg[s] = *seg;
	if (s == S_CS)
		cpu->cpl = seg->sel & 3;
}

static struct segment segment_of(uint32_t selector)
{
	uint32_t low = table[selector / 8][0], high = table[selector / 8][1], limit = (low & 0xffff) | (high & 0xf0000);

	return (struct segment){ .sel = selector, .base = low >> 16 | (high & 0xff) << 16 | (high & 0xff000000),
				 .limit = high & 1 << 23 ? limit << 12 | 0xfff : limit, .attr = high & 0xf0ff00 };
}

/* Enough of MOV to a segment register for the tests: null, outside, privilege of data, SS. */
static int refuse(uint32_t vector, uint32_t selector, struct cpu_fault *fault)
{
	*fault = (struct cpu_fault){ .vector = vector, .error = selector & 0xfffc };
	return (int)vector;
}

int cpu_load_segment(struct cpu *cpu, unsigned s, uint32_t selector, struct cpu_fault *fault)
{
	uint32_t low, high;
	unsigned dpl;

	if (!(selector & 0xfffc)) {
		if (s == S_SS)
			return refuse(TRAP_GP, 0, fault);
		cpu->seg[s] = (struct segment){ .sel = selector };
		return 0;
	}
	if (!descriptor(cpu, selector, &low, &high) || !(high & 1 << 12))
		return refuse(TRAP_GP, selector, fault);
	dpl = high >> 13 & 3;
	if (s == S_SS ? dpl != cpu->cpl || (selector & 3) != cpu->cpl || (high & 0xa00) != 0x200 : dpl < cpu->cpl)
		return refuse(TRAP_GP, selector, fault);
	if (!(high & 1 << 15))
		return refuse(s == S_SS ? TRAP_SS : TRAP_NP, selector, fault);
	cpu->seg[s] = segment_of(selector);
	return 0;
}

static int check(struct cpu *cpu, uint32_t address, uint32_t len, bool write, bool user, struct cpu_fault *fault)
{
	for (uint32_t i = 0; i < len; i++) {
		uint32_t page = (address + i) / 4096;
		unsigned access = page < FAKE_PAGES ? cpu->access[page] : 0;

		if (access & PAGE_PRESENT && (!write || access & PAGE_WRITABLE) && (!user || access & PAGE_USER))
			continue;
		fault->vector = TRAP_PF;
		fault->error = (access & PAGE_PRESENT ? PF_PRESENT : 0) | (write ? PF_WRITE : 0) | (user ? PF_USER : 0);
		fault->address = address + i;
		return TRAP_PF;
	}
	return 0;
}

int cpu_read(struct cpu *cpu, uint32_t address, void *buf, uint32_t len, bool user, struct cpu_fault *fault)
{
	int ret = check(cpu, address, len, false, user, fault);

	if (!ret)
		memcpy(buf, cpu->memory + address, len);
	return ret;
}

int cpu_write(struct cpu *cpu, uint32_t address, const void *buf, uint32_t len, bool user, struct cpu_fault *fault)
{
	int ret = check(cpu, address, len, true, user, fault);

	if (!ret)
		memcpy(cpu->memory + address, buf, len);
	return ret;
}

int cpu_descriptor(struct cpu *cpu, uint32_t selector, uint32_t *low, uint32_t *high, struct cpu_fault *fault)
{
	return descriptor(cpu, selector, low, high) ? 0 : DESCRIPTOR_OUTSIDE;
}

int cpu_descriptor_used(struct cpu *cpu, uint32_t selector, uint32_t high, struct cpu_fault *fault)
{
	return 0;
}

struct cpu_system *cpu_system(struct cpu *cpu)
{
	return fake_system;
}

bool system_set_cr(struct cpu *cpu, unsigned number, uint32_t value)
{
	fail();
	return false;
}

void system_set_table(struct cpu *cpu, bool idt, uint32_t base, uint32_t limit)
{
	fail();
}

void system_set_ldt(struct cpu *cpu, const struct segment *ldt)
{
	fail();
}

bool system_msr(struct cpu *cpu, uint32_t index, bool write, uint64_t *value)
{
	return false;
}

void system_invlpg(struct cpu *cpu, uint32_t address)
{
	fail();
}

void system_hold_interrupts(struct cpu *cpu)
{
}

int system_port_allowed(struct cpu *cpu, uint32_t port, unsigned size, struct cpu_fault *fault)
{
	*fault = (struct cpu_fault){ .vector = TRAP_GP };
	return port == fake_open_port ? 0 : TRAP_GP;
}

int task_return(struct cpu *cpu, struct cpu_fault *fault)
{
	fail();
	return 0;
}

uint32_t fake_get(uint32_t address, unsigned size)
{
	uint32_t value = 0;

	memcpy(&value, fake.memory + address, size);
	return value;
}

void fake_put(uint32_t address, unsigned size, uint32_t value)
{
	memcpy(fake.memory + address, &value, size);
}

void fake_segment(unsigned s, uint32_t selector)
{
	struct segment seg = segment_of(selector);

	cpu_set_segment(&fake, s, &seg);
}

void fake_reset(unsigned cpl)
{
	static const uint16_t code[4] = { CODE0, CODE1 | 1, 0, CODE3 | 3 }, data[4] = { DATA0, DATA1 | 1, 0, DATA3 | 3 };

	memset(&fake, 0, sizeof(fake));
	for (unsigned i = 0; i < 8; i++)
		fake.gpr[i] = 0x01010101 * (0x10 + i);
	fake.gpr[R_ESP] = 0x8000;
	fake.eip = FAKE_CODE;
	fake.eflags = FLAG_IF | 2;
	memset(fake.access, PAGE_ALL, sizeof(fake.access));
	fake_segment(S_CS, code[cpl]);
	for (unsigned s = 0; s < S_COUNT; s++)
		if (s != S_CS)
			fake_segment(s, data[cpl]);
}

bool fake_run(const uint8_t *code, unsigned len)
{
	bool ran;

	assert_int_equal(decode(code, len, &fake_insn), DECODE_OK);
	assert_int_equal(fake_insn.len, len);
	memcpy(fake.memory + fake.eip, code, len);
	before = fake;
	memset(&fake_exit, 0xee, sizeof(fake_exit));
	ran = emulate(&fake, &fake_insn, &fake_exit);
	if (!ran)
		assert_int_equal(fake_exit.eip, before.eip);
	return ran;
}
