/* SPDX-License-Identifier: MIT */
/*
 * fpu.c - the guest's floating-point registers; see fpu.h.
 *
 * FNSTENV, FNSAVE and FXSAVE store the address of the last x87 instruction, of its operand, and its opcode. The one that ran was ours: its
 * address lies in the code cache, and is replaced by the guest address it was translated from, as is all the rest that is the host's.
 */
#include "cpu/x86/emulate/fpu.h"

#include "cpu/x86/cache/block.h"
#include "cpu/x86/emulate/emulate.h"
#include "cpu/x86/space/mmu.h"

enum { FXSAVE_32BIT = 288 };	/* what FXSAVE writes outside 64-bit mode: eight XMM registers */

enum { HOST_KERNEL_CS = 0x10 };	/* Linux, arch/x86: __KERNEL_CS */

void cpu_fpu_release(struct cpu *cpu)
{
	static const uint32_t mxcsr = 0x1f80;

	if (cpu->fpu_released)
		return;
	__asm__ volatile("fxsave64 %0; fninit; ldmxcsr %1" : "=m"(cpu->fpu) : "m"(mxcsr));
	cpu->fpu_released = true;
}

void cpu_fpu_acquire(struct cpu *cpu)
{
	if (!cpu->fpu_released)
		return;
	__asm__ volatile("fxrstor64 %0" : : "m"(cpu->fpu));
	cpu->fpu_released = false;
}

union fxsave_image {
	uint8_t bytes[512];
	uint16_t half[256];
	uint32_t word[128];
} __attribute__((aligned(16)));

/* What an image says of the last x87 instruction: where it is and where its memory operand, and the low bits of its opcode. */
struct pointers {
	uint32_t ip, data;
	uint16_t cs, ds, op;
};

/* The guest's instruction behind translated code at @host; false: that translation is gone. */
static bool find_guest(struct cpu *cpu, uint32_t host, uint32_t *eip, struct insn *insn)
{
	struct block *block = block_at(cpu, host);
	struct point point;

	if (!block)
		return false;
	point = point_at(cpu, block, host);
	*eip = block->eip + point.guest + (block->flags & BLOCK_COLD ? cpu->slide : 0);
	block_decode(cpu, block, &point, insn);
	return true;
}

/*
 * From what the host has stored to what the guest's own processor would have. Only the selector tells an address of the host's from one
 * that the guest has loaded into the FPU; newer processors store 0 there. What the host's programs or its kernel have run is none of
 * the guest's business, and translated code whose translation is gone has been forgotten. The operand's address is right but for a
 * segment's base: a window begins at a multiple of 4 GiB.
 */
static void make_guests(struct cpu *cpu, struct pointers *p)
{
	struct insn insn = { .seg = S_DS };
	uint16_t cs, ss;
	bool ours;

	__asm__ volatile("mov %%cs, %0; mov %%ss, %1" : "=r"(cs), "=r"(ss));
	ours = p->cs == cs || (!p->cs && p->ip - cpu->cache->exec < cpu->cache->size);
	if (!ours && p->cs != HOST_KERNEL_CS)
		return;
	if (!ours || p->ip - cpu->cache->exec >= cpu->cache->size || !find_guest(cpu, p->ip, &p->ip, &insn)) {
		*p = (struct pointers){ 0 };
		return;
	}
	p->cs = (uint16_t)cpu->selector[S_CS];
	if (p->op)
		p->op = (uint16_t)((insn.op & 7) << 8 | insn.modrm);
	if (insn.mem)
		p->data -= cpu->descriptors[cpu->hidden[insn.seg]].base;
	if (!p->ds || p->ds == ss || insn.mem)
		p->ds = (uint16_t)cpu->selector[insn.seg];
}

static bool fxsave(struct cpu *cpu, const struct insn *insn, struct cpu_exit *exit)
{
	unsigned access = MMU_WRITE | (cpu->user ? MMU_USER : 0);
	uint32_t address = insn_address(cpu, insn), pte;
	struct cpu_fault fault = { .vector = TRAP_GP };
	union fxsave_image image;
	struct pointers p;

	/* All 512 bytes must be writable, though fewer are written. */
	if (!cpu_segment(cpu, insn->seg)->attr || address & 15 || mmu_walk(cpu, address, access, &pte, &fault) ||
	    mmu_walk(cpu, (address + 511) & ~15u, access, &pte, &fault)) {
		*exit = (struct cpu_exit){ .kind = EXIT_FAULT, .vector = fault.vector, .error = fault.error, .address = fault.address,
					   .eip = cpu->eip };
		return false;
	}
	__asm__ volatile("fxsave %0" : "=m"(image));
	p = (struct pointers){ .op = image.half[3], .ip = image.word[2], .cs = image.half[6], .data = image.word[4], .ds = image.half[10] };
	make_guests(cpu, &p);
	image.half[3] = p.op;
	image.word[2] = p.ip;
	image.half[6] = p.cs;
	image.word[4] = p.data;
	image.half[10] = p.ds;
	return insn_write(cpu, insn, image.bytes, FXSAVE_32BIT, exit);
}

/* Protected mode's 32-bit image; the 16-bit one has the lower halves of the first seven words, without the opcode. */
struct fnsave_image {
	uint32_t environment[7];
	uint8_t registers[80];
};

/* All that FNSTENV changes. With every exception masked none is pending: no ES, no B. */
static void mask_exceptions(struct fnsave_image *image)
{
	image->environment[0] |= 0x3f;
	image->environment[1] &= 0xffff7f7f;
}

static void with_guests_pointers(struct cpu *cpu, struct fnsave_image *image)
{
	uint32_t *e = image->environment;
	struct pointers p = { .ip = e[3], .cs = (uint16_t)e[4], .op = (uint16_t)(e[4] >> 16), .data = e[5], .ds = (uint16_t)e[6] };

	make_guests(cpu, &p);
	e[3] = p.ip;
	e[4] = p.cs | (uint32_t)p.op << 16;
	e[5] = p.data;
	e[6] = (e[6] & 0xffff0000) | p.ds;
}

/* Returns its length. */
static unsigned narrow(struct fnsave_image *image, unsigned opsize)
{
	uint8_t *bytes = (uint8_t *)image;

	if (opsize == 4)
		return sizeof(image->environment);
	for (unsigned i = 0; i < 14; i++)
		bytes[i] = bytes[2 * i - (i & 1)];
	for (unsigned i = 0; i < sizeof(image->registers); i++)
		bytes[14 + i] = image->registers[i];
	return 14;
}

/* Both run as FNSAVE, which empties the registers. */
static bool fnsave(struct cpu *cpu, const struct insn *insn, struct cpu_exit *exit)
{
	bool all = insn->op == 0xdd, done;
	struct fnsave_image image, before;
	unsigned len;

	__asm__ volatile("fnsave %0" : "=m"(before));
	image = before;
	with_guests_pointers(cpu, &image);
	len = narrow(&image, insn->opsize) + (all ? sizeof(image.registers) : 0);
	done = insn_write(cpu, insn, &image, len, exit);
	if (done && all)
		return true;
	if (done)
		mask_exceptions(&before);
	__asm__ volatile("frstor %0" : : "m"(before));
	return done;
}

bool fpu_store_environment(struct cpu *cpu, const struct insn *insn, struct cpu_exit *exit)
{
	bool done = insn->map == MAP_0F ? fxsave(cpu, insn, exit) : fnsave(cpu, insn, exit);

	if (done)
		cpu->eip += insn->len;
	return done;
}
