/* SPDX-License-Identifier: MIT */
/*
 * run.c - one guest, from its files to its exit status.
 *
 * This thread becomes the processor's; everything on the host happens on the event loop's. What may be wrong with the user's
 * files is found before the terminal is touched.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu/x86/cpu.h"
#include "host/clock.h"
#include "host/disk/disk.h"
#include "host/loop/loop.h"
#include "host/memory_limit.h"
#include "host/message.h"
#include "host/net/slirp.h"
#include "host/net/tap.h"
#include "host/random.h"
#include "host/share/share.h"
#include "host/terminal/console.h"
#include "host/terminal/port.h"
#include "host/terminal/tty.h"
#include "kennel/commands.h"
#include "kennel/options.h"
#include "kennel/sandbox.h"
#include "machine/boot/params.h"
#include "machine/machine.h"
#include "machine/trace.h"
#include "transport/vhost-user/backend.h"

/* Why run() of the machine was stopped from outside. */
enum reason { REASON_NONE, REASON_QUIT, REASON_TIMEOUT, REASON_SIGNAL };

struct session {
	const struct options *options;
	struct kernel kernel;
	struct file_view initrd;
	struct loop *loop;
	struct machine *machine;
	struct loop_timer timer;
	struct block_backend *disks[DISKS_MAX];
	struct net_backend *nets[NETS_MAX];
	struct share_backend *shares[SHARES_MAX];
	struct console_port ports[1 + PORTS_MAX];	/* number 0, where others have a console, is none */
	struct machine_devices devices;
	bool taken_over;		/* the backends, by a machine, even if it could not be made */
	_Atomic int reason;
	_Atomic int signo;
};

static void stop(struct session *s, enum reason reason)
{
	int none = REASON_NONE;

	atomic_compare_exchange_strong(&s->reason, &none, reason);
	if (s->machine)
		s->machine->ops->stop(s->machine);
}

static void on_quit(void *opaque)
{
	stop(opaque, REASON_QUIT);
}

static void on_timeout(void *opaque)
{
	stop(opaque, REASON_TIMEOUT);
}

static void on_signal(void *opaque, int signo)
{
	struct session *s = opaque;

	atomic_store(&s->signo, signo);
	stop(s, REASON_SIGNAL);
}

/* --- set-up: each step returns 0, or a negative errno and a sentence ----------------------------------------------------- */

static int open_files(struct session *s, struct error *error)
{
	const struct options *o = s->options;
	int err = command_line_check(o->command_line, error);

	if (!err)
		err = kernel_open(&s->kernel, o->kernel, error);
	if (!err && o->initrd)
		err = file_open(&s->initrd, o->initrd, "initrd", error);
	if (err)
		return err;
	message_verbose("%s: Linux %s%s%s", o->kernel, *s->kernel.version ? s->kernel.version : "(unknown version)",
			s->kernel.unpacker ? ", packed with " : "", s->kernel.unpacker ? s->kernel.unpacker->name : "");
	return 0;
}

static int open_disks(struct session *s, struct error *error)
{
	for (unsigned int i = 0; i < s->options->disk_count; i++) {
		const struct disk_option *disk = &s->options->disks[i];

		s->disks[i] = disk_open(s->loop, disk->path, disk->read_only, DISK_AUTO, error);
		if (!s->disks[i])
			return -EIO;
	}
	s->devices.disks = s->disks;
	s->devices.disk_count = s->options->disk_count;
	return 0;
}

static struct net_backend *open_net(struct loop *loop, const char *net, struct error *error)
{
	if (!strncmp(net, "tap=", 4))
		return tap_open(loop, net + 4, error);
	return slirp_open(loop, net[4] ? net + 5 : NULL, error);
}

static int open_nets(struct session *s, struct error *error)
{
	for (unsigned int i = 0; i < s->options->net_count; i++) {
		s->nets[i] = open_net(s->loop, s->options->nets[i], error);
		if (!s->nets[i])
			return -EIO;
	}
	s->devices.nets = s->nets;
	s->devices.net_count = s->options->net_count;
	return 0;
}

static int open_shares(struct session *s, struct error *error)
{
	for (unsigned int i = 0; i < s->options->share_count; i++) {
		const struct share_option *share = &s->options->shares[i];

		s->shares[i] = share_open(s->loop, share->tag, share->path, share->read_only, error);
		if (!s->shares[i])
			return -EIO;
	}
	s->devices.shares = s->shares;
	s->devices.share_count = s->options->share_count;
	return 0;
}

