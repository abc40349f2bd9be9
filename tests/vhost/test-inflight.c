/* SPDX-License-Identifier: MIT */
/* The record that a vhost-user back end keeps of what is under way, and what its successor makes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "by-hand.h"

static int say_inflight(uint32_t request, uint16_t queues, uint16_t queue_size, int fd)
{
	struct vhost_user_inflight inflight = { .queues = queues, .queue_size = queue_size };

	return say(message(request, &inflight, sizeof(inflight), fd));
}

static int get_record(void)
{
	struct vhost_user_message m;

	assert_int_equal(say_inflight(VHOST_USER_GET_INFLIGHT_FD, 1, NUM, -1), 0);
	m = hear();
	assert_int_equal(m.fd_count, 1);
	assert_int_equal(say_inflight(VHOST_USER_SET_INFLIGHT_FD, 1, NUM, m.fds[0]), 0);
	return m.fds[0];
}

/* Three requests taken, the second of them finished, then nothing more is heard of the back end: the next one does the other two. */
static void test_successor(void **state)
{
	struct vhost_user_backend *dead_be = be;
	struct virtio_dev *dead_dev = dev;
	int record = get_record(), dead_front = front;
	struct block_io *io;

	disk.hold = true;
	start_ring();
	for (uint16_t n = 0; n < 9; n++) {
		offer_read(n);
		kick_ring();
		if (n < 7)
			fake_disk_run(&disk);
	}
	assert_int_equal(used_idx(), 7);
	assert_int_equal(disk.held_count, 2);
	io = disk.held[1];
	disk.held_count = 1;
	memcpy((uint8_t *)io->iov[0].base, disk.data + 8 * 512u, 512);
	io->done(io, 0);
	assert_int_equal(used_idx(), 8);

	/* From here on the disk has forgotten what the first one gave it. */

	new_disk();
	be = vhost_user_backend_create(dev, NULL, NULL);
	attach();
	assert_int_equal(say_inflight(VHOST_USER_SET_INFLIGHT_FD, 1, NUM, record), 0);
	set_up_ring(VIRTIO_F_VERSION_1);
	assert_int_equal(say_state(VHOST_USER_SET_VRING_BASE, 0, used_idx()), 0);
	assert_int_equal(say_fd(VHOST_USER_SET_VRING_KICK, 0, kick), 0);
	assert_int_equal(used_idx(), 9);
	assert_read(8);
	assert_memory_equal(ram + DATA + 0x200, disk.data + 8 * 512u, 512);
	assert_int_equal(ram[DATA + 0x1000 + 0x800], VIRTIO_BLOCK_S_OK);
	offer_read(9);
	kick_ring();
	assert_int_equal(used_idx(), 10);
	assert_read(9);

	close(record);
	close(dead_front);
	vhost_user_backend_destroy(dead_be);
	virtio_dev_destroy(dead_dev);
}

static void test_record_of_another(void **state)
{
	int fd = memfd_create("short", MFD_CLOEXEC);

	assert_ended(say_inflight(VHOST_USER_GET_INFLIGHT_FD, 2, NUM, -1), "more than the device has");
	assert_ended(say_inflight(VHOST_USER_GET_INFLIGHT_FD, 1, UINT16_MAX, -1), "more than the device has");
	assert_ended(say_inflight(VHOST_USER_SET_INFLIGHT_FD, 1, NUM, -1), "not the one we made");
	assert_ended(say_inflight(VHOST_USER_SET_INFLIGHT_FD, 1, NUM, fd), "not the one we made");
	assert_ended(say_inflight(VHOST_USER_SET_INFLIGHT_FD, 1, NUM, kick), "not the one we made");
	assert_ended(say_inflight(VHOST_USER_SET_INFLIGHT_FD, 0, 0, ram_fd), "not the one we made");
	/* Full of anything, it does no more harm than a driver that offers anything. */
	memset(ram, 0xa5, RAM);
	assert_int_equal(say_inflight(VHOST_USER_SET_INFLIGHT_FD, 1, NUM, ram_fd), 0);
	set_up_ring(VIRTIO_F_VERSION_1);
	assert_int_equal(say_fd(VHOST_USER_SET_VRING_KICK, 0, kick), 0);
	assert_ended(say_inflight(VHOST_USER_GET_INFLIGHT_FD, 1, NUM, -1), "in use");
	close(fd);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(successor),
		TEST(record_of_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
