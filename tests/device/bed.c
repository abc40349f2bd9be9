/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bed.h"

static void bed_raise(void *opaque, unsigned int irq)
{
	struct bed *bed = opaque;

	assert_in_range(irq, 1, LGUEST_MAX_IRQS - 1);
	bed->irqs |= UINT32_C(1) << irq;
	bed->raised++;
}

static void bed_complain(void *opaque, const struct virtio_dev *dev, const char *reason)
{
	((struct bed *)opaque)->complaint = reason;
}

static void bed_notify(void *opaque, uint64_t address)
{
	struct bed *bed = opaque;

	bed->notified++;
	if (!lguest_page_notify(&bed->host, address))
		bed->strings++;
}

static void *platform_alloc(void *opaque, size_t size, size_t align)
{
	struct bed *bed = opaque;
	size_t at = (bed->next + align - 1) & ~(align - 1);

	if (at + size > BED_RAM)
		return NULL;
	bed->next = at + size;
	return bed->memory + at;
}

void bed_interrupts(struct bed *bed)
{
	uint32_t irqs = bed->irqs;

	bed->irqs = 0;
	for (unsigned int i = 0; i < LGUEST_MAX_IRQS; i++)
		if (irqs & UINT32_C(1) << i)
			lguest_bus_interrupt(&bed->guest, i);
}

static void platform_wait(void *opaque)
{
	struct bed *bed = opaque;

	bed_interrupts(bed);
	if (bed->idle)
		bed->idle(bed);
}

void *bed_alloc(struct bed *bed, size_t size)
{
	void *p = platform_alloc(bed, size, 16);

	assert_non_null(p);
	return p;
}

struct bed *bed_create(void)
{
	struct bed *bed = calloc(1, sizeof(*bed));

	assert_non_null(bed);
	bed->memory = aligned_alloc(LGUEST_PAGE_SIZE, BED_SIZE);
	assert_non_null(bed->memory);
	memset(bed->memory, 0, BED_RAM);
	memset(bed->memory + BED_RAM, 0xa5, BED_SIZE - BED_RAM);
	bed->next = LGUEST_PAGE_SIZE;
	bed->mem = (struct virtio_mem){ .base = bed->memory, .size = BED_SIZE };
	bed->platform = (struct virtio_platform){ .mem = &bed->mem, .alloc = platform_alloc, .wait = platform_wait, .opaque = bed };
	assert_int_equal(lguest_page_init(&bed->host, &bed->mem, BED_RAM, BED_SIZE, bed_raise, bed), 0);
	bed->host.complain = bed_complain;
	return bed;
}

void bed_add(struct bed *bed, struct virtio_dev *dev)
{
	const char *reason;

	assert_non_null(dev);
	assert_int_equal(lguest_page_add(&bed->host, dev, &reason), 0);
	assert_null(reason);
}

void bed_boot(struct bed *bed)
{
	assert_int_equal(lguest_bus_init(&bed->guest, &bed->platform, BED_RAM, bed_notify, bed), 0);
}

struct lguest_device *bed_next(struct bed *bed, uint32_t id)
{
	struct lguest_device *device = bed_alloc(bed, sizeof(*device));

	assert_true(lguest_bus_next(&bed->guest, device));
	assert_int_equal(device->vdev.id, id);
	return device;
}

void bed_destroy(struct bed *bed)
{
	for (unsigned int i = 0; i < bed->host.space.count; i++)
		virtio_dev_destroy(bed->host.slot[i].dev);
	free(bed->memory);
	free(bed);
}

/* --- console ---------------------------------------------------------------------------------------------------------- */

static size_t console_write(struct console_backend *be, const struct virtio_iov *iov, unsigned int count)
{
	struct fake_console *f = (struct fake_console *)be;
	size_t len = (size_t)virtio_iov_length(iov, count);

	if (f->narrow) {
		len = len < f->room ? len : f->room;
		f->room -= len;
	}
	if (f->discard)
		return len;
	assert_true(f->len + len < sizeof(f->printed));
	virtio_iov_read(iov, count, 0, f->printed + f->len, len);
	f->len += len;
	return len;
}

static void console_input_ready(struct console_backend *be)
{
	((struct fake_console *)be)->ready++;
}

static void console_size(struct console_backend *be, uint16_t *columns, uint16_t *rows)
{
	*columns = ((struct fake_console *)be)->columns;
	*rows = ((struct fake_console *)be)->rows;
}

static void console_close(struct console_backend *be)
{
	((struct fake_console *)be)->closed = true;
}

static const struct console_backend_ops console_ops = {
	.write = console_write,
	.input_ready = console_input_ready,
	.size = console_size,
	.close = console_close,
};

void fake_console_init(struct fake_console *f)
{
	*f = (struct fake_console){ .be = { .ops = &console_ops }, .columns = 80, .rows = 25 };
}

struct virtio_dev *fake_ports_create(struct fake_console ends[FAKE_PORTS])
{
	struct console_port ports[FAKE_PORTS] = {
		{ .backend = &ends[0].be, .terminal = true }, { .backend = &ends[1].be, .name = "name" },
	};

	fake_console_init(&ends[0]);
	fake_console_init(&ends[1]);
	ends[0].discard = ends[1].discard = true;
	return ports_device_create(ports, FAKE_PORTS);
}