static int open_ports(struct session *s, struct error *error)
{
	for (unsigned int i = 0; i < s->options->port_count; i++) {
		const struct port_option *option = &s->options->ports[i];
		struct console_port *port = &s->ports[1 + i];
		int listener = vhost_user_listen(option->path);

		if (listener < 0)
			return error_errno(error, -listener, "%s", option->path);
		port->name = option->name;
		port->backend = port_open(s->loop, listener, error);
		if (!port->backend)
			return -EIO;
		s->devices.port_count = 2 + i;
	}
	s->devices.ports = s->ports;
	return 0;
}

static int open_entropy(struct session *s, struct error *error)
{
	s->devices.entropy = random_open(error);
	return s->devices.entropy ? 0 : -EIO;
}

static int open_console(struct session *s, struct error *error)
{
	switch (s->options->console) {
	case CONSOLE_STDIO:
		s->devices.console = console_stdio_open(s->loop, on_quit, s, error);
		break;
	case CONSOLE_PTY:
		s->devices.console = console_pty_open(s->loop, error);
		break;
	case CONSOLE_NONE:
		s->devices.console = console_none_open(error);
		break;
	}
	return s->devices.console ? 0 : -EIO;
}

static int take_signals(struct session *s, struct error *error)
{
	static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct sigaction old;
		int err;

		/* nohup and background jobs of a shell without job control: what is ignored stays ignored. */
		if (!sigaction(ends[i], NULL, &old) && old.sa_handler == SIG_IGN)
			continue;
		err = loop_signal(s->loop, ends[i], on_signal, s);
		if (err)
			return error_errno(error, -err, "cannot wait for signals");
	}
	return 0;
}

/* Once they are in the guest's memory. */
static void let_files_rest(struct session *s)
{
	kernel_rest(&s->kernel);
	file_rest(&s->initrd);
}

static int create_machine(struct session *s, struct error *error)
{
	const struct options *o = s->options;
	const struct machine_ops *ops = machine_find(o->machine, &s->kernel, error);
	struct machine_config config = {
		.kernel = &s->kernel,
		.initrd = o->initrd ? &s->initrd : NULL,
		.command_line = o->command_line,
		.memory = o->memory,
		.trace = o->trace,
		.dump_code = o->dump_code,
		.devices = s->devices,
	};
	char host[200];

	if (!ops)
		return -ENOEXEC;
	s->taken_over = true;
	s->machine = ops->create(&config, error);
	let_files_rest(s);
	if (!s->machine)
		return -EIO;
	if (message_is_verbose()) {	/* finding the words asks the processor, which takes time on a virtual one */
		cpu_host_line(host, sizeof(host));
		message_verbose("%s", host);
	}
	return 0;
}

/* Is the kernel for any machine, before the terminal becomes raw? */
static int check_kernel(struct session *s, struct error *error)
{
	return machine_find(s->options->machine, &s->kernel, error) ? 0 : -ENOEXEC;
}

/* Guest memory is used as the guest touches it, so a large one may do for long, and then end without a word. */
static int check_memory(struct session *s, struct error *error)
{
	struct memory_limit limit;

	if (memory_limit_find("", &limit) && limit.bytes < s->options->memory)
		message_warn("this process may use %lluM of memory (%s) and the guest has %lluM: it will be killed when it uses more; try --memory",
			     (unsigned long long)limit.bytes >> 20, limit.file, (unsigned long long)s->options->memory >> 20);
	return 0;
}

static int create_loop(struct session *s, struct error *error)
{
	s->loop = loop_create(error);
	return s->loop ? 0 : -EIO;
}

static int start_timeout(struct session *s, struct error *error)
{
	if (!s->options->timeout_ns)
		return 0;
	s->timer = (struct loop_timer){.expired = on_timeout, .opaque = s};
	loop_timer_set(s->loop, &s->timer, clock_monotonic_ns() + s->options->timeout_ns);
	return 0;
}

static int start_loop(struct session *s, struct error *error)
{
	return loop_start(s->loop, error);
}

static int enter_sandbox(struct session *s, struct error *error)
{
	enum sandbox_files files = SANDBOX_NO_FILES;

	for (unsigned int i = 0; i < s->options->share_count; i++)
		if (!s->options->shares[i].read_only)
			files = SANDBOX_CHANGE_FILES;
		else if (files == SANDBOX_NO_FILES)
			files = SANDBOX_SHARED_FILES;
	return s->options->no_sandbox ? 0 : sandbox_enter(files, error);
}

static int set_up(struct session *s, struct error *error)
{
	static int (*const steps[])(struct session *s, struct error *error) = {
		open_files, check_kernel, check_memory, create_loop, take_signals, open_disks, open_nets, open_shares, open_ports, open_entropy, open_console,
		create_machine, start_timeout, start_loop, enter_sandbox,
	};
	int err = 0;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && !err; i++)
		err = steps[i](s, error);
	return err;
}

