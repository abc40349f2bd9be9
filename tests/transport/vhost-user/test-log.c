/* SPDX-License-Identifier: MIT */
/*
 * The log of what a vhost-user back end writes: that a page is marked, once it has been written, and no other one; that memory which is
 * copied by the marks, while requests are under way and finish in any order, ends as a true copy; and logs that are none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <virtio/endian.h>

#include "by-hand.h"

#define PAGE		4096u
#define PAGES		(RAM / PAGE)
#define LOG_BYTES	4096u			/* for 128 MiB */
#define FIRST_BIT	(GPA / PAGE)

/* Pages of RAM; 0 to 2 are the ring's. */
enum { DESC_PAGE, AVAIL_PAGE, USED_PAGE, HEADERS, STATUSES, ELSEWHERE, READ_TO };

static int log_fd;
static uint8_t *marks;

static int setup_log(void **state)
{
	log_fd = memfd_create("log", MFD_CLOEXEC);
	assert_int_equal(ftruncate(log_fd, LOG_BYTES), 0);
	marks = mmap(NULL, LOG_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, log_fd, 0);
	return setup(state);
}

static int teardown_log(void **state)
{
	int ret = teardown(state);

	munmap(marks, LOG_BYTES);
	close(log_fd);
	return ret;
}

static int say_log(uint64_t size, uint64_t offset, int fd)
{
	struct vhost_user_log_area area = { size, offset };

	return say(message(VHOST_USER_SET_LOG_BASE, &area, sizeof(area), fd));
}

static int say_address(uint32_t flags, uint64_t log)
{
	struct vhost_user_ring_address address = { .flags = flags, .desc = USER, .avail = USER + AVAIL, .used = USER + USED, .log = log };

	return say(message(VHOST_USER_SET_VRING_ADDR, &address, sizeof(address), -1));
}

static uint64_t features = VIRTIO_F_VERSION_1 | VHOST_USER_F_PROTOCOL_FEATURES;

/* As QEMU begins and ends it, with rings in use. */
static void begin_log(void)
{
	assert_int_equal(say_number(VHOST_USER_SET_PROTOCOL_FEATURES, VHOST_USER_PROTOCOL_F_LOG_SHMFD), 0);
	assert_int_equal(say_log(LOG_BYTES, 0, log_fd), 0);
	assert_int_equal(hear().payload.number, 0);
	assert_int_equal(say_number(VHOST_USER_SET_FEATURES, features | VHOST_USER_F_LOG_ALL), 0);
	assert_int_equal(say_address(VHOST_USER_RING_LOG, GPA + USED), 0);
	assert_true(be->ring[0].served);
}

static void end_log(void)
{
	assert_int_equal(say_number(VHOST_USER_SET_FEATURES, features), 0);
	assert_int_equal(say_address(0, GPA + USED), 0);
	assert_true(be->ring[0].served);
}

/* Take the marks away: a bit for each page of RAM. */
static uint32_t take_marks(void)
{
	uint32_t taken = 0;

	for (unsigned int i = 0; i < PAGES; i++) {
		unsigned int bit = FIRST_BIT + i;

		if (__atomic_fetch_and(&marks[bit / 8], (uint8_t)~(1u << bit % 8), __ATOMIC_ACQUIRE) & 1u << bit % 8)
			taken |= 1u << i;
	}
	for (unsigned int i = 0; i < LOG_BYTES; i++)
		assert_int_equal(marks[i], 0);
	return taken;
}

/* --- a driver --------------------------------------------------------------------------------------------------------- */

