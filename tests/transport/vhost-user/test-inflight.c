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

/* --- packed rings ------------------------------------------------------------------------------------------------------ */

#define PACKED		(VIRTIO_F_VERSION_1 | VIRTIO_F_RING_PACKED)
#define REQUEST_DESCS	3u

static struct vring_packed_desc *packed(unsigned int n)
{
	return (struct vring_packed_desc *)(void *)ram + n % NUM;
}

/* The driver's flags, or ours, of the @n-th descriptor since the ring began. */
static uint16_t packed_flags(unsigned int n, bool used)
{
	bool wrap = n / NUM % 2 == 0;

	return (wrap ? VRING_PACKED_AVAIL : 0) | (wrap == used ? VRING_PACKED_USED : 0);
}

/* Request @id: read sector @id; its descriptors are the @n-th and the two behind it. */
static void offer_packed(unsigned int n, uint16_t id)
{
	uint32_t at = DATA + id * 0x1000u;
	const struct vring_packed_desc d[REQUEST_DESCS] = {
		{ GPA + at, 16, 0, VRING_DESC_NEXT },
		{ GPA + at + 0x200, 512, 0, VRING_DESC_NEXT | VRING_DESC_WRITE },
		{ GPA + at + 0x800, 1, id, VRING_DESC_WRITE },
	};

	memset(ram + at, 0, 0x1000);
	ram[at + 8] = (uint8_t)id;
	ram[at + 0x800] = 0xff;
	for (unsigned int i = REQUEST_DESCS; i-- > 0;) {
		*packed(n + i) = d[i];
		packed(n + i)->flags |= packed_flags(n + i, false);
	}
	kick_ring();
}

/* Was request @id given back at the @n-th descriptor, having been read? */
static bool packed_done(unsigned int n, uint16_t id)
{
	const uint8_t *at = ram + DATA + id * 0x1000u;

	return (packed(n)->flags & (VRING_PACKED_AVAIL | VRING_PACKED_USED)) == packed_flags(n, true) && packed(n)->id == id &&
	       at[0x800] == VIRTIO_BLOCK_S_OK && !memcmp(at + 0x200, disk.data + id * 512u, 512);
}

/* The disk finishes the request that it was given as the @i-th of those it holds. */
static void finish_held(unsigned int i)
{
	struct block_io *io = disk.held[i];

	memmove(&disk.held[i], &disk.held[i + 1], (--disk.held_count - i) * sizeof(io));
	memcpy((uint8_t *)io->iov[0].base, disk.data + io->offset, 512);
	io->done(io, 0);
}

/* A back end that died, and what it left. */
struct dead {
	struct vhost_user_backend *be;
	struct virtio_dev *dev;
	int front, record;
};

/* Nothing more is heard of the back end; there is another one, which holds nothing back, and which knows the record. */
static struct dead succeed(int record)
{
	struct dead dead = { be, dev, front, record };

	new_disk();
	be = vhost_user_backend_create(dev, NULL, NULL);
	attach();
	assert_int_equal(say_inflight(VHOST_USER_SET_INFLIGHT_FD, 1, NUM, record), 0);
	/* A front end cannot know the base. */
	set_up_ring(PACKED);
	assert_int_equal(say_state(VHOST_USER_SET_VRING_BASE, 0, VRING_EVENT_WRAP | (uint32_t)VRING_EVENT_WRAP << 16), 0);
	assert_int_equal(say_fd(VHOST_USER_SET_VRING_KICK, 0, kick), 0);
	return dead;
}

static void bury(struct dead dead)
{
	close(dead.front);
	vhost_user_backend_destroy(dead.be);
	virtio_dev_destroy(dead.dev);
}

static int start_packed(void)
{
	int record = get_record();

	set_up_ring(PACKED);
	assert_int_equal(say_state(VHOST_USER_SET_VRING_BASE, 0, VRING_EVENT_WRAP | (uint32_t)VRING_EVENT_WRAP << 16), 0);
	assert_int_equal(say_fd(VHOST_USER_SET_VRING_KICK, 0, kick), 0);
	disk.hold = true;
	return record;
}

/*
 * The second of two requests is finished first, so the first one's descriptors are lost from the ring, and a third one takes the
 * place of the second. The successor does both that are left, and dies when it has two others, of which the younger was noted in the
 * place of one that is done. All keep their order.
 */
