/* SPDX-License-Identifier: MIT */
/*
 * vhost-user.c - one device of ours for a virtual machine of somebody else's: the disks, networks, event loop and sandbox of `run`, with
 * the vhost-user back end where there the machine is. One process is one device; it serves one front end after the other.
 *
 * The work is done on the loop's thread; this one only waits for the end.
 */
#include <errno.h>
#include <getopt.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "device/device.h"
#include "host/disk/disk.h"
#include "host/loop/loop.h"
#include "host/message.h"
#include "host/net/slirp.h"
#include "host/net/tap.h"
#include "host/random.h"
#include "kennel/commands.h"
#include "kennel/sandbox.h"
#include "transport/vhost-user/backend.h"

struct server {
	const struct kind *kind;
	const char *socket;		/* path; for messages also if there is only a descriptor */
	int connected;			/* --fd; -1 = listen */
	const char *behind;		/* --disk or --net */
	bool no_sandbox, verbose, print_capabilities, help;

	struct loop *loop;
	struct virtio_dev *dev;
	struct vhost_user_backend *backend;
	int listener;
	struct loop_watch *listener_watch, *backend_watch;
	sem_t stop;
};

/* --- kinds of devices: each makes s->dev, or leaves a sentence ---------------------------------------------------------- */

static int no_memory(struct error *error)
{
	return error_set(error, ENOMEM, "no memory for a device");
}

static int make_disk(struct server *s, struct error *error)
{
	const char *comma = s->behind ? strrchr(s->behind, ',') : NULL;
	bool read_only = comma && !strcmp(comma, ",ro");
	struct block_backend *disk;
	char *path;

	if (!s->behind)
		return error_set(error, EINVAL, "vhost-user blk: --disk FILE is missing");
	path = strndup(s->behind, read_only ? (size_t)(comma - s->behind) : strlen(s->behind));
	if (!path)
		return no_memory(error);
	disk = disk_open(s->loop, path, read_only, DISK_AUTO, error);
	free(path);
	if (!disk)
		return -EIO;
	s->dev = block_device_create(disk);
	if (!s->dev)
		disk->ops->close(disk);
	return s->dev ? 0 : no_memory(error);
}

static int make_net(struct server *s, struct error *error)
{
	const char *net = s->behind ? s->behind : "user";
	struct net_backend *backend;

	if (!strncmp(net, "tap=", 4) && net[4])
		backend = tap_open(s->loop, net + 4, error);
	else if (!strcmp(net, "user") || !strncmp(net, "user,", 5))
		backend = slirp_open(s->loop, net[4] ? net + 5 : NULL, error);
	else
		return error_set(error, EINVAL, "--net %s: choose user, user,hostfwd=tcp:HOSTPORT:GUESTPORT or tap=NAME", net);
	if (!backend)
		return -EIO;
	s->dev = net_device_create(backend);
	if (!s->dev)
		backend->ops->close(backend);
	return s->dev ? 0 : no_memory(error);
}

static int make_rng(struct server *s, struct error *error)
{
	struct entropy_backend *entropy = random_open(error);

	if (!entropy)
		return -EIO;
	s->dev = rng_device_create(entropy);
	if (!s->dev)
		entropy->ops->close(entropy);
	return s->dev ? 0 : no_memory(error);
}

static const struct kind {
	const char *name;
	const char *type;		/* in the capabilities that management programs ask for */
	int (*make)(struct server *s, struct error *error);
} kinds[] = {
	{"blk", "block", make_disk},
	{"net", "net", make_net},
	{"rng", "rng", make_rng},
};

static const struct kind *find_kind(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	return NULL;
}

/* --- front ends come and go ------------------------------------------------------------------------------------------- */

static void on_complaint(void *opaque, const char *sentence)
{
	message_warn("%s: the front end's fault: %s", ((struct server *)opaque)->socket, sentence);
}

static void attach(struct server *s, int fd)
{
	int err = vhost_user_backend_attach(s->backend, fd);

	if (err) {
		message_warn("%s: cannot serve a front end: %s", s->socket, strerror(-err));
		close(fd);
		return;
	}
	message_verbose("%s: a front end has connected", s->socket);
	if (s->listener_watch)
		loop_watch_set(s->listener_watch, 0);
}

static void on_connection(void *opaque, uint32_t events)
{
	struct server *s = opaque;
	int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd >= 0)
		attach(s, fd);
}

/* Those who came meanwhile wait in the listener's queue. */
static void on_backend(void *opaque, uint32_t events)
{
	struct server *s = opaque;
	int err = vhost_user_backend_run(s->backend);

	if (!err)
		return;
	if (err == -EPROTO)
		message_warn("%s: disconnected the front end: %s", s->socket, s->backend->error);
	else
		message_verbose("%s: the front end has left", s->socket);
	if (s->listener_watch)
		loop_watch_set(s->listener_watch, EPOLLIN);
	else
		sem_post(&s->stop);
}

static void on_signal(void *opaque, int signo)
{
	sem_post(&((struct server *)opaque)->stop);
}

/* --- set-up: each step returns 0, or a negative errno and a sentence ----------------------------------------------------- */

static int make_loop(struct server *s, struct error *error)
{
	int err;

	s->loop = loop_create(error);
	if (!s->loop)
		return -EIO;
	err = loop_signal(s->loop, SIGINT, on_signal, s);
	if (!err)
		err = loop_signal(s->loop, SIGTERM, on_signal, s);
	return err ? error_errno(error, -err, "cannot wait for signals") : 0;
}

static int make_device(struct server *s, struct error *error)
{
	return s->kind->make(s, error);
}

