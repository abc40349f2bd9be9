/* SPDX-License-Identifier: MIT */
/*
 * The vhost-user back end and a front end that does everything wrong. Also what a front end may do that ours does not: stop a ring and
 * go on, add and remove memory.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "by-hand.h"

/* --- messages --------------------------------------------------------------------------------------------------------- */

static void test_another_version(void **state)
{
	struct vhost_user_message m = message(VHOST_USER_GET_FEATURES, NULL, 0, -1);

	m.header.flags = 2;
	assert_ended(say(m), "version");
}

static void test_length(void **state)
{
	struct vhost_user_header header = { VHOST_USER_SET_FEATURES, VHOST_USER_VERSION, UINT32_MAX };

	assert_int_equal(write(front, &header, sizeof(header)), sizeof(header));
	assert_ended(vhost_user_backend_run(be), "longer than any");
	assert_ended(say_state(VHOST_USER_SET_OWNER, 0, 0), "wrong size");
	assert_ended(say(message(VHOST_USER_SET_FEATURES, "1234", 4, -1)), "wrong size");
}

static void test_unknown(void **state)
{
	assert_ended(say(message(0, NULL, 0, -1)), "do not know");
	assert_ended(say(message(19, NULL, 0, ram_fd)), "do not know");
	assert_ended(say(message(UINT32_MAX, NULL, 0, -1)), "do not know");
}

/* Every place where a message can be cut off. */
static void test_cut_off(void **state)
{
	struct vhost_user_message m = message(VHOST_USER_SET_FEATURES, "12345678", 8, -1);
	uint8_t bytes[20];

	memcpy(bytes, &m.header, 12);
	memcpy(bytes + 12, &m.payload, 8);
	for (size_t len = 0; len < sizeof(bytes); len++) {
		assert_int_equal(write(front, bytes, len), len);
		assert_int_equal(vhost_user_backend_run(be), 0);
		close(front);
		assert_int_equal(vhost_user_backend_run(be), -ECONNRESET);
		attach();
	}
}

/* A byte at a time it is as good as at once. */
static void test_slowly(void **state)
{
	struct vhost_user_header header = { VHOST_USER_GET_FEATURES, VHOST_USER_VERSION, 0 };

	for (size_t i = 0; i < sizeof(header); i++) {
		assert_int_equal(write(front, (uint8_t *)&header + i, 1), 1);
		assert_int_equal(vhost_user_backend_run(be), 0);
	}
	assert_int_equal(hear().header.request, VHOST_USER_GET_FEATURES);
}

static void test_descriptors(void **state)
{
	struct vhost_user_message m = message(VHOST_USER_GET_FEATURES, NULL, 0, ram_fd);
	char control[CMSG_SPACE(sizeof(int) * 20)] __attribute__((aligned(8))) = { 0 };
	struct iovec iov = { &m.header, sizeof(m.header) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	assert_ended(say(m), "too many descriptors");
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * 20);
	for (unsigned int i = 0; i < 20; i++)
		memcpy(CMSG_DATA(c) + i * sizeof(int), &ram_fd, sizeof(int));
	assert_int_equal(sendmsg(front, &msg, 0), sizeof(m.header));
	assert_ended(vhost_user_backend_run(be), "more descriptors");
}

/* With REPLY_ACK a refusal is an answer, and is told the log once. */
static void test_refusals(void **state)
{
	uint64_t features = VIRTIO_BIT(63);
	struct vhost_user_message m = message(VHOST_USER_SET_FEATURES, &features, sizeof(features), -1);

	assert_ended(say(m), "not offered");
	assert_int_equal(say_number(VHOST_USER_SET_PROTOCOL_FEATURES, VHOST_USER_PROTOCOL_F_REPLY_ACK), 0);
	m.header.flags |= VHOST_USER_NEED_REPLY;
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(say(m), 0);
		assert_int_equal(hear().payload.number, 1);
	}
	m.payload.number = VIRTIO_F_VERSION_1;
	assert_int_equal(say(m), 0);
	assert_int_equal(hear().payload.number, 0);
	assert_int_equal(complaints, 1);
	assert_ended(say_number(VHOST_USER_SET_PROTOCOL_FEATURES, UINT64_MAX), "not offered");
}

static void test_answers_unread(void **state)
{
	struct vhost_user_message m = message(VHOST_USER_GET_FEATURES, NULL, 0, -1);
	int ret = 0;

	for (unsigned int i = 0; i < 1000000 && !ret; i++)
		ret = say(m);
	assert_ended(ret, "does not read");
}

