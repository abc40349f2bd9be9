/* SPDX-License-Identifier: MIT */
/*
 * balloon.c - a memory balloon (virtio 1.2, 5.5): the guest's way to give memory back, and ours to ask for it.
 *
 * Memory comes back in two ways. The balloon: we name a target, the driver allocates that many pages, and tells their numbers. And
 * reports, which need no target: the driver sends its free pages as buffers, and they are free until we answer. Either way the
 * backend drops what the host keeps of them, and the guest finds zeros when it uses them again. So nothing has to be done when pages
 * leave the balloon, and the driver need not tell us before it uses one (MUST_TELL_HOST is not offered).
 *
 * Single pages come in the order in which a kernel's allocator gave them out, which is often up or down by one: those are gathered,
 * because giving a range back is one system call and one shootdown however long it is.
 */
#include <stdlib.h>

#include <device/device.h>
#include <virtio/balloon.h>

#define QUEUE_SIZE	128
#define STATS_MAX	32	/* figures taken of one answer */
#define PAGE		VIRTIO_BALLOON_PAGE
#define NUMBERS		64	/* page numbers looked at together */
#define NUMBERS_MAX	4096	/* and of one buffer; Linux sends 256. The rest is passed over: nobody may keep us here for minutes. */

struct balloon_device {
	struct virtio_dev dev;
	struct vring_device queues[VIRTIO_BALLOON_QUEUES];
	struct balloon_backend *backend;
	bool have_stats;		/* the guest's buffer for statistics is here */
	uint32_t stats_id;
	struct virtio_iov iov[QUEUE_SIZE];
};

static struct balloon_device *of(struct virtio_dev *dev)
{
	return (struct balloon_device *)(void *)dev;
}

/* --- giving back ------------------------------------------------------------------------------------------------------ */

/* Pages that lie next to each other, not yet given back. */
struct run {
	uint64_t start, end;		/* guest-physical; equal = none */
};

static void finish(struct balloon_device *b, struct run *run)
{
	const struct virtio_mem *mem = b->dev.mem;
	uint64_t len = run->end - run->start;

	if (!len)
		return;
	/* What was translated from there goes with what was there. */
	if (mem->dirty)
		mem->dirty(mem->opaque, run->start, len);
	b->backend->ops->release(b->backend, run->start, len);
	run->start = run->end;
}

/* Give [@start, @end) back, together with its neighbours. */
static void gather(struct balloon_device *b, struct run *run, uint64_t start, uint64_t end)
{
	if (run->end != run->start && start == run->end) {
		run->end = end;
	} else if (run->end != run->start && end == run->start) {
		run->start = start;
	} else {
		finish(b, run);
		*run = (struct run){ start, end };
	}
}

/* --- the balloon ------------------------------------------------------------------------------------------------------ */

/* 5.5.6: an array of 32-bit page numbers, in the guest's byte order for legacy drivers. Numbers of no memory are passed over. */
static void inflate(struct balloon_device *b, const struct vring_buffer *buf)
{
	uint8_t numbers[4 * NUMBERS];
	struct run run = { 0, 0 };
	uint64_t at = 0;
	size_t len;

	while (at < (uint64_t)4 * NUMBERS_MAX && (len = virtio_iov_read(buf->out, buf->out_count, at, numbers, sizeof(numbers))) >= 4) {
		for (size_t i = 0; i + 4 <= len; i += 4) {
			uint64_t gpa = (uint64_t)virtio_get32(b->dev.big_endian, numbers + i) * PAGE;

			if (virtio_mem_at(b->dev.mem, gpa, PAGE))
				gather(b, &run, gpa, gpa + PAGE);
		}
		at += len;
	}
	finish(b, &run);
}

/* 5.5.6.7: the buffer itself is free memory. Only whole pages of it can be given back. */
static void take_report(struct balloon_device *b, const struct vring_buffer *buf)
{
	struct run run = { 0, 0 };

	for (unsigned int i = 0; i < buf->in_count; i++) {
		uint64_t gpa = virtio_mem_address(b->dev.mem, buf->in[i].base, buf->in[i].len), start, end;

		if (gpa == VIRTIO_BAD_ADDRESS)
			continue;
		start = (gpa + PAGE - 1) & ~(uint64_t)(PAGE - 1);
		end = (gpa + buf->in[i].len) & ~(uint64_t)(PAGE - 1);
		if (start < end)
			gather(b, &run, start, end);
	}
	finish(b, &run);
}

static void serve(struct balloon_device *b, unsigned int queue, void (*take)(struct balloon_device *, const struct vring_buffer *))
{
	struct vring_buffer buf;

	while (virtio_dev_pop(&b->dev, queue, &buf, b->iov, QUEUE_SIZE) > 0) {
		if (take)
			take(b, &buf);
		virtio_dev_push(&b->dev, queue, buf.id, 0);
	}
	virtio_dev_flush(&b->dev, queue);
}

/* --- statistics (5.5.6.3) --------------------------------------------------------------------------------------------- */

