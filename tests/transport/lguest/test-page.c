/* SPDX-License-Identifier: MIT */
/* The lguest page: what lies in it byte for byte, what the guest's calls do, and what a guest that lies about it gains. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <virtio/driver-block.h>
#include <virtio/driver-console.h>
#include <virtio/driver-rng.h>

#include "tests/device/bed.h"

/* The console's description is the first in these tests: 5 bytes, two rings, two feature maps, 12 bytes of config. */
enum { ACCEPTED = 5 + 16 + 4, CONSOLE_LEN = 5 + 16 + 8 + 12 };

static const uint32_t ring_features = (uint32_t)VIRTIO_DEV_RING_FEATURES;

static struct fake_console console;
static struct fake_disk disk, disk2;

static struct bed *bed_with_console(void)
{
	struct bed *bed = bed_create();

	fake_console_init(&console);
	bed_add(bed, console_device_create(&console.be));
	bed_boot(bed);
	return bed;
}

static uint8_t *page(struct bed *bed)
{
	return bed->memory + BED_RAM;
}

static bool notify(struct bed *bed, uint64_t address)
{
	return lguest_page_notify(&bed->host, address);
}

static struct virtio_dev *dev_of(struct bed *bed, unsigned int i)
{
	return bed->host.slot[i].dev;
}

/* --- layout ------------------------------------------------------------------------------------------------------------ */

static void layout(void **state)
{
	static const uint8_t zero[8192];
	struct bed *bed = bed_with_console();
	uint8_t *p = page(bed);
	uint32_t pfn = BED_RAM / 4096 + 1;

	fake_disk_init(&disk);
	bed_add(bed, block_device_create(&disk.be));
	/* Console: type, rings, feature bytes, config bytes, status. */
	assert_memory_equal(p, "\3\2\4\14\0", 5);
	/* Rings: 32 entries, irq 1 and 2, two pages each behind the descriptor page. */
	assert_int_equal(virtio_get16(false, p + 5), 32);
	assert_int_equal(virtio_get16(false, p + 7), 1);
	assert_int_equal(virtio_get32(false, p + 9), pfn);
	assert_int_equal(virtio_get16(false, p + 13), 32);
	assert_int_equal(virtio_get16(false, p + 15), 2);
	assert_int_equal(virtio_get32(false, p + 17), pfn + 2);
	/* Offered: window size, emergency writing, any layout, indirect, event index; and not VERSION_1. Accepted: nothing yet. */
	assert_int_equal(virtio_get32(false, p + 21), ring_features | 5);
	assert_int_equal(virtio_get32(false, p + 25), 0);
	assert_int_equal(virtio_get16(false, p + 29), 80);
	assert_int_equal(virtio_get16(false, p + 31), 25);
	/* Disk, directly behind: one ring of 128 entries, irq 3. */
	p += CONSOLE_LEN;
	assert_memory_equal(p, "\2\1\4\74\0", 5);
	assert_int_equal(virtio_get16(false, p + 5), 128);
	assert_int_equal(virtio_get16(false, p + 7), 3);
	assert_int_equal(virtio_get32(false, p + 9), pfn + 4);
	assert_int_equal(virtio_get64(false, p + 21), FAKE_DISK_SIZE / 512);
	/* The list ends, and rings are zero. */
	assert_int_equal(p[21 + 60], 0);
	assert_memory_equal(bed->memory + BED_RAM + 4096, zero, 8192);
	assert_int_equal(lguest_page_end(&bed->host), BED_RAM + 4096 * (1 + 2 + 2 + 2));
	bed_destroy(bed);
}

static void setup_errors(void **state)
{
	struct bed *bed = bed_create();
	struct lguest_page bus;
	void (*raise)(void *, unsigned int) = bed->host.raise;

	assert_int_equal(lguest_page_init(&bus, &bed->mem, BED_RAM + 1, BED_SIZE, raise, bed), -VIRTIO_EINVAL);
	assert_int_equal(lguest_page_init(&bus, &bed->mem, BED_RAM, BED_RAM, raise, bed), -VIRTIO_EINVAL);
	assert_int_equal(lguest_page_init(&bus, &bed->mem, BED_RAM, BED_SIZE, NULL, bed), -VIRTIO_EINVAL);
	assert_int_equal(lguest_page_init(&bus, NULL, BED_RAM, BED_SIZE, raise, bed), -VIRTIO_EINVAL);
	assert_int_equal(lguest_page_init(&bus, &bed->mem, BED_RAM, BED_SIZE + 1, raise, bed), -VIRTIO_EFAULT);
	assert_int_equal(lguest_page_init(&bus, &bed->mem, BED_RAM, UINT64_C(0x100001000), raise, bed), -VIRTIO_EINVAL);
	bed_destroy(bed);
}

