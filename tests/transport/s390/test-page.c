/* SPDX-License-Identifier: MIT */
/*
 * The s390 page: what lies in it byte for byte, what the guest's calls do, tokens, and what a guest that lies gains. All
 * big-endian.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tests/arena.h>

#include <transport/s390/page-guest.h>
#include <transport/s390/page-host.h>
#include <virtio/driver-block.h>
#include <virtio/driver-console.h>
#include <virtio/driver-net.h>
#include <virtio/driver-rng.h>

#include "tests/device/bed.h"

#define TOP	0x100000u
#define SIZE	(TOP + 0x100000u)
#define EVENTS	64

/* The console's description is the first in these tests: 5 bytes, two rings, two feature maps, 12 bytes of config. */
enum { QUEUE0 = 5, QUEUE1 = 5 + 24, OFFERED = 5 + 48, ACCEPTED = OFFERED + 4, CONFIG = ACCEPTED + 4, CONSOLE_LEN = CONFIG + 12 };

struct event {
	uint32_t reason;
	uint64_t token;
};

static struct {
	uint8_t *memory;
	size_t next;
	struct virtio_mem mem;
	struct virtio_platform platform;
	struct s390_page host;
	struct s390_bus guest;
	struct event events[EVENTS];
	unsigned int pending;
	struct virtio_device *changed;
	char printed[8192];
	size_t printed_len;
	const char *complaint;
	unsigned int refused;		/* calls that were answered with an error */
} m;

static struct fake_console console;
static struct fake_disk disk;

static void raise_event(void *opaque, uint32_t reason, uint64_t token)
{
	assert_in_range(m.pending, 0, EVENTS - 1);
	/* Token 0 is a null pointer to the guest. */
	assert_true(token || reason == S390_REASON_ADDED);
	m.events[m.pending++] = (struct event){ reason, token };
}

static void print(void *opaque, const char *text, size_t len)
{
	assert_true(m.printed_len + len <= sizeof(m.printed));
	memcpy(m.printed + m.printed_len, text, len);
	m.printed_len += len;
}

static void complain(void *opaque, const struct virtio_dev *dev, const char *reason)
{
	m.complaint = reason;
}

static int64_t call(uint64_t number, uint64_t argument)
{
	return s390_page_call(&m.host, number, argument);
}

static int64_t guest_call(void *opaque, uint64_t number, uint64_t argument)
{
	int64_t ret = call(number, argument);

	m.refused += ret < 0;
	return ret;
}

static void deliver(void)
{
	unsigned int count = m.pending;
	struct event events[EVENTS];

	memcpy(events, m.events, sizeof(events));
	m.pending = 0;
	for (unsigned int i = 0; i < count; i++) {
		struct virtio_device *changed;

		s390_bus_interrupt(&m.guest, events[i].reason, events[i].token, &changed);
		if (changed)
			m.changed = changed;
	}
}

static void *alloc(void *opaque, size_t size, size_t align)
{
	return arena_take(m.memory, TOP, &m.next, size, align);
}

static void wait(void *opaque)
{
	fake_disk_run(&disk);
	deliver();
}

static int setup(void **state)
{
	memset(&m, 0, sizeof(m));
	m.memory = aligned_alloc(4096, SIZE);
	memset(m.memory, 0, TOP);
	memset(m.memory + TOP, 0xa5, SIZE - TOP);
	m.next = 4096;
	m.mem = (struct virtio_mem){ .base = m.memory, .size = SIZE };
	m.platform = (struct virtio_platform){ .mem = &m.mem, .alloc = alloc, .wait = wait };
	assert_int_equal(s390_page_init(&m.host, &m.mem, TOP, SIZE, raise_event, NULL), 0);
	m.host.print = print;
	m.host.complain = complain;
	m.host.reasons = true;
	assert_int_equal(s390_bus_init(&m.guest, &m.platform, TOP, guest_call, NULL), 0);
	fake_console_init(&console);
	fake_disk_init(&disk);
	return 0;
}