static void test_packed_successor(void **state)
{
	int record = start_packed();
	struct dead first, second;

	offer_packed(0, 0);
	offer_packed(3, 1);
	finish_held(1);
	assert_true(packed_done(0, 1));
	offer_packed(6, 2);
	assert_int_equal(disk.held_count, 2);
	first = succeed(record);
	assert_true(packed_done(3, 0));
	assert_true(packed_done(6, 2));
	disk.hold = true;
	offer_packed(9, 3);
	offer_packed(12, 4);
	finish_held(0);
	assert_true(packed_done(9, 3));
	offer_packed(15, 5);
	second = succeed(record);
	assert_true(packed_done(12, 4));
	assert_true(packed_done(15, 5));
	offer_packed(18, 1);
	assert_true(packed_done(18, 1));
	bury(first);
	bury(second);
	close(record);
}

static void skip_shown(struct virtio_dev *dying, unsigned int queue)
{
}

/* Death between showing a buffer and noting that: it is not done again, even if the driver has used its place for another. */
static void test_packed_shown(void **state)
{
	struct virtio_transport_ops ops = *dev->transport;
	int record = start_packed();
	struct dead dead;

	ops.shown = skip_shown;
	offer_packed(0, 0);
	offer_packed(3, 1);
	dev->transport = &ops;
	finish_held(1);
	assert_true(packed_done(0, 1));
	ram[DATA + 0x1000 + 0x800] = 0x55;
	/* What it wrote last was for a lap that is over. */
	packed(0)->flags = packed_flags(NUM, false);
	dead = succeed(record);
	assert_int_equal(ram[DATA + 0x1000 + 0x800], 0x55);
	assert_true(packed_done(3, 0));
	offer_packed(6, 1);
	assert_true(packed_done(6, 1));
	bury(dead);
	close(record);
}

static uint32_t token;

static void note_token(struct virtio_dev *dying, unsigned int queue, uint32_t id)
{
	token = id;
}

/* Death between noting that a buffer is given back and showing that: it is done again. */
static void test_packed_given(void **state)
{
	const struct virtio_transport_ops *real = dev->transport;
	struct virtio_transport_ops ops = *real;
	int record = start_packed();
	struct dead dead;

	ops.given = note_token;
	ops.shown = skip_shown;
	offer_packed(0, 0);
	dev->transport = &ops;
	finish_held(0);
	real->given(dev, 0, token);
	/* As if it had not been shown. */
	packed(0)->flags = packed_flags(0, false);
	ram[DATA + 0x800] = 0xff;
	dead = succeed(record);
	assert_true(packed_done(0, 0));
	offer_packed(3, 1);
	assert_true(packed_done(3, 1));
	bury(dead);
	close(record);
}

/* A front end that was told where the ring stands is believed the next time, whatever the record says. */
static void test_packed_stopped(void **state)
{
	int record = start_packed();

	disk.hold = false;
	offer_packed(0, 0);
	assert_true(packed_done(0, 0));
	assert_int_equal(say_state(VHOST_USER_GET_VRING_BASE, 0, 0), 0);
	assert_int_equal(hear().payload.state.num, (VRING_EVENT_WRAP | 3) * UINT32_C(0x10001));
	memset(ram, 0, NUM * sizeof(struct vring_packed_desc));
	assert_int_equal(say_state(VHOST_USER_SET_VRING_BASE, 0, VRING_EVENT_WRAP * UINT32_C(0x10001)), 0);
	assert_int_equal(say_fd(VHOST_USER_SET_VRING_KICK, 0, kick), 0);
	offer_packed(0, 1);
	assert_true(packed_done(0, 1));
	close(record);
}

/* --- what is not a record ---------------------------------------------------------------------------------------------- */

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
	memset(ram, 0xa5, RAM);
	assert_int_equal(say_inflight(VHOST_USER_SET_INFLIGHT_FD, 1, NUM, ram_fd), 0);
	set_up_ring(PACKED);
	assert_int_equal(say_fd(VHOST_USER_SET_VRING_KICK, 0, kick), 0);
	close(fd);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(successor),
		TEST(packed_successor),
		TEST(packed_shown),
		TEST(packed_given),
		TEST(packed_stopped),
		TEST(record_of_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