/* 31 interrupts are 15 consoles and a disk; the 32nd is refused, and what was there works on. */
static void interrupts_run_out(void **state)
{
	static struct fake_console consoles[16];
	struct bed *bed = bed_create();
	const char *reason = NULL;
	struct virtio_dev *dev;

	for (int i = 0; i < 15; i++) {
		fake_console_init(&consoles[i]);
		bed_add(bed, console_device_create(&consoles[i].be));
	}
	fake_console_init(&consoles[15]);
	dev = console_device_create(&consoles[15].be);
	assert_int_equal(lguest_page_add(&bed->host, dev, &reason), -VIRTIO_ENOSPC);
	assert_non_null(strstr(reason, "interrupts"));
	virtio_dev_destroy(dev);
	fake_disk_init(&disk);
	bed_add(bed, block_device_create(&disk.be));
	assert_int_equal(virtio_get16(false, page(bed) + 15 * CONSOLE_LEN + 7), 31);
	fake_disk_init(&disk2);
	dev = block_device_create(&disk2.be);
	assert_int_equal(lguest_page_add(&bed->host, dev, NULL), -VIRTIO_ENOSPC);
	virtio_dev_destroy(dev);
	bed_destroy(bed);
}

/* Devices without queues, to fill the page: a description of 5 + 8 + 255 bytes. */
static const struct virtio_dev_ops mute_ops = { .name = "mute" };

static void page_runs_out(void **state)
{
	struct bed *bed = bed_create();
	struct virtio_dev devs[16];
	const char *reason;
	unsigned int i;

	for (i = 0; i < 15; i++) {
		devs[i] = (struct virtio_dev){ .ops = &mute_ops, .id = 200, .config_len = 255 };
		bed_add(bed, &devs[i]);
	}
	/* 15 * 268 = 4020; 76 bytes are left: 64 bytes of config would be one too many, 63 fill the page exactly. */
	devs[15] = (struct virtio_dev){ .ops = &mute_ops, .id = 200, .config_len = 64 };
	assert_int_equal(lguest_page_add(&bed->host, &devs[15], &reason), -VIRTIO_ENOSPC);
	assert_non_null(strstr(reason, "one page"));
	devs[15].config_len = 63;
	bed_add(bed, &devs[15]);
	bed_boot(bed);
	for (i = 0; i < 16; i++)
		bed_next(bed, 200);
	assert_false(lguest_bus_next(&bed->guest, &(struct lguest_device){ 0 }));
	bed_destroy(bed);
}

static void ring_space_runs_out(void **state)
{
	struct bed *bed = bed_create();
	struct lguest_page *bus = &bed->host;
	const char *reason;
	struct virtio_dev *dev;

	assert_int_equal(lguest_page_init(bus, &bed->mem, BED_RAM, BED_RAM + 4096 * 4, bus->raise, bed), 0);
	fake_console_init(&console);
	dev = console_device_create(&console.be);
	assert_int_equal(lguest_page_add(bus, dev, &reason), -VIRTIO_ENOSPC);
	assert_non_null(strstr(reason, "no memory"));
	assert_int_equal(bus->space.next_irq, 1);
	assert_int_equal(page(bed)[0], 0);
	virtio_dev_destroy(dev);
	bed_destroy(bed);
}

/* --- the guest's calls --------------------------------------------------------------------------------------------------- */

static void accept(struct bed *bed, uint32_t features, uint8_t status)
{
	virtio_put32(false, page(bed) + ACCEPTED, features);
	page(bed)[PAGE_DESC_STATUS] = status;
	assert_true(notify(bed, BED_RAM));
}

