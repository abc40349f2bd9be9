/* SPDX-License-Identifier: MIT */
/* The balloon over PCI: what is given back, in how few pieces, statistics, and which queue carries what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <virtio/balloon.h>

#include "pci-bed.h"

#define REPORTS		16
#define PAGE		4096u
#define STATS		(VIRTIO_BALLOON_F_STATS_VQ)
#define REPORTING	(VIRTIO_BALLOON_F_REPORTING)

struct range {
	uint64_t at, len;
};

struct fixture {
	struct pci_bed *bed;
	struct balloon_backend be;
	struct range released[REPORTS], dirtied[REPORTS];
	unsigned int count, dirty_count;
	struct balloon_stat stats[40];
	unsigned int stat_count, answers;
	bool closed;
	struct virtio_device *vdev;
	struct virtio_queue *queue[VIRTIO_BALLOON_QUEUES];
	uint32_t *numbers;		/* in guest memory */
	unsigned long used;
};

static struct fixture *f;

static void release(struct balloon_backend *be, uint64_t gpa, uint64_t len)
{
	assert_ptr_equal(be, &f->be);
	assert_int_equal(gpa % PAGE, 0);
	assert_int_equal(len % PAGE, 0);
	assert_true(len && gpa + len <= PCI_BED_RAM);
	/* Whoever keeps translated code has heard of it before. */
	assert_in_range(f->dirty_count, 1, REPORTS);
	assert_int_equal(f->dirtied[f->dirty_count - 1].at, gpa);
	assert_int_equal(f->dirtied[f->dirty_count - 1].len, len);
	assert_in_range(f->count, 0, REPORTS - 1);
	f->released[f->count++] = (struct range){ gpa, len };
}

static void stats(struct balloon_backend *be, const struct balloon_stat *figures, unsigned int count)
{
	assert_in_range(count, 0, 40);
	memcpy(f->stats, figures, count * sizeof(*figures));
	f->stat_count = count;
	f->answers++;
}

static void closed(struct balloon_backend *be)
{
	f->closed = true;
}

static const struct balloon_backend_ops with_stats = { .release = release, .stats = stats, .close = closed };
static const struct balloon_backend_ops plain = { .release = release, .close = closed };

static void dirty(void *opaque, uint64_t gpa, uint64_t len)
{
	if (f->dirty_count < REPORTS)
		f->dirtied[f->dirty_count++] = (struct range){ gpa, len };
}

static int set_up(const struct balloon_backend_ops *ops, bool legacy)
{
	f = calloc(1, sizeof(*f));
	f->bed = pci_bed_create();
	f->bed->mem.dirty = dirty;
	f->be.ops = ops;
	pci_bed_add(f->bed, balloon_device_create(&f->be), VIRTIO_PCI_TRANSITIONAL);
	pci_bed_boot(f->bed, legacy);
	f->vdev = &pci_bed_next(f->bed, VIRTIO_ID_BALLOON)->vdev;
	f->numbers = pci_bed_alloc(f->bed, 65536);
	return 0;
}

static int setup(void **state)
{
	return set_up(&with_stats, false);
}

static int setup_legacy(void **state)
{
	return set_up(&with_stats, true);
}

static int setup_plain(void **state)
{
	return set_up(&plain, false);
}

static int teardown(void **state)
{
	assert_null(f->bed->complaint);
	virtio_device_remove(f->vdev);
	pci_bed_destroy(f->bed);
	assert_true(f->closed);
	free(f);
	return 0;
}

/* Accept @features and take the queues of the mask @queues. */
static void probe(uint64_t features, unsigned int queues)
{
	assert_int_equal(virtio_device_setup(f->vdev, features), 0);
	assert_true(virtio_device_has(f->vdev, features));
	for (unsigned int i = 0; i < VIRTIO_BALLOON_QUEUES; i++)
		if (queues >> i & 1)
			assert_int_equal(virtio_device_queue(f->vdev, i, NULL, NULL, &f->queue[i]), 0);
	virtio_device_ready(f->vdev);
}

/* Send @count page numbers to queue @queue, cut into pieces of @cut bytes (0: one piece), and wait. */
static void send(unsigned int queue, const uint32_t *numbers, unsigned int count, size_t cut)
{
	struct virtio_iov sg[16];
	size_t left = (size_t)4 * count, at = 0;
	unsigned int pieces = 0;

	for (unsigned int i = 0; i < count; i++)
		virtio_put32(false, (uint8_t *)&f->numbers[i], numbers[i]);
	for (; left; pieces++) {
		size_t len = cut && cut < left ? cut : left;

		assert_in_range(pieces, 0, 15);
		sg[pieces] = (struct virtio_iov){ (uint8_t *)f->numbers + at, len };
		at += len;
		left -= len;
	}
	assert_true(virtio_add_outbuf(f->queue[queue], sg, pieces, &f->used) >= 0);
	virtio_sync(f->queue[queue]);
	assert_int_equal(virtio_wait_done(f->queue[queue], &f->used), 0);
	pci_bed_interrupts(f->bed);
}