void fake_ports_event(struct fake_console ends[FAKE_PORTS], uint8_t what, size_t len)
{
	static const char typed[65536];
	struct fake_console *end = &ends[what & 1];

	/* Not one of a device that was made otherwise. */
	if (!end->be.input)
		return;
	switch (what >> 1 & 3) {
	case 0:
		end->be.input(end->be.opaque, typed, len & 0xffff);
		break;
	case 1:
		end->be.away = what & 8;
		end->be.came_or_went(end->be.opaque);
		break;
	case 2:
		end->columns = what;
		end->be.resized(end->be.opaque, what, what);
		break;
	case 3:
		/* What is printed is always taken. */
		ends[1].narrow = what & 8;
		ends[1].room = len;
		end->be.output_ready(end->be.opaque);
	}
}

/* --- disk ------------------------------------------------------------------------------------------------------------- */

static void perform(struct fake_disk *f, struct block_io *io)
{
	bool range = io->op == BLOCK_DISCARD || io->op == BLOCK_ZERO;
	size_t len = (size_t)(range ? io->length : virtio_iov_length(io->iov, io->iov_count));

	if (f->fail) {
		io->done(io, f->fail);
		return;
	}
	assert_true(io->op == BLOCK_FLUSH || (io->offset <= FAKE_DISK_SIZE && len <= FAKE_DISK_SIZE - io->offset));
	switch (io->op) {
	case BLOCK_READ:
		virtio_iov_write(io->iov, io->iov_count, 0, f->data + io->offset, len);
		break;
	case BLOCK_WRITE:
		virtio_iov_read(io->iov, io->iov_count, 0, f->data + io->offset, len);
		break;
	case BLOCK_FLUSH:
		f->flushes++;
		break;
	case BLOCK_DISCARD:
		memset(f->data + io->offset, FAKE_DISK_DISCARDED, len);
		break;
	case BLOCK_ZERO:
		memset(f->data + io->offset, 0, len);
		f->unmaps += io->unmap;
		break;
	}
	io->done(io, 0);
}

static void disk_submit(struct block_backend *be, struct block_io *io)
{
	struct fake_disk *f = (struct fake_disk *)be;

	f->submits++;
	if (!f->hold) {
		perform(f, io);
		return;
	}
	assert_true(f->held_count < FAKE_DISK_MAX);
	f->held[f->held_count++] = io;
}

unsigned int fake_disk_run(struct fake_disk *f)
{
	unsigned int count = 0;

	while (f->held_count) {
		perform(f, f->held[--f->held_count]);
		count++;
	}
	return count;
}

static void disk_commit(struct block_backend *be)
{
	((struct fake_disk *)be)->commits++;
}

static void disk_drain(struct block_backend *be)
{
	struct fake_disk *f = (struct fake_disk *)be;

	f->drains++;
	fake_disk_run(f);
}

static void disk_close(struct block_backend *be)
{
	struct fake_disk *f = (struct fake_disk *)be;

	assert_int_equal(f->held_count, 0);
	if (f->closed)
		*f->closed = true;
}

static const struct block_backend_ops disk_ops = {
	.submit = disk_submit,
	.commit = disk_commit,
	.drain = disk_drain,
	.close = disk_close,
};

void fake_disk_init(struct fake_disk *f)
{
	memset(f, 0, sizeof(*f));
	f->be = (struct block_backend){ .ops = &disk_ops, .size = FAKE_DISK_SIZE, .block_size = 512, .zeroes = true,
				       .discard_unit = 4096, .serial = "KENNEL-0123456789ABC" };
}

/* --- network ---------------------------------------------------------------------------------------------------------- */

static int net_send(struct net_backend *be, const struct virtio_iov *iov, unsigned int count, const struct virtio_net_offload *offload)
{
	struct fake_net *f = (struct fake_net *)be;

	if (f->busy) {
		f->busy--;
		return -EAGAIN;
	}
	/* What a host would do with this header must stay within the frame. */
	if (offload->flags & 1)
		assert_true((uint64_t)offload->csum_start + offload->csum_offset + 2 <= virtio_iov_length(iov, count));
	f->sent_len = virtio_iov_read(iov, count, 0, f->sent, sizeof(f->sent));
	f->offload = *offload;
	f->frames++;
	return 0;
}

static void net_set_offload(struct net_backend *be, bool tx, bool rx, bool tso4, bool tso6, bool ecn)
{
	struct fake_net *f = (struct fake_net *)be;

	f->tx_csum = tx;
	f->rx_csum = rx;
	f->tso4 = tso4;
	f->tso6 = tso6;
	f->ecn = ecn;
}

static void net_rx_ready(struct net_backend *be)
{
	struct fake_net *f = (struct fake_net *)be;

	f->ready++;
	if (f->on_ready)
		f->on_ready(f);
}

static void net_close(struct net_backend *be)
{
}

static const struct net_backend_ops net_ops = {
	.send = net_send,
	.set_offload = net_set_offload,
	.rx_ready = net_rx_ready,
	.close = net_close,
};

void fake_net_init(struct fake_net *f, bool offload)
{
	memset(f, 0, sizeof(*f));
	f->be = (struct net_backend){ .ops = &net_ops, .offload = offload, .mac = { 2, 0x4b, 0x4e, 0, 0, 7 }, .mtu = 1500 };
}

/* --- entropy ---------------------------------------------------------------------------------------------------------- */

static size_t entropy_fill(struct entropy_backend *be, void *buf, size_t len)
{
	struct fake_entropy *f = (struct fake_entropy *)be;
	uint8_t *b = buf;

	if (f->limit && len > f->limit)
		len = f->limit;
	for (size_t i = 0; i < len; i++)
		b[i] = ++f->next;
	return len;
}

static void entropy_close(struct entropy_backend *be)
{
}

static const struct entropy_backend_ops entropy_ops = { .fill = entropy_fill, .close = entropy_close };

void fake_entropy_init(struct fake_entropy *f)
{
	*f = (struct fake_entropy){ .be = { .ops = &entropy_ops } };
}