static void read_stats(struct balloon_device *b, const struct vring_buffer *buf)
{
	struct balloon_stat stats[STATS_MAX];
	uint8_t raw[VIRTIO_BALLOON_STAT_LEN];
	unsigned int count = 0;

	while (count < STATS_MAX && virtio_iov_read(buf->out, buf->out_count, (uint64_t)count * sizeof(raw), raw, sizeof(raw)) == sizeof(raw)) {
		stats[count].tag = virtio_get16(b->dev.big_endian, raw);
		stats[count].value = virtio_get64(b->dev.big_endian, raw + 2);
		count++;
	}
	b->backend->ops->stats(b->backend, stats, count);
}

/* The driver sends its first buffer unasked, and the next whenever it gets one back. We keep it until somebody asks. */
static void take_stats(struct balloon_device *b)
{
	struct vring_buffer buf;

	if (b->have_stats || virtio_dev_pop(&b->dev, VIRTIO_BALLOON_QUEUE_STATS, &buf, b->iov, QUEUE_SIZE) <= 0)
		return;
	b->have_stats = true;
	b->stats_id = buf.id;
	read_stats(b, &buf);
}

static bool balloon_ask_stats(void *opaque)
{
	struct balloon_device *b = opaque;

	if (!b->have_stats || !b->dev.live || b->dev.broken)
		return false;
	b->have_stats = false;
	virtio_dev_push(&b->dev, VIRTIO_BALLOON_QUEUE_STATS, b->stats_id, 0);
	virtio_dev_flush(&b->dev, VIRTIO_BALLOON_QUEUE_STATS);
	/* A driver that has two buffers under way. */
	take_stats(b);
	return true;
}

/* --- the device ------------------------------------------------------------------------------------------------------- */

static void balloon_queue_notify(struct virtio_dev *dev, unsigned int queue)
{
	struct balloon_device *b = of(dev);

	if (queue == VIRTIO_BALLOON_QUEUE_INFLATE)
		serve(b, queue, inflate);
	else if (queue == VIRTIO_BALLOON_QUEUE_DEFLATE)
		serve(b, queue, NULL);
	else if (queue == VIRTIO_BALLOON_QUEUE_STATS && virtio_dev_has(dev, VIRTIO_BALLOON_F_STATS_VQ))
		take_stats(b);
	else if (virtio_dev_has(dev, VIRTIO_BALLOON_F_REPORTING))
		/* Queue 4, or another number as Linux counts: see balloon.h. */
		serve(b, queue, take_report);
}

static void balloon_reset(struct virtio_dev *dev)
{
	of(dev)->have_stats = false;
	of(dev)->backend->actual = 0;
}

static uint32_t target_pages(const struct balloon_backend *backend)
{
	return backend->target / PAGE > UINT32_MAX ? UINT32_MAX : (uint32_t)(backend->target / PAGE);
}

static void balloon_config_get(struct virtio_dev *dev, void *config)
{
	struct balloon_backend *backend = of(dev)->backend;
	uint8_t *c = config;

	virtio_put32(false, c + VIRTIO_BALLOON_CFG_NUM_PAGES, target_pages(backend));
	virtio_put32(false, c + VIRTIO_BALLOON_CFG_ACTUAL, (uint32_t)(backend->actual / PAGE));
}

/* The one field that a driver writes; in whatever pieces it likes. */
static void balloon_config_set(struct virtio_dev *dev, size_t offset, const void *data, size_t len)
{
	uint8_t config[VIRTIO_BALLOON_CFG_LEN];

	balloon_config_get(dev, config);
	virtio_copy(config + offset, data, len);
	of(dev)->backend->actual = (uint64_t)virtio_get32(false, config + VIRTIO_BALLOON_CFG_ACTUAL) * PAGE;
}

static void balloon_target_changed(void *opaque)
{
	struct balloon_device *b = opaque;

	virtio_dev_config_changed(&b->dev);
}

static void balloon_destroy(struct virtio_dev *dev)
{
	struct balloon_device *b = of(dev);

	b->backend->target_changed = NULL;
	b->backend->ask_stats = NULL;
	if (b->backend->ops->close)
		b->backend->ops->close(b->backend);
	free(b);
}

static const struct virtio_dev_ops balloon_ops = {
	.name = "balloon",
	.queue_notify = balloon_queue_notify,
	.reset = balloon_reset,
	.config_get = balloon_config_get,
	.config_set = balloon_config_set,
	.destroy = balloon_destroy,
};

struct virtio_dev *balloon_device_create(struct balloon_backend *backend)
{
	struct balloon_device *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	for (unsigned int i = 0; i < VIRTIO_BALLOON_QUEUES; i++)
		b->queues[i].num_max = QUEUE_SIZE;
	b->dev = (struct virtio_dev){
		.ops = &balloon_ops,
		.id = VIRTIO_ID_BALLOON,
		.offered = VIRTIO_DEV_RING_FEATURES | VIRTIO_BALLOON_F_DEFLATE_ON_OOM | VIRTIO_BALLOON_F_REPORTING,
		.config_len = VIRTIO_BALLOON_CFG_LEN,
		.queues = b->queues,
		.num_queues = VIRTIO_BALLOON_QUEUES,
	};
	if (backend->ops->stats)
		b->dev.offered |= VIRTIO_BALLOON_F_STATS_VQ;
	b->backend = backend;
	backend->opaque = b;
	backend->target_changed = balloon_target_changed;
	backend->ask_stats = balloon_ask_stats;
	return &b->dev;
}