static void who_is_called(void **state)
{
	struct bed *bed = bed_with_console();

	accept(bed, 0, 3);
	assert_true(notify(bed, BED_RAM + 4096));
	assert_true(notify(bed, BED_RAM + 4096 * 3));
	/* Early console strings: in RAM; and what is nothing at all: inside a ring or a descriptor, the second page, beyond. */
	assert_false(notify(bed, 0));
	assert_false(notify(bed, BED_RAM - 1));
	assert_false(notify(bed, BED_RAM + 1));
	assert_false(notify(bed, BED_RAM + CONSOLE_LEN));
	assert_false(notify(bed, BED_RAM + 4097));
	assert_false(notify(bed, BED_RAM + 4096 * 2));
	assert_false(notify(bed, BED_RAM + 4096 * 5));
	assert_false(notify(bed, UINT64_MAX));
	bed_destroy(bed);
}

/* Queues work from the feature call on, with status 3: the console prints, and spins, before DRIVER_OK. */
static void live_before_driver_ok(void **state)
{
	struct bed *bed = bed_with_console();
	struct virtio_dev *dev = dev_of(bed, 0);

	page(bed)[PAGE_DESC_STATUS] = 0;
	assert_true(notify(bed, BED_RAM));
	assert_false(dev->live);
	page(bed)[PAGE_DESC_STATUS] = 1;
	assert_false(dev->live);
	accept(bed, (uint32_t)VIRTIO_F_EVENT_IDX, 3);
	assert_true(dev->live);
	assert_true(dev->queues[1].event_idx);
	assert_false(dev->queues[1].indirect);
	bed_destroy(bed);
}

static void kick_before_features(void **state)
{
	struct bed *bed = bed_with_console();

	/* A ring that would print, were it served. */
	virtio_put16(false, bed->memory + BED_RAM + 4096 * 3 + 32 * 16 + 2, 1);
	assert_true(notify(bed, BED_RAM + 4096 * 3));
	assert_null(bed->complaint);
	assert_int_equal(virtio_get16(false, bed->memory + BED_RAM + 4096 * 4 + 2), 0);
	bed_destroy(bed);
}

static void reset_clears(void **state)
{
	static const uint8_t zero[4096];
	struct bed *bed = bed_with_console();

	accept(bed, 1, 3);
	memset(bed->memory + BED_RAM + 4096, 0xee, 4 * 4096);
	accept(bed, 1, 0);
	assert_int_equal(virtio_get32(false, page(bed) + ACCEPTED), 0);
	for (int i = 1; i <= 4; i++)
		assert_memory_equal(bed->memory + BED_RAM + 4096 * i, zero, 4096);
	assert_false(dev_of(bed, 0)->live);
	assert_int_equal(dev_of(bed, 0)->features, 0);
	bed_destroy(bed);
}

static void failed(void **state)
{
	struct bed *bed = bed_with_console();

	accept(bed, 0, 3);
	assert_true(dev_of(bed, 0)->live);
	accept(bed, 0, 0x83);
	assert_false(dev_of(bed, 0)->live);
	assert_int_equal(dev_of(bed, 0)->status, 0x83);
	accept(bed, 0, 0);
	accept(bed, 0, 3);
	assert_true(dev_of(bed, 0)->live);
	bed_destroy(bed);
}

static void not_offered(void **state)
{
	struct bed *bed = bed_with_console();

	accept(bed, UINT32_C(1) << 5, 3);
	assert_false(dev_of(bed, 0)->live);
	assert_non_null(bed->complaint);
	accept(bed, 0, 0);
	bed->complaint = NULL;
	accept(bed, ring_features | 1, 3);
	assert_true(dev_of(bed, 0)->live);
	assert_null(bed->complaint);
	bed_destroy(bed);
}

/* The feature call a second time: the same features disturb nothing, others begin anew. */
static void finalized_twice(void **state)
{
	struct bed *bed = bed_with_console();
	struct virtio_console *con = bed_alloc(bed, sizeof(*con));
	struct lguest_device *device = bed_next(bed, VIRTIO_ID_CONSOLE);
	char *text = bed_alloc(bed, 4);

	memcpy(text, "text", 4);
	assert_int_equal(virtio_console_probe(con, &device->vdev), 0);
	assert_int_equal(virtio_console_write(con, text, 2), 2);
	assert_true(notify(bed, BED_RAM));
	assert_int_equal(virtio_console_write(con, text + 2, 2), 2);
	assert_memory_equal(console.printed, "text", 4);
	accept(bed, 0, 7);
	assert_true(dev_of(bed, 0)->live);
	assert_int_equal(dev_of(bed, 0)->features, 0);
	assert_int_equal(dev_of(bed, 0)->queues[1].last_avail, 0);
	bed_destroy(bed);
}

