/* SPDX-License-Identifier: MIT */
/*
 * holding-disk SOCKET IMAGE - a vhost-user disk that, after SIGUSR1, keeps the next write for itself and goes on serving what comes behind
 * it. When some of that has been finished it says "holding". Whoever kills it then leaves a request behind that is under way, and
 * others that overtook it: a successor that only counts would do the wrong one again.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <device/device.h>
#include <transport/vhost-user/backend.h>

#define OVERTAKEN 5	/* requests */

static int image;
static struct block_io *held;
static unsigned int behind;		/* finished since */
static volatile sig_atomic_t hold;

static void on_signal(int signo)
{
	hold = 1;
}

static bool whole(ssize_t moved, const struct block_io *io)
{
	return moved >= 0 && (uint64_t)moved == virtio_iov_length(io->iov, io->iov_count);
}

static void perform(struct block_io *io)
{
	const struct iovec *iov = (const struct iovec *)(const void *)io->iov;
	bool good = false;

	switch (io->op) {
	case BLOCK_READ:
		good = whole(preadv(image, iov, (int)io->iov_count, (off_t)io->offset), io);
		break;
	case BLOCK_WRITE:
		good = whole(pwritev(image, iov, (int)io->iov_count, (off_t)io->offset), io);
		break;
	case BLOCK_FLUSH:
		good = !fdatasync(image);
		break;
	default:
		break;
	}
	io->done(io, good ? 0 : -1);
}

static void disk_submit(struct block_backend *disk, struct block_io *io)
{
	if (hold && io->op == BLOCK_WRITE && !held) {
		held = io;
		return;
	}
	perform(io);
	if (held && ++behind == OVERTAKEN && puts("holding") >= 0)
		fflush(stdout);
}

static void disk_drain(struct block_backend *disk)
{
	struct block_io *io = held;

	held = NULL;
	hold = 0;
	if (io)
		perform(io);
}

static const struct block_backend_ops disk_ops = { .submit = disk_submit, .drain = disk_drain };

int main(int argc, char **argv)
{
	struct block_backend disk = { .ops = &disk_ops, .block_size = 512 };
	struct vhost_user_backend *be;
	int listener;
	struct stat st;

	image = argc > 2 ? open(argv[2], O_RDWR | O_CLOEXEC) : -1;
	if (image < 0 || fstat(image, &st))
		return fprintf(stderr, "usage: holding-disk SOCKET IMAGE\n"), 2;
	disk.size = (uint64_t)st.st_size;
	sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = on_signal }, NULL);
	be = vhost_user_backend_create(block_device_create(&disk), NULL, NULL);
	listener = vhost_user_listen(argv[1]);
	if (!be || listener < 0 || poll(&(struct pollfd){ .fd = listener, .events = POLLIN }, 1, -1) != 1 ||
	    vhost_user_backend_attach(be, accept(listener, NULL, NULL)))
		return 1;
	while (!vhost_user_backend_run(be))
		poll(&(struct pollfd){ .fd = vhost_user_backend_fd(be), .events = POLLIN }, 1, -1);
	return fprintf(stderr, "%s\n", be->error ? be->error : "the front end has left"), 1;
}