/* --- the run ------------------------------------------------------------------------------------------------------------- */

static int run_machine(struct session *s, enum machine_end *end, struct error *error)
{
	struct machine *machine = s->machine;
	int err = 0;

	do {
		*end = machine->ops->run(machine);
		if (*end != MACHINE_RESTART || s->options->no_reboot)
			break;
		message_verbose("the guest restarts%s%s", *machine->last_words.text ? ": " : "", machine->last_words.text);
		err = machine->ops->reset(machine, error);
		let_files_rest(s);
		/* Stopped meanwhile, the machine says so when it is run. */
	} while (!err);
	return err;
}

/* How it ended, kept until the console has been flushed and the terminal is a line-wise one again. */
struct outcome {
	enum machine_end end;
	struct error last_words;
	char tail[2048];	/* what the guest said last on a console that nobody saw */
	size_t tail_len;
};

static void remember(struct session *s, struct outcome *out)
{
	out->last_words = s->machine->last_words;
	if (s->options->console != CONSOLE_STDIO)
		out->tail_len = console_tail(s->devices.console, out->tail, sizeof(out->tail));
}

static int stopped_status(struct session *s)
{
	switch (atomic_load(&s->reason)) {
	case REASON_TIMEOUT:
		message_error("the guest did not end within %g seconds", (double)s->options->timeout_ns / 1e9);
		return STATUS_TIMEOUT;
	case REASON_SIGNAL:
		return 128 + atomic_load(&s->signo);
	case REASON_QUIT:	/* in the middle of a line of the guest's */
		fputc('\n', stderr);
		return STATUS_OK;
	default:
		return STATUS_OK;
	}
}

static int tell(struct session *s, const struct outcome *out)
{
	switch (out->end) {
	case MACHINE_CRASHED:
		if (out->tail_len)
			fprintf(stderr, "%.*s%s", (int)out->tail_len, out->tail, out->tail[out->tail_len - 1] == '\n' ? "" : "\n");
		message_error("the guest crashed: %s", out->last_words.text);
		return STATUS_CRASHED;
	case MACHINE_HALTED:
		message_info("the guest halted");
		return STATUS_OK;
	case MACHINE_STOPPED:
		return stopped_status(s);
	case MACHINE_POWEROFF:
	case MACHINE_RESTART:
		break;
	}
	return STATUS_OK;
}

/* What no machine has taken over. */
static void close_backends(struct session *s)
{
	for (unsigned int i = 0; i < DISKS_MAX; i++)
		if (s->disks[i])
			s->disks[i]->ops->close(s->disks[i]);
	for (unsigned int i = 0; i < NETS_MAX; i++)
		if (s->nets[i])
			s->nets[i]->ops->close(s->nets[i]);
	for (unsigned int i = 0; i < SHARES_MAX; i++)
		if (s->shares[i])
			s->shares[i]->ops->close(s->shares[i]);
	for (unsigned int i = 0; i < 1 + PORTS_MAX; i++)
		if (s->ports[i].backend)
			s->ports[i].backend->ops->close(s->ports[i].backend);
	if (s->devices.entropy)
		s->devices.entropy->ops->close(s->devices.entropy);
	if (s->devices.console)
		s->devices.console->ops->close(s->devices.console);
}

static void tear_down(struct session *s)
{
	/* Backends are closed with the machine, and need a loop that stands still. */
	if (s->loop)
		loop_stop(s->loop);
	if (s->machine)
		s->machine->ops->destroy(s->machine);
	else if (!s->taken_over)
		close_backends(s);
	tty_release();
	if (s->loop)
		loop_destroy(s->loop);
	file_close(&s->initrd);
	kernel_close(&s->kernel);
}

/* So that a shell sees what it sent: end the way the signal ends a process. */
static void end_by_signal(int signo)
{
	signal(signo, SIG_DFL);
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signo);
	raise(signo);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

int run(const struct options *options)
{
	struct session s = {.options = options};
	struct outcome out = {.end = MACHINE_STOPPED};
	struct error error = {""};
	int status, err;

	message_set_verbose(options->verbose);
	err = set_up(&s, &error);
	if (!err) {
		err = run_machine(&s, &out.end, &error);
		remember(&s, &out);
		if (options->trace & TRACE_STATS)
			s.machine->ops->print_stats(s.machine);
	}
	tear_down(&s);
	if (err) {
		message_error("%s", error.text);
		return STATUS_TROUBLE;
	}
	status = tell(&s, &out);
	if (status > 128)
		end_by_signal(status - 128);
	return status;
}