/* Request @n of the ring: read sector @n to @at, which may lie across pages. Descriptors, header and status are numbered @slot. */
static void offer(uint16_t n, unsigned int slot, uint32_t at)
{
	struct vring_desc *desc = (struct vring_desc *)(void *)ram + (size_t)slot * 3;
	struct vring_avail *avail = (struct vring_avail *)(void *)(ram + AVAIL);
	uint32_t header = HEADERS * PAGE + slot * 16, status = STATUSES * PAGE + slot;

	memset(ram + header, 0, 16);
	virtio_put64(false, ram + header + 8, n % (FAKE_DISK_SIZE / 512));
	desc[0] = (struct vring_desc){ GPA + header, 16, VRING_DESC_NEXT, (uint16_t)(slot * 3 + 1) };
	desc[1] = (struct vring_desc){ GPA + at, 512, VRING_DESC_NEXT | VRING_DESC_WRITE, (uint16_t)(slot * 3 + 2) };
	desc[2] = (struct vring_desc){ GPA + status, 1, VRING_DESC_WRITE, 0 };
	avail->ring[n % NUM] = (uint16_t)(slot * 3);
	__atomic_store_n(&avail->idx, (uint16_t)(n + 1), __ATOMIC_RELEASE);
}

/* --- marks ------------------------------------------------------------------------------------------------------------ */

#define BIT(page) (1u << (page))

static void test_marks(void **state)
{
	start_ring();
	offer(0, 0, READ_TO * PAGE);
	kick_ring();
	begin_log();
	assert_int_equal(take_marks(), 0);
	offer(1, 0, READ_TO * PAGE + PAGE - 256);
	kick_ring();
	assert_int_equal(used_idx(), 2);
	assert_int_equal(take_marks(), BIT(READ_TO) | BIT(READ_TO + 1) | BIT(STATUSES) | BIT(USED_PAGE));
	/* The used ring is not always to be marked, nor where it is. */
	assert_int_equal(say_address(0, 0), 0);
	offer(2, 1, (READ_TO + 3) * PAGE);
	kick_ring();
	assert_int_equal(take_marks(), BIT(READ_TO + 3) | BIT(STATUSES));
	assert_int_equal(say_address(VHOST_USER_RING_LOG, GPA + ELSEWHERE * PAGE), 0);
	offer(3, 0, (READ_TO + 2) * PAGE);
	kick_ring();
	assert_int_equal(take_marks(), BIT(READ_TO + 2) | BIT(STATUSES) | BIT(ELSEWHERE));
	end_log();
	assert_int_equal(take_marks(), BIT(ELSEWHERE));		/* by laying it down */
	offer(4, 1, READ_TO * PAGE);
	kick_ring();
	assert_int_equal(used_idx(), 5);
	assert_int_equal(take_marks(), 0);
}

/* Marked too early would be as good as never. What was under way when it began is finished first, when it ends too. */
static void test_marked_when_written(void **state)
{
	disk.hold = true;
	start_ring();
	offer(0, 0, READ_TO * PAGE);
	kick_ring();
	begin_log();
	assert_int_equal(used_idx(), 1);
	offer(1, 0, READ_TO * PAGE);
	kick_ring();
	assert_int_equal(disk.held_count, 1);
	assert_int_equal(take_marks() & ~BIT(USED_PAGE), 0);
	fake_disk_run(&disk);
	assert_int_equal(take_marks(), BIT(READ_TO) | BIT(STATUSES) | BIT(USED_PAGE));
	offer(2, 1, READ_TO * PAGE);
	kick_ring();
	end_log();
	assert_int_equal(used_idx(), 3);
	assert_int_equal(take_marks(), BIT(READ_TO) | BIT(STATUSES) | BIT(USED_PAGE));
}

/* By its number, and by what the ring's descriptors say by then, a buffer would be another one. */
static void test_descriptors_changed(void **state)
{
	struct vring_desc *desc = (struct vring_desc *)(void *)ram;

	disk.hold = true;
	start_ring();
	begin_log();
	offer(0, 0, READ_TO * PAGE);
	kick_ring();
	memset(desc, 0, 3 * sizeof(*desc));
	fake_disk_run(&disk);
	assert_int_equal(take_marks(), BIT(READ_TO) | BIT(STATUSES) | BIT(USED_PAGE));
}