/* --- configuration ---------------------------------------------------------------------------------------------------- */

static int say_config(uint32_t request, uint32_t offset, uint32_t size, size_t sent)
{
	struct vhost_user_config config = { .offset = offset, .size = size };

	return say(message(request, &config, VHOST_USER_CONFIG_HEADER + sent, -1));
}

static void test_config(void **state)
{
	struct vhost_user_message m;

	assert_int_equal(say_config(VHOST_USER_GET_CONFIG, 0, 8, 8), 0);
	m = hear();
	assert_int_equal(virtio_get64(false, m.payload.config.bytes), FAKE_DISK_SIZE / 512);
	/* Longer than ours: zeros. */
	assert_int_equal(say_config(VHOST_USER_GET_CONFIG, 0, 256, 256), 0);
	m = hear();
	assert_int_equal(m.header.size, VHOST_USER_CONFIG_HEADER + 256);
	assert_int_equal(m.payload.config.bytes[255], 0);
	assert_ended(say_config(VHOST_USER_GET_CONFIG, 0, 8, 4), "malformed");
	assert_ended(say_config(VHOST_USER_GET_CONFIG, 200, 100, 100), "malformed");
	assert_ended(say_config(VHOST_USER_GET_CONFIG, UINT32_MAX, 1, 1), "malformed");
	assert_ended(say(message(VHOST_USER_GET_CONFIG, "1234", 4, -1)), "malformed");
	assert_ended(say_config(VHOST_USER_SET_CONFIG, 100, 1, 1), "outside");
}

/* --- memory ----------------------------------------------------------------------------------------------------------- */