static int make_backend(struct server *s, struct error *error)
{
	int err = vhost_user_guard_install();

	if (err)
		return error_errno(error, -err, "cannot guard shared memory");
	s->backend = vhost_user_backend_create(s->dev, on_complaint, s);
	if (!s->backend)
		return error_errno(error, errno, "vhost-user");
	s->backend_watch = loop_watch(s->loop, vhost_user_backend_fd(s->backend), EPOLLIN, on_backend, s);
	return s->backend_watch ? 0 : error_errno(error, errno, "vhost-user");
}

static int find_front_end(struct server *s, struct error *error)
{
	if (s->connected >= 0) {
		attach(s, s->connected);
		return s->backend->fd >= 0 ? 0 : error_set(error, EINVAL, "--fd %d: not a connected socket", s->connected);
	}
	s->listener = vhost_user_listen(s->socket);
	if (s->listener < 0)
		return error_errno(error, -s->listener, "%s", s->socket);
	s->listener_watch = loop_watch(s->loop, s->listener, EPOLLIN, on_connection, s);
	return s->listener_watch ? 0 : error_errno(error, errno, "%s", s->socket);
}

static int start_loop(struct server *s, struct error *error)
{
	return loop_start(s->loop, error);
}

static int enter_sandbox(struct server *s, struct error *error)
{
	return s->no_sandbox ? 0 : sandbox_enter(SANDBOX_NO_FILES, error);
}

static int set_up(struct server *s, struct error *error)
{
	static int (*const steps[])(struct server *s, struct error *error) = {
		make_loop, make_device, make_backend, find_front_end, start_loop, enter_sandbox,
	};
	int err = 0;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && !err; i++)
		err = steps[i](s, error);
	return err;
}

static void tear_down(struct server *s)
{
	if (s->loop)
		loop_stop(s->loop);
	loop_unwatch(s->listener_watch);
	loop_unwatch(s->backend_watch);
	if (s->listener >= 0)
		close(s->listener);
	vhost_user_backend_destroy(s->backend);
	virtio_dev_destroy(s->dev);
	loop_destroy(s->loop);
}

/* --- the command ------------------------------------------------------------------------------------------------------ */

static int print_help(void)
{
	printf("usage: kennel vhost-user blk --socket-path PATH --disk FILE[,ro]\n"
	       "       kennel vhost-user net --socket-path PATH [--net user|user,hostfwd=...|tap=NAME]\n"
	       "       kennel vhost-user rng --socket-path PATH\n\n"
	       "Serve a device to virtual machines that speak vhost-user, one after the other, until SIGTERM.\n\n"
	       "  --fd N                serve the connection that descriptor N is, then end, instead of --socket-path\n"
	       "  --print-capabilities  say, as JSON, what kind of device it is\n"
	       "  --no-sandbox          keep the system calls that serving a device never needs\n"
	       "  -v, --verbose         say who comes and goes\n");
	return STATUS_OK;
}

static int parse(struct server *s, int argc, char **argv, struct error *error)
{
	enum { SOCKET_PATH = 256, FD, BEHIND, PRINT, NO_SANDBOX };
	static const struct option longs[] = {
		{"socket-path", required_argument, NULL, SOCKET_PATH}, {"fd", required_argument, NULL, FD},
		{"disk", required_argument, NULL, BEHIND},	       {"net", required_argument, NULL, BEHIND},
		{"print-capabilities", no_argument, NULL, PRINT},      {"no-sandbox", no_argument, NULL, NO_SANDBOX},
		{"verbose", no_argument, NULL, 'v'},		       {"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int c;

	s->kind = argc > 1 ? find_kind(argv[1]) : NULL;
	s->help = argc > 1 && !strcmp(argv[1], "--help");
	if (s->help)
		return 0;
	if (!s->kind)
		return error_set(error, EINVAL, "vhost-user: which device: blk, net or rng? (--help lists the options)");
	opterr = 0;
	while ((c = getopt_long(argc - 1, argv + 1, ":v", longs, NULL)) != -1) {
		switch (c) {
		case SOCKET_PATH:
			s->socket = optarg;
			break;
		case FD:
			s->socket = "--fd";
			s->connected = atoi(optarg);
			break;
		case BEHIND:
			s->behind = optarg;
			break;
		case PRINT:
			s->print_capabilities = true;
			break;
		case NO_SANDBOX:
			s->no_sandbox = true;
			break;
		case 'v':
			s->verbose = true;
			break;
		case 'h':
			s->help = true;
			break;
		default:
			return error_set(error, EINVAL, "vhost-user: %s: %s (--help lists the options)", argv[optind],
					 c == ':' ? "a value is missing" : "no such option");
		}
	}
	if (optind + 1 < argc)
		return error_set(error, EINVAL, "vhost-user: %s: what is this? (--help lists the options)", argv[optind + 1]);
	if (!s->socket && !s->print_capabilities && !s->help)
		return error_set(error, EINVAL, "vhost-user %s: --socket-path PATH is missing", s->kind->name);
	return 0;
}

static int serve(struct server *s)
{
	struct error error = {""};
	int err;

	message_set_verbose(s->verbose);
	sem_init(&s->stop, 0, 0);
	err = set_up(s, &error);
	while (!err && sem_wait(&s->stop))
		;
	tear_down(s);
	sem_destroy(&s->stop);
	if (err)
		message_error("%s", error.text);
	return err ? STATUS_TROUBLE : STATUS_OK;
}

int vhost_user(int argc, char **argv)
{
	struct server s = {.connected = -1, .listener = -1};
	struct error error = {""};

	if (parse(&s, argc, argv, &error)) {
		message_error("%s", error.text);
		return STATUS_TROUBLE;
	}
	if (s.help)
		return print_help();
	if (s.print_capabilities) {
		printf("{\"type\": \"%s\"}\n", s.kind->type);
		return STATUS_OK;
	}
	return serve(&s);
}