static void test_packed(void **state)
{
	struct vring_packed_desc *desc = (struct vring_packed_desc *)(void *)ram;
	uint32_t header = HEADERS * PAGE, status = STATUSES * PAGE;

	set_up_ring(VIRTIO_F_VERSION_1 | VIRTIO_F_RING_PACKED);
	features |= VIRTIO_F_RING_PACKED;
	assert_int_equal(say_state(VHOST_USER_SET_VRING_BASE, 0, 0x80008000), 0);
	assert_int_equal(say_fd(VHOST_USER_SET_VRING_KICK, 0, kick), 0);
	begin_log();
	memset(ram + header, 0, 16);
	desc[1] = (struct vring_packed_desc){ GPA + READ_TO * PAGE, 512, 0, VRING_DESC_NEXT | VRING_DESC_WRITE | VRING_PACKED_AVAIL };
	desc[2] = (struct vring_packed_desc){ GPA + status, 1, 0xfffe, VRING_DESC_WRITE | VRING_PACKED_AVAIL };
	desc[0] = (struct vring_packed_desc){ GPA + header, 16, 0, VRING_DESC_NEXT | VRING_PACKED_AVAIL };
	kick_ring();
	assert_int_equal(desc[0].id, 0xfffe);
	assert_int_equal(take_marks(), BIT(DESC_PAGE) | BIT(READ_TO) | BIT(STATUSES) | BIT(USED_PAGE));
	features &= ~VIRTIO_F_RING_PACKED;
}

/* Somebody waits for marks. */
static void test_call(void **state)
{
	int marked = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	eventfd_t count;

	start_ring();
	begin_log();
	assert_int_equal(say(message(VHOST_USER_SET_LOG_FD, NULL, 0, marked)), 0);
	assert_int_equal(eventfd_read(marked, &count), -1);
	offer(0, 0, READ_TO * PAGE);
	kick_ring();
	assert_int_equal(eventfd_read(marked, &count), 0);
	assert_ended(say(message(VHOST_USER_SET_LOG_FD, NULL, 0, ram_fd)), "no eventfd");
	assert_ended(say(message(VHOST_USER_SET_LOG_FD, NULL, 0, -1)), "no descriptor");
	close(marked);
}

/* --- a move ----------------------------------------------------------------------------------------------------------- */

static void copy_pages(uint8_t *to, uint32_t which)
{
	for (unsigned int i = 0; i < PAGES; i++)
		if (which & BIT(i))
			memcpy(to + (size_t)i * PAGE, ram + (size_t)i * PAGE, PAGE);
}

/* Many passes over the memory, while requests come and go; at the end the ring is stopped, and the last marks are taken. */
static void move_once(uint8_t *copy, uint32_t seed)
{
	uint16_t n = 0;

	disk.hold = true;
	start_ring();
	begin_log();
	copy_pages(copy, UINT32_MAX);
	for (unsigned int step = 0; step < 200; step++) {
		seed = seed * 1664525 + 1013904223;
		if (seed >> 30 == 0) {
			copy_pages(copy, take_marks());
		} else if (seed >> 30 == 1 || n - used_idx() == 2) {
			fake_disk_run(&disk);
		} else {
			offer(n, n % 2, READ_TO * PAGE + (seed >> 8) % ((PAGES - READ_TO) * PAGE - 512));
			kick_ring();
			n++;
		}
	}
	assert_int_equal(say_state(VHOST_USER_GET_VRING_BASE, 0, 0), 0);
	assert_int_equal(hear().payload.state.num, n);
	copy_pages(copy, take_marks());
	/* What the driver writes is its own machine's to note. */
	copy_pages(copy, BIT(DESC_PAGE) | BIT(AVAIL_PAGE) | BIT(HEADERS));
	assert_memory_equal(copy, ram, RAM);
	assert_true(n > 50);
}

static void test_move(void **state)
{
	uint8_t *copy = malloc(RAM);

	for (uint32_t seed = 1; seed < 50; seed++) {
		memset(ram, 0, RAM);
		move_once(copy, seed);
		assert_int_equal(say_number(VHOST_USER_SET_FEATURES, features), 0);
	}
	free(copy);
}

/* --- logs that are none ----------------------------------------------------------------------------------------------- */

static void agree(void)
{
	assert_int_equal(say_number(VHOST_USER_SET_PROTOCOL_FEATURES, VHOST_USER_PROTOCOL_F_LOG_SHMFD), 0);
}

