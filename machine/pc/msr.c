/* SPDX-License-Identifier: MIT */
/*
 * msr.c - the model-specific registers that are not the processor's own (those are in cpu/x86): what a stock kernel touches without
 * asking first, because every processor that says what ours says has it; what CPUID has promised; and the clock's.
 *
 * Anything else raises #GP(0), which kernels expect of registers they try.
 */
#include "machine/pc/pc.h"

enum {
	MSR_TSC = 0x10,
	MSR_SPEC_CTRL = 0x48,
	MSR_PRED_CMD = 0x49,
	MSR_MICROCODE = 0x8b,
	MSR_ARCH_CAPABILITIES = 0x10a,
	MSR_MISC_FEATURES = 0x140,
	MSR_MCG_CAP = 0x179,
	MSR_MCG_STATUS = 0x17a,
	MSR_MISC_ENABLE = 0x1a0,
	MSR_AMD_FIRST = 0xc0010000,
	MSR_AMD_HWCR = 0xc0010015,
	MSR_AMD_DE_CFG = 0xc0011029,
	MSR_AMD_LAST = 0xc0011fff,
};

enum {
	SPEC_CTRL_BITS = 0x7,		/* IBRS STIBP SSBD */
	MISC_FAST_STRINGS = 1 << 0,
	MISC_NO_BTS = 1 << 11,
	MISC_NO_PEBS = 1 << 12,
	HWCR_TSC_COUNTS_P0 = 1 << 24,
	DE_CFG_LFENCE_SERIALIZES = 1 << 1,
};

/*
 * Not affected by: Meltdown and L1TF (RDCL), speculative store bypass, MDS, page-size changes, TAA, MMIO stale data (three), branch
 * history injection, post-barrier return prediction, gather sampling, register-file sampling, indirect target selection. And enhanced
 * IBRS, so that the guest leaves retpolines alone.
 */
#define CAPABILITY(n) (1ull << (n))
static const uint64_t arch_capabilities =
	CAPABILITY(0) | CAPABILITY(1) | CAPABILITY(3) | CAPABILITY(4) | CAPABILITY(5) | CAPABILITY(6) | CAPABILITY(8) | CAPABILITY(13) |
	CAPABILITY(14) | CAPABILITY(15) | CAPABILITY(20) | CAPABILITY(24) | CAPABILITY(26) | CAPABILITY(27) | CAPABILITY(62);

static bool read_msr(const struct pc *m, uint32_t index, uint64_t *value)
{
	switch (index) {
	case MSR_TSC:
		*value = __builtin_ia32_rdtsc();
		return true;
	case MSR_SPEC_CTRL:
		*value = m->spec_ctrl;
		return true;
	case MSR_ARCH_CAPABILITIES:
		*value = arch_capabilities;
		return true;
	case MSR_MISC_ENABLE:
		*value = MISC_FAST_STRINGS | MISC_NO_BTS | MISC_NO_PEBS;
		return true;
	case MSR_AMD_HWCR:
		*value = HWCR_TSC_COUNTS_P0;
		return true;
	case MSR_AMD_DE_CFG:
		*value = DE_CFG_LFENCE_SERIALIZES;
		return true;
	case MSR_MCG_CAP:	/* no banks */
	case MSR_MCG_STATUS:
	case MSR_MICROCODE:
	case MSR_MISC_FEATURES:
	case MSR_AMD_FIRST ... MSR_AMD_HWCR - 1:
	case MSR_AMD_HWCR + 1 ... MSR_AMD_DE_CFG - 1:
	case MSR_AMD_DE_CFG + 1 ... MSR_AMD_LAST:
		*value = 0;
		return true;
	default:
		return false;
	}
}

static bool write_msr(struct pc *m, uint32_t index, uint64_t value)
{
	switch (index) {
	case MSR_SPEC_CTRL:
		if (value & ~(uint64_t)SPEC_CTRL_BITS)
			return false;
		m->spec_ctrl = value;
		return true;
	case MSR_MCG_STATUS:
		return !value;
	case MSR_TSC:
	case MSR_PRED_CMD:
	case MSR_MICROCODE:
	case MSR_MISC_FEATURES:
	case MSR_MISC_ENABLE:
	case MSR_AMD_FIRST ... MSR_AMD_LAST:
		return true;
	default:
		return false;
	}
}

bool pc_msr(void *opaque, uint32_t index, bool write, uint64_t *value)
{
	struct pc *m = opaque;
	bool known;

	if (index == KVMCLOCK_MSR_SYSTEM || index == KVMCLOCK_MSR_WALL)
		known = pc_clock_cold(m, index, write, value);
	else
		known = write ? write_msr(m, index, *value) : read_msr(m, index, value);
	m->stats.msrs++;
	if (unlikely(m->trace & TRACE_PRIVILEGED))
		pc_tell_msr_cold(m, index, write, *value, known);
	return known;
}
