/* SPDX-License-Identifier: MIT */
/*
 * sandbox.c - the second wall.
 *
 * The first one is the translator: a guest cannot name host memory. Should a device or the translator have a mistake in it, the
 * process that the guest then controls can still not start a program, become somebody else, look into another process, or ask
 * for the rarer corners of the kernel. Everything is open by then; what stays allowed is memory, signals to ourselves, threads,
 * descriptors we hold, sockets (user-mode networking makes them as the guest connects) and opening files for reading
 * (the resolver's settings). A shared directory takes the calls that it needs: a filter sees no paths, so what keeps these calls
 * inside the directory is host/share/tree.h alone.
 */
#include "kennel/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>

#include "host/message.h"

/* Never needed; a guest that gets here is hostile. The call fails as if the kernel did not have it. */
static const int forbidden[] = {
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(vfork),
	SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(kcmp), SCMP_SYS(pidfd_open),
	SCMP_SYS(pidfd_getfd), SCMP_SYS(pidfd_send_signal), SCMP_SYS(process_madvise),
	SCMP_SYS(setuid), SCMP_SYS(setgid), SCMP_SYS(setreuid), SCMP_SYS(setregid), SCMP_SYS(setresuid), SCMP_SYS(setresgid),
	SCMP_SYS(setfsuid), SCMP_SYS(setfsgid), SCMP_SYS(setgroups), SCMP_SYS(capset),
	SCMP_SYS(chroot), SCMP_SYS(pivot_root), SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(open_tree), SCMP_SYS(move_mount),
	SCMP_SYS(fsopen), SCMP_SYS(fsconfig), SCMP_SYS(fsmount), SCMP_SYS(fspick), SCMP_SYS(mount_setattr), SCMP_SYS(unshare), SCMP_SYS(setns),
	SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(delete_module), SCMP_SYS(kexec_load), SCMP_SYS(kexec_file_load),
	SCMP_SYS(bpf), SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd), SCMP_SYS(keyctl), SCMP_SYS(add_key), SCMP_SYS(request_key),
	SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_register), SCMP_SYS(seccomp), SCMP_SYS(fanotify_init), SCMP_SYS(inotify_init1),
	SCMP_SYS(name_to_handle_at), SCMP_SYS(open_by_handle_at), SCMP_SYS(quotactl), SCMP_SYS(swapon), SCMP_SYS(swapoff),
	SCMP_SYS(reboot), SCMP_SYS(settimeofday), SCMP_SYS(clock_settime), SCMP_SYS(clock_adjtime), SCMP_SYS(adjtimex), SCMP_SYS(acct),
	SCMP_SYS(iopl), SCMP_SYS(ioperm), SCMP_SYS(modify_ldt), SCMP_SYS(personality), SCMP_SYS(syslog), SCMP_SYS(vhangup),
	SCMP_SYS(unlink), SCMP_SYS(rename), SCMP_SYS(link), SCMP_SYS(symlink), SCMP_SYS(mkdir), SCMP_SYS(rmdir), SCMP_SYS(mknod),
	SCMP_SYS(chown), SCMP_SYS(fchown), SCMP_SYS(lchown), SCMP_SYS(lsetxattr), SCMP_SYS(fsetxattr), SCMP_SYS(creat),
	SCMP_SYS(shmat), SCMP_SYS(shmget), SCMP_SYS(msgget), SCMP_SYS(semget),
};

/* Forbidden as well, unless there is a share; unless there is one that the guest may change. */
static const int reaching[] = {SCMP_SYS(openat2)};
static const int changing[] = {
	SCMP_SYS(unlinkat), SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(linkat), SCMP_SYS(symlinkat), SCMP_SYS(mkdirat),
	SCMP_SYS(mknodat), SCMP_SYS(chmod), SCMP_SYS(fchmod), SCMP_SYS(fchmodat), SCMP_SYS(fchownat), SCMP_SYS(setxattr),
	SCMP_SYS(removexattr), SCMP_SYS(truncate),
};

static int forbid(scmp_filter_ctx filter, const int *calls, size_t count)
{
	int err = 0;

	for (size_t i = 0; i < count && !err; i++) {
		err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), calls[i], 0);
		/* A libseccomp that has never heard of it cannot forbid it, and neither can a kernel without it be asked. */
		if (err == -EDOM || err == -EINVAL)
			err = 0;
	}
	return err;
}

/* Threads yes, processes no. The flags of clone3() are in memory, where a filter cannot look: let libc fall back to clone(). */
static int forbid_processes(scmp_filter_ctx filter)
{
	int err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);

	return err ? err : seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
					    SCMP_A0_64(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
}

/* Opening for reading only. */
static int forbid_writing(scmp_filter_ctx filter)
{
	static const int bits[] = {O_WRONLY, O_RDWR, O_CREAT, O_TRUNC};
	int err = 0;

	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]) && !err; i++) {
		err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(open), 1,
				       SCMP_A1_64(SCMP_CMP_MASKED_EQ, (scmp_datum_t)bits[i], (scmp_datum_t)bits[i]));
		if (!err)
			err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(openat), 1,
					       SCMP_A2_64(SCMP_CMP_MASKED_EQ, (scmp_datum_t)bits[i], (scmp_datum_t)bits[i]));
	}
	return err;
}

static int forbid_all(scmp_filter_ctx filter, enum sandbox_files files)
{
	int err = forbid(filter, forbidden, sizeof(forbidden) / sizeof(forbidden[0]));

	if (!err && files < SANDBOX_SHARED_FILES)
		err = forbid(filter, reaching, sizeof(reaching) / sizeof(reaching[0]));
	if (!err && files < SANDBOX_CHANGE_FILES)
		err = forbid(filter, changing, sizeof(changing) / sizeof(changing[0]));
	if (!err && files < SANDBOX_CHANGE_FILES)
		err = forbid_writing(filter);
	return err ? err : forbid_processes(filter);
}

int sandbox_enter(enum sandbox_files files, struct error *error)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int err;

	if (!filter)
		return error_set(error, ENOMEM, "no memory for a sandbox");
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	err = forbid_all(filter, files);
	if (!err)
		err = seccomp_load(filter);
	seccomp_release(filter);
	if (err == -ENOSYS || err == -EACCES || err == -ECANCELED || err == -EFAULT) {
		message_warn("this host has no seccomp: the guest runs without a sandbox");
		return 0;
	}
	return err ? error_errno(error, -err, "cannot enter the sandbox (--no-sandbox does without)") : 0;
}