static int teardown(void **state)
{
	for (unsigned int i = 0; i < m.host.space.count; i++)
		virtio_dev_destroy(m.host.slot[i].dev);
	free(m.memory);
	return 0;
}

static struct virtio_dev *add(struct virtio_dev *dev)
{
	assert_int_equal(s390_page_add(&m.host, dev, NULL), 0);
	return dev;
}

static struct s390_device *next(uint32_t id)
{
	struct s390_device *device = alloc(NULL, sizeof(*device), 16);

	assert_true(s390_bus_next(&m.guest, device));
	assert_int_equal(device->vdev.id, id);
	return device;
}

static uint8_t *page(void)
{
	return m.memory + TOP;
}

/* --- layout --------------------------------------------------------------------------------------------------------- */

static void layout(void **state)
{
	static const uint8_t zero[4096];
	uint8_t *p = page();

	add(console_device_create(&console.be));
	add(block_device_create(&disk.be));
	assert_memory_equal(p, "\3\2\4\14\0", 5);
	/* Records of 24 bytes: no token, the first page behind this one, 32 entries, padding. */
	assert_memory_equal(p + QUEUE0, "\0\0\0\0\0\0\0\0" "\0\0\0\0\0\x10\x10\0" "\0\x20" "\0\0\0\0\0\0", 24);
	assert_memory_equal(p + QUEUE1, "\0\0\0\0\0\0\0\0" "\0\0\0\0\0\x10\x30\0" "\0\x20" "\0\0\0\0\0\0", 24);
	/* Bit n is in byte n / 8, whatever the byte order: window size, emergency writing, any layout and indirect and event index; no VERSION_1. */
	assert_memory_equal(p + OFFERED, "\5\0\0\x38" "\0\0\0\0", 8);
	assert_memory_equal(p + CONFIG, "\0\x50\0\x19\0\0\0\1\0\0\0\0", 12);
	p += CONSOLE_LEN;
	assert_memory_equal(p, "\2\1\4\74\0", 5);
	assert_memory_equal(p + 5, "\0\0\0\0\0\0\0\0" "\0\0\0\0\0\x10\x50\0" "\0\x80" "\0\0\0\0\0\0", 24);
	/* Capacity: 512 sectors. */
	assert_memory_equal(p + 5 + 24 + 8, "\0\0\0\0\0\0\2\0", 8);
	assert_int_equal(p[5 + 24 + 8 + 60], 0);
	assert_memory_equal(m.memory + TOP + 4096, zero, 4096);
	assert_int_equal(s390_page_end(&m.host), TOP + 4096 * (1 + 2 + 2 + 2));
}

static void setup_errors(void **state)
{
	struct virtio_dev none = { 0 };
	struct s390_page bus;
	const char *reason;

	assert_int_equal(s390_page_init(&bus, &m.mem, TOP + 1, SIZE, raise_event, NULL), -VIRTIO_EINVAL);
	assert_int_equal(s390_page_init(&bus, &m.mem, TOP, TOP, raise_event, NULL), -VIRTIO_EINVAL);
	assert_int_equal(s390_page_init(&bus, NULL, TOP, SIZE, raise_event, NULL), -VIRTIO_EINVAL);
	assert_int_equal(s390_page_init(&bus, &m.mem, TOP, SIZE, NULL, NULL), -VIRTIO_EINVAL);
	assert_int_equal(s390_page_init(&bus, &m.mem, TOP, SIZE + 1, raise_event, NULL), -VIRTIO_EFAULT);
	assert_int_equal(s390_page_add(&m.host, &none, &reason), -VIRTIO_EINVAL);
	assert_non_null(reason);
	assert_int_equal(s390_page_add(&m.host, NULL, NULL), -VIRTIO_EINVAL);
	assert_int_equal(s390_bus_init(&m.guest, &m.platform, SIZE, guest_call, NULL), -VIRTIO_EFAULT);
}