/* --- a guest that overwrites the page ------------------------------------------------------------------------------------ */

static void page_is_not_believed(void **state)
{
	struct bed *bed = bed_create();
	struct virtio_block *blk;
	struct lguest_device *first, *second;
	uint8_t *data;

	fake_disk_init(&disk);
	fake_disk_init(&disk2);
	memset(disk2.data, 0x22, sizeof(disk2.data));
	bed_add(bed, block_device_create(&disk.be));
	bed_add(bed, block_device_create(&disk2.be));
	bed_boot(bed);
	first = bed_next(bed, VIRTIO_ID_BLOCK);
	second = bed_next(bed, VIRTIO_ID_BLOCK);
	blk = bed_alloc(bed, sizeof(*blk));
	data = bed_alloc(bed, 512);
	assert_int_equal(virtio_block_probe(blk, &second->vdev), 0);
	/* Everything but the second disk's own description is garbage now. */
	memset(page(bed), 0xff, (size_t)(second->desc.at - first->desc.at));
	assert_int_equal(virtio_block_read(blk, 0, data, 512), 0);
	assert_int_equal(data[0], 0x22);
	/* And now that too: more queues, longer maps, other rings. */
	second->desc.at[PAGE_DESC_NUM_VQ] = 255;
	second->desc.at[PAGE_DESC_FEATURE_LEN] = 255;
	second->desc.at[PAGE_DESC_CONFIG_LEN] = 255;
	memset(second->desc.at + PAGE_DESC_HEADER, 0xff, LGUEST_DESC_VQ);
	assert_int_equal(virtio_block_read(blk, 0, data, 512), 0);
	second->desc.at[PAGE_DESC_STATUS] = 0;
	assert_true(notify(bed, BED_RAM + (uint64_t)(second->desc.at - page(bed))));
	assert_false(dev_of(bed, 1)->live);
	bed_destroy(bed);
}

/* A restart writes it anew, whatever the last guest left, and ends what was under way. */
static void restart(void **state)
{
	struct bed *bed = bed_with_console();
	uint8_t before[4096];

	memcpy(before, page(bed), 4096);
	accept(bed, 1, 7);
	memset(page(bed), 0xff, 4096 * 5);
	console.columns = 100;
	lguest_page_restart(&bed->host);
	virtio_put16(false, before + 29, 100);
	assert_memory_equal(page(bed), before, 4096);
	assert_false(dev_of(bed, 0)->live);
	assert_int_equal(bed->memory[BED_RAM + 4096], 0);
	bed_destroy(bed);
}

/* --- both ends ----------------------------------------------------------------------------------------------------------- */

/* Several devices of each kind, each with its own interrupts. */
static void several_of_a_kind(void **state)
{
	static struct fake_disk disks[3];
	static struct fake_entropy rngs[2];
	struct bed *bed = bed_create();
	struct virtio_block *blk[3];
	struct virtio_rng *rng[2];
	uint8_t *data, byte;

	for (int i = 0; i < 3; i++) {
		fake_disk_init(&disks[i]);
		memset(disks[i].data, i + 1, FAKE_DISK_SIZE);
		bed_add(bed, block_device_create(&disks[i].be));
	}
	for (int i = 0; i < 2; i++) {
		fake_entropy_init(&rngs[i]);
		rngs[i].next = (uint8_t)(i * 100);
		bed_add(bed, rng_device_create(&rngs[i].be));
	}
	bed_boot(bed);
	data = bed_alloc(bed, 512);
	for (int i = 0; i < 3; i++) {
		blk[i] = bed_alloc(bed, sizeof(*blk[i]));
		assert_int_equal(virtio_block_probe(blk[i], &bed_next(bed, VIRTIO_ID_BLOCK)->vdev), 0);
		assert_int_equal(blk[i]->queue->irq, i + 1);
	}
	for (int i = 0; i < 2; i++) {
		rng[i] = bed_alloc(bed, sizeof(*rng[i]));
		assert_int_equal(virtio_rng_probe(rng[i], &bed_next(bed, VIRTIO_ID_RNG)->vdev), 0);
	}
	for (int i = 2; i >= 0; i--) {
		assert_int_equal(virtio_block_read(blk[i], 0, data, 512), 0);
		assert_int_equal(data[511], i + 1);
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(virtio_rng_read(rng[i], &byte, 1), 0);
		assert_int_equal(byte, i * 100 + 1);
	}
	assert_int_equal(bed->strings, 0);
	bed_destroy(bed);
}

