/* SPDX-License-Identifier: MIT */
/* by-hand.c - see by-hand.h. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "by-hand.h"

struct fake_disk disk;
struct virtio_dev *dev;
struct vhost_user_backend *be;
int front;
int ram_fd, kick, call;
uint8_t *ram;
const char *complaint;
unsigned int complaints;
static unsigned int fds_before;

static void on_complaint(void *opaque, const char *sentence)
{
	complaint = sentence;
	complaints++;
}

static unsigned int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int count = 0;

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

void attach(void)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	front = pair[0];
	assert_int_equal(vhost_user_backend_attach(be, pair[1]), 0);
}

void new_disk(void)
{
	uint32_t noise = 1;

	fake_disk_init(&disk);
	for (size_t i = 0; i < FAKE_DISK_SIZE; i++) {
		noise = noise * 1664525 + 1013904223;
		disk.data[i] = (uint8_t)(noise >> 24);
	}
	dev = block_device_create(&disk.be);
}

int setup(void **state)
{
	fds_before = count_fds();
	complaint = NULL;
	complaints = 0;
	new_disk();
	be = vhost_user_backend_create(dev, on_complaint, NULL);
	assert_non_null(be);
	ram_fd = memfd_create("ram", MFD_CLOEXEC);
	assert_int_equal(ftruncate(ram_fd, RAM), 0);
	ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED, ram_fd, 0);
	kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	attach();
	return 0;
}

int teardown(void **state)
{
	vhost_user_backend_destroy(be);
	virtio_dev_destroy(dev);
	munmap(ram, RAM);
	close(ram_fd);
	close(kick);
	close(call);
	if (front >= 0)
		close(front);
	return count_fds() == fds_before ? 0 : -1;
}

/* --- saying things ---------------------------------------------------------------------------------------------------- */

struct vhost_user_message message(uint32_t request, const void *payload, size_t size, int fd)
{
	struct vhost_user_message m = { .header = { request, VHOST_USER_VERSION, (uint32_t)size } };

	if (size)
		memcpy(&m.payload, payload, size);
	if (fd >= 0)
		m.fds[m.fd_count++] = fd;
	return m;
}

int say(struct vhost_user_message m)
{
	assert_int_equal(vhost_user_send(front, &m, 1000), 0);
	return vhost_user_backend_run(be);
}

int say_number(uint32_t request, uint64_t number)
{
	return say(message(request, &number, sizeof(number), -1));
}

int say_state(uint32_t request, uint32_t index, uint32_t num)
{
	struct vhost_user_ring_state state = { index, num };

	return say(message(request, &state, sizeof(state), -1));
}

int say_fd(uint32_t request, uint64_t number, int fd)
{
	return say(message(request, &number, sizeof(number), fd));
}

struct vhost_user_message hear(void)
{
	struct vhost_user_receiver r = { 0 };
	const char *wrong = NULL;

	assert_int_equal(vhost_user_receive(front, &r, &wrong), 1);
	assert_true(r.message.header.flags & VHOST_USER_REPLY);
	return r.message;
}

uint64_t ask(uint32_t request)
{
	assert_int_equal(say(message(request, NULL, 0, -1)), 0);
	return hear().payload.number;
}

int say_memory(const struct vhost_user_region *regions, unsigned int count, int fd)
{
	struct vhost_user_memory_table table = { .count = count };
	struct vhost_user_message m;

	memcpy(table.region, regions, count * sizeof(*regions));
	m = message(VHOST_USER_SET_MEM_TABLE, &table, 8 + count * sizeof(*regions), -1);
	for (unsigned int i = 0; i < count; i++)
		m.fds[m.fd_count++] = fd;
	return say(m);
}

const struct vhost_user_region whole = { GPA, RAM, USER, 0 };

void set_up_ring(uint64_t features)
{
	struct vhost_user_ring_address address = { .desc = USER, .avail = USER + AVAIL, .used = USER + USED };

	assert_int_equal(say_number(VHOST_USER_SET_FEATURES, features | VHOST_USER_F_PROTOCOL_FEATURES), 0);
	assert_int_equal(say_memory(&whole, 1, ram_fd), 0);
	assert_int_equal(say_state(VHOST_USER_SET_VRING_NUM, 0, NUM), 0);
	assert_int_equal(say_state(VHOST_USER_SET_VRING_BASE, 0, 0), 0);
	assert_int_equal(say(message(VHOST_USER_SET_VRING_ADDR, &address, sizeof(address), -1)), 0);
	assert_int_equal(say_fd(VHOST_USER_SET_VRING_CALL, 0, call), 0);
	assert_int_equal(say_state(VHOST_USER_SET_VRING_ENABLE, 0, 1), 0);
}

void start_ring(void)
{
	set_up_ring(VIRTIO_F_VERSION_1);
	assert_int_equal(say_fd(VHOST_USER_SET_VRING_KICK, 0, kick), 0);
	assert_true(be->ring[0].served);
}

void offer_read(uint16_t n)
{
	struct vring_desc *desc = (struct vring_desc *)(void *)ram + n % 2 * 3;
	struct vring_avail *avail = (struct vring_avail *)(void *)(ram + AVAIL);
	uint32_t at = DATA + n % 2 * 0x1000u;

	memset(ram + at, 0, 0x1000);
	ram[at + 8] = (uint8_t)n;
	ram[at + 0x800] = 0xff;
	desc[0] = (struct vring_desc){ GPA + at, 16, VRING_DESC_NEXT, (uint16_t)(n % 2 * 3 + 1) };
	desc[1] = (struct vring_desc){ GPA + at + 0x200, 512, VRING_DESC_NEXT | VRING_DESC_WRITE, (uint16_t)(n % 2 * 3 + 2) };
	desc[2] = (struct vring_desc){ GPA + at + 0x800, 1, VRING_DESC_WRITE, 0 };
	avail->ring[n % NUM] = (uint16_t)(n % 2 * 3);
	__atomic_store_n(&avail->idx, (uint16_t)(n + 1), __ATOMIC_RELEASE);
}

uint16_t used_idx(void)
{
	return __atomic_load_n(&((struct vring_used *)(void *)(ram + USED))->idx, __ATOMIC_ACQUIRE);
}

void assert_read(uint16_t n)
{
	const uint8_t *at = ram + DATA + n % 2 * 0x1000u;

	assert_int_equal(at[0x800], VIRTIO_BLOCK_S_OK);
	assert_memory_equal(at + 0x200, disk.data + n * 512u, 512);
}

void kick_ring(void)
{
	eventfd_write(kick, 1);
	assert_int_equal(vhost_user_backend_run(be), 0);
}

void assert_ended(int ret, const char *why)
{
	assert_int_equal(ret, -EPROTO);
	assert_non_null(strstr(be->error, why));
	close(front);
	attach();
	assert_true(ask(VHOST_USER_GET_FEATURES) & VIRTIO_F_VERSION_1);
}