/* Devices without queues fill the page; rings fill the memory behind it. Then there is a sentence, and nothing has changed. */
static void space_runs_out(void **state)
{
	static const struct virtio_dev_ops mute = { .name = "mute" };
	struct virtio_dev devs[16];
	struct virtio_dev *last;
	const char *reason;

	for (unsigned int i = 0; i < 15; i++) {
		devs[i] = (struct virtio_dev){ .ops = &mute, .id = 200, .config_len = 255 };
		add(&devs[i]);
	}
	devs[15] = (struct virtio_dev){ .ops = &mute, .id = 200, .config_len = 255 };
	assert_int_equal(s390_page_add(&m.host, &devs[15], &reason), -VIRTIO_ENOSPC);
	assert_non_null(strstr(reason, "one page"));
	for (unsigned int i = 0; i < 15; i++)
		next(200);
	assert_false(s390_bus_next(&m.guest, &(struct s390_device){ 0 }));

	assert_int_equal(s390_page_init(&m.host, &m.mem, TOP, TOP + 3 * 4096, raise_event, NULL), 0);
	last = console_device_create(&console.be);
	assert_int_equal(s390_page_add(&m.host, last, &reason), -VIRTIO_ENOSPC);
	assert_non_null(strstr(reason, "no memory"));
	assert_int_equal(page()[0], 0);
	assert_int_equal(s390_page_end(&m.host), TOP + 4096);
	virtio_dev_destroy(last);
}

/* --- calls ---------------------------------------------------------------------------------------------------------- */

static void set_status(uint8_t status)
{
	page()[PAGE_DESC_STATUS] = status;
	assert_int_equal(call(S390_SET_STATUS, TOP), 0);
}

static void who_is_called(void **state)
{
	add(console_device_create(&console.be));
	assert_int_equal(call(S390_NOTIFY, TOP + 4096), 0);
	assert_int_equal(call(S390_NOTIFY, TOP + 3 * 4096), 0);
	assert_int_equal(call(S390_RESET, TOP), 0);
	/* Not a ring, not a descriptor, not a number. */
	assert_int_equal(call(S390_NOTIFY, TOP), -VIRTIO_EINVAL);
	assert_int_equal(call(S390_NOTIFY, TOP + 4097), -VIRTIO_EINVAL);
	assert_int_equal(call(S390_NOTIFY, UINT64_MAX), -VIRTIO_EINVAL);
	assert_int_equal(call(S390_RESET, TOP + 4096), -VIRTIO_EINVAL);
	assert_int_equal(call(S390_SET_STATUS, TOP + 1), -VIRTIO_EINVAL);
	assert_int_equal(call(S390_SET_STATUS, 0), -VIRTIO_EINVAL);
	assert_int_equal(call(3, TOP), -VIRTIO_EINVAL);
	assert_int_equal(call(UINT64_MAX, TOP), -VIRTIO_EINVAL);
}

static void early_console(void **state)
{
	strcpy((char *)m.memory + 4090, "sixteen letters\n");
	assert_int_equal(call(S390_NOTIFY, 4090), 0);
	assert_int_equal(m.printed_len, 16);
	assert_memory_equal(m.printed, "sixteen letters\n", 16);
	/* Without an end the text ends with the storage, or after a page. */
	m.printed_len = 0;
	memset(m.memory + TOP - 100, 'x', 100);
	assert_int_equal(call(S390_NOTIFY, TOP - 100), 0);
	assert_int_equal(m.printed_len, 100);
	m.printed_len = 0;
	memset(m.memory, 'y', 8192);
	assert_int_equal(call(S390_NOTIFY, 1), 0);
	assert_int_equal(m.printed_len, 4096);
	m.host.print = NULL;
	assert_int_equal(call(S390_NOTIFY, 1), 0);
}

