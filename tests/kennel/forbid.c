/* SPDX-License-Identifier: MIT */
/*
 * forbid.c - forbid RULE... -- PROGRAM [ARGUMENT...]: run a program on a host that forbids things.
 *
 *	CALL=ERRNO		a system call fails (memfd_create=EPERM)
 *	CALL:N&MASK=VALUE=ERRNO	it fails where argument N (from 0) has these bits (memfd_create:1&8=0=EACCES)
 *	limit:NAME=NUMBER	a resource limit: as, data, nproc, fsize, nofile
 *	user=NUMBER		become this user, and this group
 *	mdwe			no mapping becomes executable that was not made so, and none may be written too (PR_SET_MDWE, Linux 6.3)
 *
 * No privileges are ever gained behind it, and all capabilities are dropped. Status 77: this host has no such rule.
 */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#endif

static scmp_filter_ctx filter;

static void no_such_rule(const char *rule, const char *why)
{
	fprintf(stderr, "forbid: %s: %s\n", rule, why);
	exit(77);
}

static int errno_of(const char *name)
{
	for (int i = 1; i < 134; i++)
		if (strerrorname_np(i) && !strcmp(strerrorname_np(i), name))
			return i;
	no_such_rule(name, "is no errno");
	return 0;
}

static bool limit(const char *rule)
{
	static const struct { const char *name; int which; } limits[] = {
		{"as=", RLIMIT_AS}, {"data=", RLIMIT_DATA}, {"nproc=", RLIMIT_NPROC}, {"fsize=", RLIMIT_FSIZE}, {"nofile=", RLIMIT_NOFILE},
	};

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		size_t length = strlen(limits[i].name);
		struct rlimit new;

		if (strncmp(rule, limits[i].name, length))
			continue;
		new.rlim_cur = new.rlim_max = strtoull(rule + length, NULL, 0);
		return !setrlimit((__rlimit_resource_t)limits[i].which, &new);
	}
	return false;
}

static bool become(unsigned int user)
{
	return !setgroups(0, NULL) && !setresgid(user, user, user) && !setresuid(user, user, user);
}

static bool forbid_call(const char *rule)
{
	char call[64];
	unsigned int argument;
	unsigned long long mask, value;
	const char *number = strrchr(rule, '=');
	struct scmp_arg_cmp compare;
	int nr, count = 0;

	if (sscanf(rule, "%63[a-z0-9_]:%u&%lli=%lli=", call, &argument, (long long *)&mask, (long long *)&value) == 4) {
		compare = SCMP_CMP64(argument, SCMP_CMP_MASKED_EQ, mask, value);
		count = 1;
	} else if (sscanf(rule, "%63[a-z0-9_]=", call) != 1) {
		return false;
	}
	nr = seccomp_syscall_resolve_name(call);
	return number && nr >= 0 && !seccomp_rule_add_array(filter, SCMP_ACT_ERRNO((unsigned int)errno_of(number + 1)), nr, (unsigned int)count,
						       count ? &compare : NULL);
}

static void obey(const char *rule)
{
	bool done;

	if (!strcmp(rule, "mdwe"))
		done = !prctl(PR_SET_MDWE, 1, 0, 0, 0);
	else if (!strncmp(rule, "limit:", 6))
		done = limit(rule + 6);
	else if (!strncmp(rule, "user=", 5))
		done = become((unsigned int)atoi(rule + 5));
	else
		done = forbid_call(rule);
	if (!done)
		no_such_rule(rule, strerror(errno));
}

static void drop_capabilities(void)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};

	for (unsigned long i = 0; !prctl(PR_CAPBSET_DROP, i, 0, 0, 0);)
		i++;
	syscall(SYS_capset, &header, none);
}

int main(int argc, char **argv)
{
	int i;

	filter = seccomp_init(SCMP_ACT_ALLOW);
	if (!filter)
		no_such_rule("seccomp", "is not to be had");
	for (i = 1; i < argc && strcmp(argv[i], "--"); i++)
		obey(argv[i]);
	if (i + 1 >= argc)
		no_such_rule("usage", "forbid RULE... -- PROGRAM [ARGUMENT...]");
	drop_capabilities();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || seccomp_load(filter))
		no_such_rule("seccomp", strerror(errno));
	execv(argv[i + 1], argv + i + 1);
	perror(argv[i + 1]);
	return 126;
}