static void guest_end_bounds(void **state)
{
	struct bed *bed = bed_with_console();
	struct lguest_device *device = bed_next(bed, VIRTIO_ID_CONSOLE);
	struct virtio_device *vdev = &device->vdev;
	struct virtio_queue *vq;
	uint8_t c[16];

	assert_int_equal(vdev->bus->get(vdev, 0, c, 12), 0);
	assert_int_equal(vdev->bus->get(vdev, 1, c, 12), -VIRTIO_ERANGE);
	assert_int_equal(vdev->bus->get(vdev, 13, c, 0), -VIRTIO_ERANGE);
	assert_int_equal(vdev->bus->set(vdev, 8, c, 4), 0);
	assert_int_equal(vdev->bus->set(vdev, 8, c, 5), -VIRTIO_ERANGE);
	assert_int_equal(virtio_device_setup(vdev, 0), 0);
	assert_int_equal(virtio_device_queue(vdev, 2, NULL, NULL, &vq), -VIRTIO_ENOENT);
	assert_int_equal(virtio_device_queue(vdev, 1, NULL, NULL, &vq), 0);
	assert_int_equal(virtio_device_queue(vdev, 1, NULL, NULL, &vq), -VIRTIO_EBUSY);
	/* A host that describes nonsense. */
	virtio_put16(false, device->desc.at + 5, 33);
	assert_int_equal(virtio_device_queue(vdev, 0, NULL, NULL, &vq), -VIRTIO_EINVAL);
	virtio_put16(false, device->desc.at + 5, 32);
	virtio_put16(false, device->desc.at + 7, 32);
	assert_int_equal(virtio_device_queue(vdev, 0, NULL, NULL, &vq), -VIRTIO_EINVAL);
	virtio_put16(false, device->desc.at + 7, 1);
	virtio_put32(false, device->desc.at + 9, 0x80000);
	assert_int_equal(virtio_device_queue(vdev, 0, NULL, NULL, &vq), -VIRTIO_EFAULT);
	bed_destroy(bed);
}

/* max_pfn is not where the page is (mem= on the command line): zero memory is an empty page. */
static void guest_looks_elsewhere(void **state)
{
	struct bed *bed = bed_with_console();
	struct lguest_device device;

	assert_int_equal(lguest_bus_init(&bed->guest, &bed->platform, BED_RAM / 2, bed->guest.notify, bed), 0);
	assert_false(lguest_bus_next(&bed->guest, &device));
	assert_int_equal(lguest_bus_init(&bed->guest, &bed->platform, BED_SIZE, bed->guest.notify, bed), -VIRTIO_EFAULT);
	/* A last description that says it is longer than the page. */
	memset(bed->memory + BED_RAM / 2, 0xff, 4096);
	assert_int_equal(lguest_bus_init(&bed->guest, &bed->platform, BED_RAM / 2, bed->guest.notify, bed), 0);
	while (lguest_bus_next(&bed->guest, &device))
		;
	bed_destroy(bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layout),
		cmocka_unit_test(setup_errors),
		cmocka_unit_test(interrupts_run_out),
		cmocka_unit_test(page_runs_out),
		cmocka_unit_test(ring_space_runs_out),
		cmocka_unit_test(who_is_called),
		cmocka_unit_test(live_before_driver_ok),
		cmocka_unit_test(kick_before_features),
		cmocka_unit_test(reset_clears),
		cmocka_unit_test(failed),
		cmocka_unit_test(not_offered),
		cmocka_unit_test(finalized_twice),
		cmocka_unit_test(page_is_not_believed),
		cmocka_unit_test(restart),
		cmocka_unit_test(several_of_a_kind),
		cmocka_unit_test(guest_end_bounds),
		cmocka_unit_test(guest_looks_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