/*
 * Features are announced by nobody: they are read when the device begins, at DRIVER_OK or at the first kick with status DRIVER.
 */
static void begins_at_driver_ok(void **state)
{
	struct virtio_dev *dev = add(console_device_create(&console.be));

	assert_int_equal(call(S390_RESET, TOP), 0);
	set_status(1);
	set_status(3);
	assert_false(dev->live);
	memcpy(page() + ACCEPTED, "\1\0\0\x20", 4);
	set_status(7);
	assert_true(dev->live);
	assert_true(dev->big_endian);
	assert_int_equal(dev->features, VIRTIO_CONSOLE_F_SIZE | VIRTIO_F_EVENT_IDX);
	assert_true(dev->queues[0].event_idx);
	/* Linux 3.19 says so twice. */
	set_status(7);
	assert_null(m.complaint);
	assert_true(dev->live);
}

static void begins_at_first_kick(void **state)
{
	struct virtio_dev *dev = add(console_device_create(&console.be));

	assert_int_equal(call(S390_NOTIFY, TOP + 4096), 0);
	set_status(1);
	assert_int_equal(call(S390_NOTIFY, TOP + 4096), 0);
	assert_false(dev->live);
	set_status(3);
	assert_int_equal(call(S390_NOTIFY, TOP + 4096), 0);
	assert_true(dev->live);
	set_status(0x83);
	assert_false(dev->live);
	assert_int_equal(call(S390_NOTIFY, TOP + 4096), 0);
	assert_false(dev->live);
}

static void reset_clears(void **state)
{
	static const uint8_t zero[4 * 4096];
	struct virtio_dev *dev = add(console_device_create(&console.be));

	memset(page() + QUEUE0, 0x77, 8);
	memcpy(page() + ACCEPTED, "\1\0\0\0", 4);
	set_status(3);
	set_status(7);
	assert_true(dev->live);
	assert_int_equal(m.pending, 1);		/* it has begun, and is told to look at its window */
	m.pending = 0;
	/* Whatever the driver left, in the page and in the rings. */
	memset(page() + 1, 0xff, CONSOLE_LEN - 1);
	memset(m.memory + TOP + 4096, 0xee, sizeof(zero));
	assert_int_equal(call(S390_RESET, TOP), 0);
	assert_false(dev->live);
	assert_memory_equal(page(), "\3\2\4\14\0", 5);
	assert_memory_equal(page() + QUEUE0, "\0\0\0\0\0\0\0\0" "\0\0\0\0\0\x10\x10\0" "\0\x20", 18);
	assert_memory_equal(page() + OFFERED, "\5\0\0\x38" "\0\0\0\0" "\0\x50\0\x19", 12);
	assert_memory_equal(m.memory + TOP + 4096, zero, sizeof(zero));
	/* The tokens went with the driver. */
	console.be.resized(console.be.opaque, 1, 1);
	assert_int_equal(m.pending, 0);
}

/* clause 2.2.1: the driver accepts what was not offered. */
static void not_offered(void **state)
{
	struct virtio_dev *dev = add(console_device_create(&console.be));

	memcpy(page() + ACCEPTED, "\x20\0\0\0", 4);
	set_status(3);
	set_status(7);
	assert_false(dev->live);
	assert_non_null(m.complaint);
	assert_int_equal(dev->status & VIRTIO_STATUS_NEEDS_RESET, VIRTIO_STATUS_NEEDS_RESET);
	/* It stays so until it is reset. */
	memcpy(page() + ACCEPTED, "\1\0\0\0", 4);
	set_status(7);
	assert_false(dev->live);
	assert_int_equal(call(S390_RESET, TOP), 0);
	memcpy(page() + ACCEPTED, "\1\0\0\0", 4);
	set_status(3);
	set_status(7);
	assert_true(dev->live);
}

/* --- tokens --------------------------------------------------------------------------------------------------------- */