static void test_memory(void **state)
{
	static const struct {
		struct vhost_user_region region[2];
		unsigned int count;
		const char *why;
	} cases[] = {
		{ { { GPA, 0, USER, 0 } }, 1, "wrap" },
		{ { { UINT64_MAX - 4096, 8192, USER, 0 } }, 1, "wrap" },
		{ { { GPA, 8192, UINT64_MAX - 4096, 0 } }, 1, "wrap" },
		{ { { GPA, 8192, USER, UINT64_MAX - 4095 } }, 1, "wrap" },
		{ { { GPA, UINT64_MAX, USER, 0 } }, 1, "wrap" },
		{ { { GPA, RAM + 1, USER, 0 } }, 1, "longer than its file" },
		{ { { GPA, RAM, USER, 4096 } }, 1, "longer than its file" },
		{ { { GPA, 8192, USER, 0 }, { GPA + 4096, 8192, USER + RAM, 0 } }, 2, "overlap" },
		{ { { GPA, 8192, USER, 0 }, { GPA + RAM, 8192, USER + 4096, 0 } }, 2, "overlap" },
	};
	struct vhost_user_memory_table table = { .count = 9 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_ended(say_memory(cases[i].region, cases[i].count, ram_fd), cases[i].why);
	assert_ended(say_memory(&whole, 1, kick), "no file");
	assert_ended(say(message(VHOST_USER_SET_MEM_TABLE, &table, 8, -1)), "malformed");
	table.count = 1;
	assert_ended(say(message(VHOST_USER_SET_MEM_TABLE, &table, 8, ram_fd)), "malformed");
	assert_ended(say(message(VHOST_USER_SET_MEM_TABLE, &table, 8 + sizeof(whole), -1)), "more or fewer descriptors");
}

static int say_slot(uint32_t request, uint64_t page, int fd)
{
	struct vhost_user_memory_slot slot = { .region = { GPA + page * 4096, 4096, USER + page * 4096, page * 4096 } };

	return say(message(request, &slot, sizeof(slot), fd));
}

/* Piece by piece, up to as many as there are slots; a ring goes on where it was while others come and go. */
static void test_slots(void **state)
{
	uint64_t slots = ask(VHOST_USER_GET_MAX_MEM_SLOTS);

	start_ring();
	offer_read(0);
	kick_ring();
	assert_int_equal(say_memory(&whole, 0, -1), -EPROTO);	/* the ring was in it */
	close(front);
	attach();
	for (uint64_t i = 0; i < RAM / 4096; i++)
		assert_int_equal(say_slot(VHOST_USER_ADD_MEM_REG, i, ram_fd), 0);
	assert_non_null(virtio_mem_at(&be->regions.mem, GPA + 8192, 4096));
	assert_null(virtio_mem_at(&be->regions.mem, GPA + 8192, 4097));
	assert_null(virtio_mem_at(&be->regions.mem, GPA + RAM, 1));
	assert_int_equal(say_slot(VHOST_USER_REM_MEM_REG, 2, -1), 0);
	assert_null(virtio_mem_at(&be->regions.mem, GPA + 8192, 1));
	assert_ended(say_slot(VHOST_USER_REM_MEM_REG, 2, -1), "there is not");
	assert_ended(say_slot(VHOST_USER_ADD_MEM_REG, 2, -1), "without a descriptor");
	for (uint64_t i = 0; i < slots; i++) {
		struct vhost_user_memory_slot slot = { .region = { GPA + i * RAM, RAM, USER + i * RAM, 0 } };

		assert_int_equal(say(message(VHOST_USER_ADD_MEM_REG, &slot, sizeof(slot), ram_fd)), 0);
	}
	assert_ended(say_slot(VHOST_USER_ADD_MEM_REG, slots * 16, ram_fd), "slots");
}

static void test_memory_comes_while_served(void **state)
{
	struct vhost_user_memory_slot other = { .region = { GPA + RAM, RAM, USER + RAM, 0 } };

	start_ring();
	for (uint16_t n = 0; n < 20; n++) {
		offer_read(n);
		kick_ring();
		assert_int_equal(used_idx(), n + 1);
		assert_read(n);
		assert_int_equal(say(message(n % 2 ? VHOST_USER_REM_MEM_REG : VHOST_USER_ADD_MEM_REG, &other, sizeof(other), n % 2 ? -1 : ram_fd)), 0);
		assert_true(be->ring[0].served);
	}
}

/* The file is made shorter when it is too late to look at its size. */
static void test_memory_taken_away(void **state)
{
	assert_int_equal(vhost_user_guard_install(), 0);
	start_ring();
	assert_int_equal(ftruncate(ram_fd, 0), 0);
	eventfd_write(kick, 1);
	assert_ended(vhost_user_backend_run(be), "took away");
}

/* --- rings ------------------------------------------------------------------------------------------------------------ */

static void test_ring_numbers(void **state)
{
	assert_ended(say_state(VHOST_USER_SET_VRING_NUM, 1, NUM), "does not have");
	assert_ended(say_state(VHOST_USER_SET_VRING_NUM, UINT32_MAX, NUM), "does not have");
	assert_ended(say_state(VHOST_USER_SET_VRING_NUM, 0, 0), "larger than");
	assert_ended(say_state(VHOST_USER_SET_VRING_NUM, 0, 4096), "larger than");
	assert_ended(say_state(VHOST_USER_SET_VRING_ENABLE, 1, 1), "does not have");
	assert_ended(say_state(VHOST_USER_GET_VRING_BASE, 1, 1), "does not have");
	assert_ended(say_fd(VHOST_USER_SET_VRING_KICK, 7, kick), "does not have");
	assert_ended(say_fd(VHOST_USER_SET_VRING_KICK, 0, -1), "no descriptor");
	assert_ended(say_fd(VHOST_USER_SET_VRING_KICK, VHOST_USER_RING_NO_FD, -1), "polled");
	assert_ended(say_fd(VHOST_USER_SET_VRING_KICK, 0, ram_fd), "no eventfd");
	assert_ended(say_fd(VHOST_USER_SET_VRING_CALL, 0, front), "no eventfd");
}

static void test_ring_places(void **state)
{
	struct vhost_user_ring_address address = { .desc = USER, .avail = USER + AVAIL, .used = USER + RAM - 8 };

	set_up_ring(VIRTIO_F_VERSION_1);
	assert_int_equal(say(message(VHOST_USER_SET_VRING_ADDR, &address, sizeof(address), -1)), 0);
	assert_ended(say_fd(VHOST_USER_SET_VRING_KICK, 0, kick), "outside the memory");
	set_up_ring(VIRTIO_F_VERSION_1);
	address.used = GPA;	/* not an address of the front end's */
	assert_int_equal(say(message(VHOST_USER_SET_VRING_ADDR, &address, sizeof(address), -1)), 0);
	assert_ended(say_fd(VHOST_USER_SET_VRING_KICK, 0, kick), "outside the memory");
	set_up_ring(VIRTIO_F_VERSION_1);
	assert_int_equal(say_state(VHOST_USER_SET_VRING_NUM, 0, 7), 0);
	assert_ended(say_fd(VHOST_USER_SET_VRING_KICK, 0, kick), "cannot have");
}

static void test_changes_in_use(void **state)
{
	struct vhost_user_ring_address address = { .desc = USER, .avail = USER + AVAIL, .used = USER + USED };

	start_ring();
	assert_ended(say_state(VHOST_USER_SET_VRING_NUM, 0, 4), "in use");
	start_ring();
	assert_ended(say_state(VHOST_USER_SET_VRING_BASE, 0, 4), "in use");
	start_ring();
	assert_int_equal(say(message(VHOST_USER_SET_VRING_ADDR, &address, sizeof(address), -1)), 0);
	address.used += 4;
	assert_ended(say(message(VHOST_USER_SET_VRING_ADDR, &address, sizeof(address), -1)), "in use");
	start_ring();
	assert_ended(say_number(VHOST_USER_SET_FEATURES, 0), "in use");
}

/* Stopped and started, disabled and enabled, reset: it goes on where it was told to, and nothing is lost or done twice. */
static void test_stop_and_go_on(void **state)
{
	struct vhost_user_message m;

	disk.hold = true;
	start_ring();
	for (uint16_t n = 0; n < 10; n++) {
		offer_read(n);
		kick_ring();
		assert_int_equal(used_idx(), n);
		/* The answer waits until the disk has finished what it holds. */
		assert_int_equal(say_state(VHOST_USER_GET_VRING_BASE, 0, 0), 0);
		m = hear();
		assert_int_equal(m.payload.state.num, n + 1);
		assert_int_equal(used_idx(), n + 1);
		assert_read(n);
		assert_false(be->ring[0].served);
		assert_int_equal(say_state(VHOST_USER_SET_VRING_BASE, 0, m.payload.state.num), 0);
		assert_int_equal(say_fd(VHOST_USER_SET_VRING_KICK, 0, kick), 0);
		assert_int_equal(say_state(VHOST_USER_SET_VRING_ENABLE, 0, 0), 0);
		assert_false(be->ring[0].served);
		assert_int_equal(say_state(VHOST_USER_SET_VRING_ENABLE, 0, 1), 0);
		assert_true(be->ring[0].served);
	}
	assert_int_equal(say(message(VHOST_USER_RESET_DEVICE, NULL, 0, -1)), 0);
	assert_false(be->ring[0].served);
}

/* Buffers that were offered before the ring was started need no kick. */
static void test_offered_before(void **state)
{
	offer_read(0);
	start_ring();
	assert_int_equal(used_idx(), 1);
	assert_read(0);
}

/* A driver that breaks its ring: the err descriptor, one sentence, a status, and a reset that mends it. */
static void test_broken_ring(void **state)
{
	int err = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	eventfd_t count;

	start_ring();
	assert_int_equal(say_fd(VHOST_USER_SET_VRING_ERR, 0, err), 0);
	offer_read(0);
	((struct vring_avail *)(void *)(ram + AVAIL))->idx = 1000;
	kick_ring();
	assert_int_equal(eventfd_read(err, &count), 0);
	assert_int_equal(complaints, 1);
	assert_non_null(strstr(complaint, "2.7.13.3"));
	assert_true(ask(VHOST_USER_GET_STATUS) & VIRTIO_STATUS_NEEDS_RESET);
	kick_ring();
	assert_int_equal(complaints, 1);
	assert_int_equal(say_number(VHOST_USER_SET_STATUS, 0), 0);
	assert_int_equal(ask(VHOST_USER_GET_STATUS), 0);
	memset(ram, 0, RAM);
	start_ring();
	offer_read(0);
	kick_ring();
	assert_read(0);
	close(err);
}

/* Gone with requests under way: they end before the memory goes. */
static void test_gone_in_mid_request(void **state)
{
	disk.hold = true;
	start_ring();
	offer_read(0);
	kick_ring();
	assert_int_equal(disk.held_count, 1);
	close(front);
	assert_int_equal(vhost_user_backend_run(be), -ECONNRESET);
	assert_int_equal(disk.held_count, 0);
	assert_int_equal(be->regions.count, 0);
	attach();
}

static void test_one_at_a_time(void **state)
{
	assert_int_equal(vhost_user_backend_attach(be, ram_fd), -EBUSY);
	assert_int_equal(vhost_user_backend_attach(be, -1), -EBADF);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(another_version),
		TEST(length),
		TEST(unknown),
		TEST(cut_off),
		TEST(slowly),
		TEST(descriptors),
		TEST(refusals),
		TEST(answers_unread),
		TEST(config),
		TEST(memory),
		TEST(slots),
		TEST(memory_comes_while_served),
		TEST(memory_taken_away),
		TEST(ring_numbers),
		TEST(ring_places),
		TEST(changes_in_use),
		TEST(stop_and_go_on),
		TEST(offered_before),
		TEST(broken_ring),
		TEST(gone_in_mid_request),
		TEST(one_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