static void expect(unsigned int i, uint64_t at, uint64_t len)
{
	assert_in_range(i, 0, f->count ? f->count - 1 : 0);
	assert_int_equal(f->released[i].at, at);
	assert_int_equal(f->released[i].len, len);
}

/* --- the balloon ---------------------------------------------------------------------------------------------------------- */

static void inflating(void **state)
{
	static const uint32_t one[] = { 200 }, up[] = { 10, 11, 12, 13 }, down[] = { 23, 22, 21 }, mixed[] = { 30, 40, 41, 39, 50, 50 };

	probe(0, 3);
	send(VIRTIO_BALLOON_QUEUE_INFLATE, one, 1, 0);
	expect(0, 200 * PAGE, PAGE);
	send(VIRTIO_BALLOON_QUEUE_INFLATE, up, 4, 0);
	expect(1, 10 * PAGE, 4 * PAGE);
	send(VIRTIO_BALLOON_QUEUE_INFLATE, down, 3, 0);
	expect(2, 21 * PAGE, 3 * PAGE);
	send(VIRTIO_BALLOON_QUEUE_INFLATE, mixed, 6, 0);
	assert_int_equal(f->count, 7);
	expect(3, 30 * PAGE, PAGE);
	expect(4, 39 * PAGE, 3 * PAGE);
	expect(5, 50 * PAGE, PAGE);
	expect(6, 50 * PAGE, PAGE);
}

/* More than one look's worth of numbers, and cuts in the middle of a number. */
static void long_and_cut(void **state)
{
	uint32_t numbers[100];

	for (unsigned int i = 0; i < 100; i++)
		numbers[i] = 100 + i;
	probe(0, 3);
	send(VIRTIO_BALLOON_QUEUE_INFLATE, numbers, 100, 0);
	send(VIRTIO_BALLOON_QUEUE_INFLATE, numbers, 100, 30);
	assert_int_equal(f->count, 2);
	expect(0, 100 * PAGE, 100 * PAGE);
	expect(1, 100 * PAGE, 100 * PAGE);
}

static void numbers_of_no_memory(void **state)
{
	static const uint32_t numbers[] = { PCI_BED_RAM / PAGE, PCI_BED_RAM / PAGE - 1, 0xffffffff, 0x100000, 0 };

	probe(0, 3);
	send(VIRTIO_BALLOON_QUEUE_INFLATE, numbers, 5, 0);
	assert_int_equal(f->count, 2);
	expect(0, PCI_BED_RAM - PAGE, PAGE);
	expect(1, 0, PAGE);
}

/* A buffer that cannot be an array: part of a number, and one that only the device could write. */
static void odd_buffers(void **state)
{
	struct virtio_iov sg = { f->numbers, 7 };

	probe(0, 3);
	virtio_put32(false, (uint8_t *)f->numbers, 5);
	assert_true(virtio_add_outbuf(f->queue[0], &sg, 1, &f->used) >= 0);
	virtio_sync(f->queue[0]);
	assert_int_equal(virtio_wait_done(f->queue[0], &f->used), 0);
	assert_int_equal(f->count, 1);
	assert_true(virtio_add_inbuf(f->queue[0], &sg, 0, 1, &f->used) >= 0);
	virtio_sync(f->queue[0]);
	assert_int_equal(virtio_wait_done(f->queue[0], &f->used), 0);
	assert_int_equal(f->used, 0);
	assert_int_equal(f->count, 1);
}

/* 16,384 numbers, each a range of its own: a quarter of them counts, and nobody waits for the rest. */
static void endless(void **state)
{
	struct virtio_iov sg = { f->numbers, 65536 };

	for (unsigned int i = 0; i < 16384; i++)
		virtio_put32(false, (uint8_t *)&f->numbers[i], i < 4096 ? 0xffffffff : 7);
	probe(0, 3);
	assert_true(virtio_add_outbuf(f->queue[0], &sg, 1, &f->used) >= 0);
	virtio_sync(f->queue[0]);
	assert_int_equal(virtio_wait_done(f->queue[0], &f->used), 0);
	assert_int_equal(f->count, 0);
}