static void tokens(void **state)
{
	struct virtio_console *con = alloc(NULL, sizeof(*con), 16);
	struct s390_device *device;
	struct virtio_dev *dev;

	add(block_device_create(&disk.be));
	dev = add(console_device_create(&console.be));
	next(VIRTIO_ID_BLOCK);
	device = next(VIRTIO_ID_CONSOLE);
	assert_int_equal(virtio_console_probe(con, &device->vdev), 0);
	assert_int_equal(m.pending, 1);
	assert_int_equal(m.events[0].reason, S390_REASON_CONFIG);
	m.pending = 0;
	assert_int_equal(console.be.input(console.be.opaque, "x", 1), 1);
	assert_int_equal(m.pending, 1);
	assert_int_equal(m.events[0].reason, S390_REASON_QUEUE);
	assert_memory_equal(device->desc.at + QUEUE0, "\0\0\0\0\0\0\0\2", 8);
	assert_int_equal(m.events[0].token, 2);
	/* A token is the guest's, so it is handed back unread, bit 0 and all. */
	m.pending = 0;
	virtio_harvest(con->port[0].in);
	memcpy(device->desc.at + QUEUE0, "\x80\1\2\3\4\5\6\7", 8);
	dev->transport->interrupt(dev, 0);
	assert_int_equal(m.events[0].token, UINT64_C(0x8001020304050607));
	/* What nobody gave out is nothing to the guest's end. */
	deliver();
	/* Without one there is no interrupt. */
	memset(device->desc.at + QUEUE0, 0, 8);
	dev->transport->interrupt(dev, 0);
	assert_int_equal(m.pending, 0);
	/* A changed window is told by any token there is, to a guest that knows of reasons. */
	console.columns = 100;
	console.be.resized(console.be.opaque, 100, 25);
	assert_int_equal(m.pending, 1);
	assert_int_equal(m.events[0].reason, S390_REASON_CONFIG);
	assert_int_equal(m.events[0].token, 4);
	deliver();
	assert_ptr_equal(m.changed, &device->vdev);
	m.host.reasons = false;
	console.be.resized(console.be.opaque, 101, 25);
	assert_int_equal(m.pending, 0);
	virtio_console_remove(con);
	assert_false(s390_bus_interrupt(&m.guest, 0, 2, NULL));
	assert_int_equal(m.refused, 0);
}

static void added_while_running(void **state)
{
	struct virtio_rng *rng = alloc(NULL, sizeof(*rng), 16);
	static struct fake_entropy entropy;
	struct s390_device device;
	uint8_t bytes[8];

	add(console_device_create(&console.be));
	next(VIRTIO_ID_CONSOLE);
	assert_false(s390_bus_next(&m.guest, &device));
	assert_int_equal(call(S390_RESET, TOP), 0);
	/* Behind the last descriptor the guest has written things. */
	memset(page() + CONSOLE_LEN + 1, 0xff, 1000);
	fake_entropy_init(&entropy);
	add(rng_device_create(&entropy.be));
	assert_int_equal(m.pending, 1);
	assert_int_equal(m.events[0].reason, S390_REASON_ADDED);
	assert_int_equal(virtio_rng_probe(rng, &next(VIRTIO_ID_RNG)->vdev), 0);
	assert_false(s390_bus_next(&m.guest, &device));
	assert_int_equal(virtio_rng_read(rng, bytes, 8), 0);
	assert_int_equal(bytes[7], 8);
	virtio_rng_remove(rng);
}

/* --- both ends ------------------------------------------------------------------------------------------------------ */

