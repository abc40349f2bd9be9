/* SPDX-License-Identifier: MIT */
/* stand-in.c - programs that stand in for a host. See stand-in.h. */
#include <cpuid.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/utsname.h>

#include "cpu/x86/space/stand-in.h"

const char *stand_in_name(const char *hypervisor, const char *brand, const char *release, bool seccomp)
{
	if (!strncmp(hypervisor, "FEXIFEXIEMU", 11))
		return "this is FEX and no x86-64 processor: Kennel cannot translate what is itself being translated";
	if (!strncmp(brand, "Box64", 5))
		return "this is Box64 and no x86-64 processor: Kennel cannot translate what is itself being translated";
	/* QEMU says so of whole machines too, which are fit. As a user-mode emulator it keeps seccomp from its programs. */
	if (!strncmp(hypervisor, "TCGTCGTCGTCG", 12) && !seccomp)
		return "this is QEMU's user-mode emulation and no x86-64 processor: Kennel cannot translate what is itself being translated";
	/* WSL 2, which is a Linux, writes its name small. */
	if (strstr(release, "-Microsoft"))
		return "this is WSL 1, which is not Linux: use WSL 2 (wsl --set-version)";
	return NULL;
}

static void letters(unsigned int leaf, char *text, bool all)
{
	unsigned int word[4];

	__cpuid(leaf, word[0], word[1], word[2], word[3]);
	memcpy(text, all ? word : word + 1, all ? 16 : 12);
}

const char *stand_in_here(void)
{
	char hypervisor[13] = "", brand[49] = "";
	struct utsname name;

	letters(0x40000000, hypervisor, false);
	for (unsigned int i = 0; i < 3 && __get_cpuid_max(0x80000000, NULL) >= 0x80000004; i++)
		letters(0x80000002 + i, brand + 16 * i, true);
	if (uname(&name))
		name.release[0] = 0;
	return stand_in_name(hypervisor, brand, name.release, prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0);
}