static void deflating(void **state)
{
	static const uint32_t numbers[] = { 10, 11 };

	probe(VIRTIO_BALLOON_F_DEFLATE_ON_OOM, 3);
	send(VIRTIO_BALLOON_QUEUE_DEFLATE, numbers, 2, 0);
	assert_int_equal(f->count, 0);
}

static void target(void **state)
{
	uint8_t le[4];
	uint32_t pages;

	f->be.target = 5 * PAGE + 17;
	probe(0, 3);
	assert_int_equal(virtio_config_get32(f->vdev, VIRTIO_BALLOON_CFG_NUM_PAGES, &pages), 0);
	assert_int_equal(pages, 5);
	f->be.target = 100 * PAGE;
	f->be.target_changed(f->be.opaque);
	pci_bed_interrupts(f->bed);
	assert_int_equal(f->bed->config_changes, 1);
	assert_int_equal(virtio_config_get32(f->vdev, VIRTIO_BALLOON_CFG_NUM_PAGES, &pages), 0);
	assert_int_equal(pages, 100);
	f->be.target = UINT64_MAX;
	assert_int_equal(virtio_config_get32(f->vdev, VIRTIO_BALLOON_CFG_NUM_PAGES, &pages), 0);
	assert_int_equal(pages, UINT32_MAX);
	virtio_put32(false, le, 77);
	assert_int_equal(f->vdev->bus->set(f->vdev, VIRTIO_BALLOON_CFG_ACTUAL, le, 4), 0);
	assert_int_equal(f->be.actual, 77 * PAGE);
	assert_int_equal(virtio_config_get32(f->vdev, VIRTIO_BALLOON_CFG_ACTUAL, &pages), 0);
	assert_int_equal(pages, 77);
	/* The target is ours; a byte of the other field is a byte. */
	assert_int_equal(f->vdev->bus->set(f->vdev, VIRTIO_BALLOON_CFG_NUM_PAGES, le, 4), 0);
	assert_int_equal(f->be.target, UINT64_MAX);
	le[0] = 1;
	assert_int_equal(f->vdev->bus->set(f->vdev, VIRTIO_BALLOON_CFG_ACTUAL + 1, le, 1), 0);
	assert_int_equal(f->be.actual, (77 + 256) * PAGE);
	/* A guest that begins anew has nothing in its balloon. */
	virtio_device_reset(f->vdev);
	assert_int_equal(f->be.actual, 0);
}

/* --- reports -------------------------------------------------------------------------------------------------------------- */

static void report(unsigned int queue, const struct virtio_iov *sg, unsigned int count)
{
	f->dirty_count = 0;
	assert_true(virtio_add_inbuf(f->queue[queue], sg, 0, count, &f->used) >= 0);
	virtio_sync(f->queue[queue]);
	assert_int_equal(virtio_wait_done(f->queue[queue], &f->used), 0);
	assert_int_equal(f->used, 0);
}

static struct virtio_iov pages(unsigned int first, unsigned int count)
{
	return (struct virtio_iov){ f->bed->memory + first * PAGE, count * PAGE };
}

static void reporting(void **state)
{
	struct virtio_iov sg[] = { pages(100, 32), pages(132, 8), pages(60, 4) };

	probe(REPORTING | STATS, 0x17);
	report(VIRTIO_BALLOON_QUEUE_REPORTING, sg, 3);
	assert_int_equal(f->count, 2);
	expect(0, 100 * PAGE, 40 * PAGE);
	expect(1, 60 * PAGE, 4 * PAGE);
}

/* Linux up to 6.10 counts only the queues it has: 3 with statistics, 2 without. */
static void reporting_without_gaps(void **state)
{
	struct virtio_iov sg = pages(100, 4);

	probe(REPORTING | STATS, 0xf);
	report(3, &sg, 1);
	assert_int_equal(f->count, 1);
	virtio_device_remove(f->vdev);
	probe(REPORTING, 0x7);
	report(2, &sg, 1);
	assert_int_equal(f->count, 2);
}

static void parts_of_pages(void **state)
{
	struct virtio_iov sg = { f->bed->memory + 100 * PAGE + 1, 3 * PAGE };

	probe(REPORTING, 0x10);
	/* The pages in the middle; and what holds no whole page is not given back at all. */
	report(VIRTIO_BALLOON_QUEUE_REPORTING, &sg, 1);
	expect(0, 101 * PAGE, 2 * PAGE);
	sg.len = PAGE;
	report(VIRTIO_BALLOON_QUEUE_REPORTING, &sg, 1);
	sg = (struct virtio_iov){ f->bed->memory + 100 * PAGE, PAGE - 1 };
	report(VIRTIO_BALLOON_QUEUE_REPORTING, &sg, 1);
	assert_int_equal(f->count, 1);
}