static void several_of_a_kind(void **state)
{
	static struct fake_disk disks[3];
	struct virtio_block *blk[3];
	uint8_t *data = alloc(NULL, 512, 16);

	for (int i = 0; i < 3; i++) {
		fake_disk_init(&disks[i]);
		memset(disks[i].data, i + 1, FAKE_DISK_SIZE);
		add(block_device_create(&disks[i].be));
	}
	for (int i = 0; i < 3; i++) {
		blk[i] = alloc(NULL, sizeof(*blk[i]), 16);
		assert_int_equal(virtio_block_probe(blk[i], &next(VIRTIO_ID_BLOCK)->vdev), 0);
		assert_int_equal(blk[i]->capacity, FAKE_DISK_SIZE / 512);
	}
	for (int i = 2; i >= 0; i--) {
		assert_int_equal(virtio_block_read(blk[i], 0, data, 512), 0);
		assert_int_equal(data[511], i + 1);
	}
	deliver();
	for (int i = 0; i < 3; i++)
		virtio_block_remove(blk[i]);
	assert_int_equal(m.refused, 0);
}

static void page_is_not_believed(void **state)
{
	struct virtio_block *blk = alloc(NULL, sizeof(*blk), 16);
	uint8_t *data = alloc(NULL, 512, 16);
	struct s390_device *device;
	struct virtio_dev *dev;
	uint8_t before[5 + 24 + 8 + 60];

	dev = add(block_device_create(&disk.be));
	memset(disk.data, 0x22, 512);
	memcpy(before, page(), sizeof(before));
	device = next(VIRTIO_ID_BLOCK);
	assert_int_equal(virtio_block_probe(blk, &device->vdev), 0);
	/* Other rings, other lengths, other features: the device was told ours. */
	memset(page() + 5 + 8, 0xff, sizeof(before) - 13);
	page()[1] = page()[2] = page()[3] = 0xff;
	assert_int_equal(virtio_block_read(blk, 0, data, 512), 0);
	assert_int_equal(data[0], 0x22);
	s390_page_restart(&m.host);
	assert_memory_equal(page(), before, sizeof(before));
	assert_false(dev->live);
}

/* A ring that is broken in big-endian ways: a chain that loops, an index that ran ahead. */
static void broken_ring(void **state)
{
	uint8_t *ring = m.memory + TOP + 4096 * 3;
	struct virtio_dev *dev = add(console_device_create(&console.be));

	for (int round = 0; round < 2; round++) {
		assert_int_equal(call(S390_RESET, TOP), 0);
		m.complaint = NULL;
		set_status(3);
		set_status(7);
		virtio_put32(true, ring + 8, 16);
		virtio_put16(true, ring + 12, VRING_DESC_NEXT);
		virtio_put16(true, ring + 32 * 16 + 2, round ? 33 : 1);
		assert_int_equal(call(S390_NOTIFY, TOP + 4096 * 3), 0);
		assert_non_null(strstr(m.complaint, round ? "ran ahead" : "loops"));
		assert_non_null(dev->broken);
	}
	/* The other devices and this one after a reset are none the worse. */
	assert_int_equal(call(S390_RESET, TOP), 0);
	assert_null(dev->broken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(layout, setup, teardown),
		cmocka_unit_test_setup_teardown(setup_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(space_runs_out, setup, teardown),
		cmocka_unit_test_setup_teardown(who_is_called, setup, teardown),
		cmocka_unit_test_setup_teardown(early_console, setup, teardown),
		cmocka_unit_test_setup_teardown(begins_at_driver_ok, setup, teardown),
		cmocka_unit_test_setup_teardown(begins_at_first_kick, setup, teardown),
		cmocka_unit_test_setup_teardown(reset_clears, setup, teardown),
		cmocka_unit_test_setup_teardown(not_offered, setup, teardown),
		cmocka_unit_test_setup_teardown(tokens, setup, teardown),
		cmocka_unit_test_setup_teardown(added_while_running, setup, teardown),
		cmocka_unit_test_setup_teardown(several_of_a_kind, setup, teardown),
		cmocka_unit_test_setup_teardown(page_is_not_believed, setup, teardown),
		cmocka_unit_test_setup_teardown(broken_ring, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
