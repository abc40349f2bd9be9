/* SPDX-License-Identifier: MIT */
/* test-stand-in.c - programs that stand in for a host are known by their names, and hosts are not taken for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cpu/x86/space/stand-in.h"

static void names(void **state)
{
	static const struct { const char *hypervisor, *brand, *release; bool seccomp; const char *name; } hosts[] = {
		{"FEXIFEXIEMU", "FEX-2311 Cortex-A78", "6.5.0", true, "FEX"},
		{"", "Box64 on Cortex-A76", "6.1.0-rpi7", true, "Box64"},
		{"TCGTCGTCGTCG", "QEMU Virtual CPU version 2.5+", "6.1.0-50-amd64", false, "QEMU's user-mode emulation"},
		{"", "Intel(R) Core(TM) i7", "4.4.0-19041-Microsoft", true, "WSL 1"},
		{"TCGTCGTCGTCG", "QEMU Virtual CPU version 2.5+", "6.1.0-50-amd64", true, NULL},
		{"Microsoft Hv", "Intel(R) Core(TM) i7", "5.15.153.1-microsoft-standard-WSL2", true, NULL},
		{"KVMKVMKVM", "AMD EPYC", "4.4.0", false, NULL},
		{"", "AMD Ryzen 9", "6.12.0", true, NULL},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		const char *said = stand_in_name(hosts[i].hypervisor, hosts[i].brand, hosts[i].release, hosts[i].seccomp);

		assert_int_equal(!said, !hosts[i].name);
		if (said && !strstr(said, hosts[i].name))
			fail_msg("%s: %s", hosts[i].name, said);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(names) };

	return cmocka_run_group_tests_name("stand-in", tests, NULL, NULL);
}