static void test_no_log(void **state)
{
	static const struct vhost_user_log_area cases[] = {
		{ 0, 0 }, { LOG_BYTES + 1, 0 }, { LOG_BYTES, PAGE }, { 8, 8 }, { UINT64_MAX, 0 }, { PAGE, UINT64_MAX - PAGE + 1 },
		{ UINT64_MAX - 4 * PAGE, 8 * PAGE }, { 8, INT64_MAX },
	};

	assert_ended(say_log(LOG_BYTES, 0, log_fd), "not in shared memory");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		agree();
		assert_ended(say_log(cases[i].size, cases[i].offset, log_fd), "not where it is said to be");
	}
	agree();
	assert_ended(say_log(LOG_BYTES, 0, -1), "not in shared memory");
	agree();
	assert_ended(say_log(LOG_BYTES, 0, kick), "not where it is said to be");
}

/* Long enough for the memory and its rings, whichever is told first. */
static void test_too_short(void **state)
{
	uint64_t shortest = (FIRST_BIT + PAGES + 7) / 8;

	start_ring();
	agree();
	assert_int_equal(say_number(VHOST_USER_SET_FEATURES, features | VHOST_USER_F_LOG_ALL), 0);
	assert_ended(say_log(shortest - 1, 0, log_fd), "too short");
	agree();
	assert_int_equal(say_log(shortest - 1, 0, log_fd), 0);
	hear();
	start_ring();
	assert_ended(say_number(VHOST_USER_SET_FEATURES, features | VHOST_USER_F_LOG_ALL), "too short");
	start_ring();
	agree();
	assert_int_equal(say_log(shortest, 0, log_fd), 0);
	hear();
	assert_int_equal(say_number(VHOST_USER_SET_FEATURES, features | VHOST_USER_F_LOG_ALL), 0);
	assert_int_equal(say_address(VHOST_USER_RING_LOG, shortest * 8 * PAGE - vring_used_bytes(NUM)), 0);
	assert_ended(say_address(VHOST_USER_RING_LOG, shortest * 8 * PAGE - vring_used_bytes(NUM) + 1), "outside the log");
	start_ring();
	begin_log();
	assert_ended(say_address(VHOST_USER_RING_LOG, UINT64_MAX), "outside the log");
	/* A ring that grows behind the check. */
	start_ring();
	begin_log();
	assert_int_equal(say_address(VHOST_USER_RING_LOG, LOG_BYTES * UINT64_C(8) * PAGE - vring_used_bytes(NUM)), 0);
	assert_int_equal(say_state(VHOST_USER_GET_VRING_BASE, 0, 0), 0);
	hear();
	assert_int_equal(say_state(VHOST_USER_SET_VRING_NUM, 0, 2 * NUM), 0);
	assert_ended(say_fd(VHOST_USER_SET_VRING_KICK, 0, kick), "outside the log");
	/* Memory that comes later. */
	start_ring();
	agree();
	assert_int_equal(say_log(shortest, 0, log_fd), 0);
	hear();
	assert_int_equal(say_number(VHOST_USER_SET_FEATURES, features | VHOST_USER_F_LOG_ALL), 0);
	assert_ended(say_memory(&(struct vhost_user_region){ GPA + 64 * PAGE, RAM, USER, 0 }, 1, ram_fd), "too short");
}

/* Its file is made shorter when it is too late to look at its size. */
static void test_log_taken_away(void **state)
{
	assert_int_equal(vhost_user_guard_install(), 0);
	start_ring();
	begin_log();
	assert_int_equal(ftruncate(log_fd, 0), 0);
	offer(0, 0, READ_TO * PAGE);
	eventfd_write(kick, 1);
	assert_ended(vhost_user_backend_run(be), "took away");
}

#define LOG_TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup_log, teardown_log)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		LOG_TEST(marks),
		LOG_TEST(marked_when_written),
		LOG_TEST(descriptors_changed),
		LOG_TEST(packed),
		LOG_TEST(call),
		LOG_TEST(move),
		LOG_TEST(no_log),
		LOG_TEST(too_short),
		LOG_TEST(log_taken_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