/* Not agreed on: buffers on those queues stay where they are. */
static void reporting_not_negotiated(void **state)
{
	struct virtio_iov sg = pages(100, 4);

	probe(0, 0x1f);
	for (unsigned int queue = 2; queue < VIRTIO_BALLOON_QUEUES; queue++) {
		assert_true(virtio_add_inbuf(f->queue[queue], &sg, 0, 1, &f->used) >= 0);
		virtio_sync(f->queue[queue]);
		assert_false(virtio_is_done(&f->used));
	}
	assert_int_equal(f->count, 0);
	assert_int_equal(f->answers, 0);
}

/* --- statistics ----------------------------------------------------------------------------------------------------------- */

static void offer_stats(unsigned int count, uint64_t base, size_t extra)
{
	uint8_t *raw = (uint8_t *)f->numbers;
	struct virtio_iov sg = { raw, count * VIRTIO_BALLOON_STAT_LEN + extra };

	for (unsigned int i = 0; i < count; i++) {
		virtio_put16(false, raw + (size_t)10 * i, (uint16_t)i);
		virtio_put64(false, raw + (size_t)10 * i + 2, base + i);
	}
	assert_true(virtio_add_outbuf(f->queue[VIRTIO_BALLOON_QUEUE_STATS], &sg, 1, &f->used) >= 0);
	virtio_sync(f->queue[VIRTIO_BALLOON_QUEUE_STATS]);
}

static void statistics(void **state)
{
	assert_false(f->be.ask_stats(f->be.opaque));
	probe(STATS, 7);
	assert_false(f->be.ask_stats(f->be.opaque));
	offer_stats(10, UINT64_C(0x123456789a), 3);
	assert_int_equal(f->answers, 1);
	assert_int_equal(f->stat_count, 10);
	assert_int_equal(f->stats[9].tag, 9);
	assert_int_equal(f->stats[9].value, UINT64_C(0x123456789a) + 9);
	/* The buffer is kept until somebody asks; then the driver fills it anew. */
	virtio_harvest(f->queue[VIRTIO_BALLOON_QUEUE_STATS]);
	assert_false(virtio_is_done(&f->used));
	assert_true(f->be.ask_stats(f->be.opaque));
	pci_bed_interrupts(f->bed);
	assert_true(virtio_is_done(&f->used));
	assert_false(f->be.ask_stats(f->be.opaque));
	offer_stats(38, 5, 0);
	assert_int_equal(f->answers, 2);
	/* As many as we take. */
	assert_int_equal(f->stat_count, 32);
	/* After a reset the old buffer is gone, and stays it. */
	virtio_device_remove(f->vdev);
	assert_false(f->be.ask_stats(f->be.opaque));
	probe(STATS, 7);
	assert_false(f->be.ask_stats(f->be.opaque));
}

/* Two buffers under way: one answer each time. */
static void eager_statistics(void **state)
{
	probe(STATS, 7);
	offer_stats(1, 5, 0);
	offer_stats(2, 5, 0);
	assert_int_equal(f->answers, 1);
	assert_true(f->be.ask_stats(f->be.opaque));
	assert_int_equal(f->answers, 2);
	assert_int_equal(f->stat_count, 2);
	pci_bed_interrupts(f->bed);
}

static void nobody_asks(void **state)
{
	assert_int_equal(f->vdev->bus->get_features(f->vdev) & STATS, 0);
	assert_true(f->vdev->bus->get_features(f->vdev) & REPORTING);
	assert_true(f->vdev->bus->get_features(f->vdev) & VIRTIO_BALLOON_F_DEFLATE_ON_OOM);
	assert_int_equal(f->vdev->bus->get_features(f->vdev) & VIRTIO_BALLOON_F_MUST_TELL_HOST, 0);
	probe(REPORTING, 0x13);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define both(name) \
	{ #name " (modern)", name, setup, teardown, NULL }, { #name " (legacy)", name, setup_legacy, teardown, NULL }

int main(void)
{
	const struct CMUnitTest tests[] = {
		both(inflating), both(long_and_cut), both(numbers_of_no_memory), test(odd_buffers), test(endless), both(deflating),
		both(target), both(reporting), both(reporting_without_gaps), test(parts_of_pages), test(reporting_not_negotiated),
		both(statistics), test(eager_statistics), cmocka_unit_test_setup_teardown(nobody_asks, setup_plain, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
