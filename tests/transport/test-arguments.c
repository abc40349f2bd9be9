/* SPDX-License-Identifier: MIT */
/*
 * What the buses' functions say to arguments that are none: null pointers, numbers out of range, sizes that are no power of two,
 * addresses that are misaligned or nowhere. One test per bus and end; every function that a header declares is called. A bus is
 * made the right way first, and works afterwards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <transport/lguest-dma-guest.h>
#include <transport/lguest-dma-host.h>
#include <transport/lguest-page-guest.h>
#include <transport/lguest-page-host.h>
#include <transport/lguest-tlv-guest.h>
#include <transport/lguest-tlv-host.h>
#include <transport/s390-page-guest.h>
#include <transport/s390-page-host.h>
#include <transport/virtio-mmio-guest.h>
#include <transport/virtio-mmio-host.h>
#include <transport/virtio-pci-guest.h>
#include <transport/virtio-pci-host.h>
#include <virtio/fake.h>

#define TOP	0x10000u
#define SIZE	(TOP + 0x40000u)
#define NOWHERE	UINT64_C(0x7000000000)

/* --- devices, good and bad ------------------------------------------------------------------------------------------ */

static void config_get(struct virtio_dev *dev, void *config)
{
	memset(config, 0x5a, dev->config_len);
}

static void config_set(struct virtio_dev *dev, size_t offset, const void *data, size_t len)
{
	uint8_t written[VIRTIO_CONFIG_MAX];

	memcpy(written, data, len);
}

static const struct virtio_dev_ops toy_ops = { .name = "toy", .config_get = config_get, .config_set = config_set };

struct toy {
	struct virtio_dev dev;
	struct vring_device queues[40];
};

static void toy_init(struct toy *t)
{
	*t = (struct toy){
		.dev = { .ops = &toy_ops, .id = VIRTIO_ID_RNG, .offered = VIRTIO_DEV_RING_FEATURES, .config_len = 8, .num_queues = 2 } };
	t->dev.queues = t->queues;
	for (unsigned int i = 0; i < 40; i++)
		t->queues[i].num_max = 16;
}

/* What can be wrong with a device, on every bus. */
static void no_ops(struct toy *t)
{
	t->dev.ops = NULL;
}

static void no_id(struct toy *t)
{
	t->dev.id = 0;
}

static void big_id(struct toy *t)
{
	t->dev.id = 256;
}

static void no_queues(struct toy *t)
{
	t->dev.queues = NULL;
}

static void many_queues(struct toy *t)
{
	t->dev.num_queues = 40;
}

static void empty_queue(struct toy *t)
{
	t->queues[1].num_max = 0;
}

static void odd_queue(struct toy *t)
{
	t->queues[1].num_max = 24;
}

static void large_queue(struct toy *t)
{
	t->queues[1].num_max = 0xffff;
}

static void large_config(struct toy *t)
{
	t->dev.config_len = VIRTIO_CONFIG_MAX + 1;
}

static void (*const faults[])(struct toy *t) = {
	no_ops, no_id, big_id, no_queues, many_queues, empty_queue, odd_queue, large_queue, large_config };

#define FAULTS (sizeof(faults) / sizeof(faults[0]))

/* Every bus refuses each of these devices, with a sentence; some have room for a large id (@but). */
static void refuse_all_but(void (*but)(struct toy *t), int (*add)(struct virtio_dev *dev, const char **reason))
{
	struct toy t;

	for (unsigned int i = 0; i < FAULTS; i++) {
		const char *reason = NULL;

		if (faults[i] == but)
			continue;
		toy_init(&t);
		faults[i](&t);
		assert_int_equal(add(&t.dev, &reason), -VIRTIO_EINVAL);
		assert_non_null(reason);
		assert_int_equal(add(&t.dev, NULL), -VIRTIO_EINVAL);
	}
	assert_int_equal(add(NULL, NULL), -VIRTIO_EINVAL);
}

/* --- a machine ------------------------------------------------------------------------------------------------------ */

static struct {
	uint8_t *memory, *private;
	struct virtio_mem mem;
	struct virtio_platform platform;
	struct toy toy;
	struct lguest_page page;
	struct lguest_tlv tlv;
	struct s390_page s390;
	struct lguest_dma_bus dma;
	struct virtio_mmio mmio;
	struct virtio_pci pci;
} m;

static const struct virtio_platform no_memory = { .mem = NULL };

static int setup(void **state)
{
	memset(&m, 0, sizeof(m));
	m.memory = aligned_alloc(4096, SIZE);
	m.private = aligned_alloc(4096, LGUEST_DMA_PRIVATE);
	memset(m.memory, 0, SIZE);
	m.mem = (struct virtio_mem){ .base = m.memory, .size = SIZE };
	m.platform = (struct virtio_platform){ .mem = &m.mem };
	toy_init(&m.toy);
	return 0;
}

static int teardown(void **state)
{
	free(m.memory);
	free(m.private);
	return 0;
}

/* --- pages, the host's end ------------------------------------------------------------------------------------------ */

static void raise_irq(void *opaque, unsigned int irq)
{
}

static void raise_event(void *opaque, uint32_t reason, uint64_t token)
{
}

/* Where the page and the rings cannot be. */
static const struct {
	uint64_t top, limit;
	int error;
} spaces[] = {
	{ TOP + 1, SIZE, -VIRTIO_EINVAL },
	{ TOP + 512, SIZE, -VIRTIO_EINVAL },
	{ TOP, TOP, -VIRTIO_EINVAL },
	{ SIZE, TOP, -VIRTIO_EINVAL },
	{ TOP, TOP + 4095, -VIRTIO_EFAULT },
	{ TOP, SIZE + 1, -VIRTIO_EFAULT },
	{ SIZE, SIZE + 4096, -VIRTIO_EFAULT },
	{ UINT32_MAX & ~4095u, UINT32_MAX, -VIRTIO_EFAULT },
};

#define SPACES (sizeof(spaces) / sizeof(spaces[0]))

#define BEYOND_4G (UINT64_C(1) << 32) + 1

static int page_add(struct virtio_dev *dev, const char **reason)
{
	return lguest_page_add(&m.page, dev, reason);
}

static void lguest_page_host(void **state)
{
	for (unsigned int i = 0; i < SPACES; i++)
		assert_int_equal(lguest_page_init(&m.page, &m.mem, spaces[i].top, spaces[i].limit, raise_irq, NULL), spaces[i].error);
	assert_int_equal(lguest_page_init(&m.page, &m.mem, TOP, BEYOND_4G, raise_irq, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_page_init(&m.page, &m.mem, TOP, SIZE, NULL, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_page_init(&m.page, NULL, TOP, SIZE, raise_irq, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_page_init(NULL, &m.mem, TOP, SIZE, raise_irq, NULL), -VIRTIO_EINVAL);
	/* A bus that could not be made is empty. */
	lguest_page_restart(&m.page);
	assert_false(lguest_page_notify(&m.page, TOP));

	assert_int_equal(lguest_page_init(&m.page, &m.mem, TOP, SIZE, raise_irq, NULL), 0);
	refuse_all_but(NULL, page_add);
	m.toy.dev.config_len = 256;
	assert_int_equal(page_add(&m.toy.dev, NULL), -VIRTIO_EINVAL);
	m.toy.dev.config_len = 255;
	assert_int_equal(lguest_page_add(NULL, &m.toy.dev, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_page_end(&m.page), TOP + 4096);
	assert_int_equal(page_add(&m.toy.dev, NULL), 0);
	assert_int_equal(lguest_page_end(NULL), 0);
	assert_false(lguest_page_notify(NULL, TOP));
	assert_false(lguest_page_notify(&m.page, 0));
	assert_false(lguest_page_notify(&m.page, TOP + 1));
	assert_false(lguest_page_notify(&m.page, UINT64_MAX));
	lguest_page_restart(NULL);
	assert_true(lguest_page_notify(&m.page, TOP));
}

static int tlv_add(struct virtio_dev *dev, const char **reason)
{
	return lguest_tlv_add(&m.tlv, dev, reason);
}

static void lguest_tlv_host(void **state)
{
	for (unsigned int i = 0; i < SPACES; i++)
		assert_int_equal(lguest_tlv_init(&m.tlv, &m.mem, spaces[i].top, spaces[i].limit, raise_irq, NULL), spaces[i].error);
	assert_int_equal(lguest_tlv_init(&m.tlv, &m.mem, TOP, BEYOND_4G, raise_irq, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_tlv_init(&m.tlv, &m.mem, TOP, SIZE, NULL, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_tlv_init(&m.tlv, NULL, TOP, SIZE, raise_irq, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_tlv_init(NULL, &m.mem, TOP, SIZE, raise_irq, NULL), -VIRTIO_EINVAL);
	lguest_tlv_restart(&m.tlv);
	assert_false(lguest_tlv_notify(&m.tlv, TOP));

	assert_int_equal(lguest_tlv_init(&m.tlv, &m.mem, TOP, SIZE, raise_irq, NULL), 0);
	refuse_all_but(NULL, tlv_add);
	assert_int_equal(lguest_tlv_add(NULL, &m.toy.dev, NULL), -VIRTIO_EINVAL);
	assert_int_equal(tlv_add(&m.toy.dev, NULL), 0);
	assert_int_equal(lguest_tlv_end(NULL), 0);
	assert_false(lguest_tlv_notify(NULL, TOP));
	assert_false(lguest_tlv_notify(&m.tlv, TOP));
	assert_false(lguest_tlv_notify(&m.tlv, UINT64_MAX));
	lguest_tlv_restart(NULL);
	assert_true(lguest_tlv_notify(&m.tlv, TOP + 4096));
}

static int s390_add(struct virtio_dev *dev, const char **reason)
{
	return s390_page_add(&m.s390, dev, reason);
}

static void s390_host(void **state)
{
	for (unsigned int i = 0; i < SPACES; i++)
		assert_int_equal(s390_page_init(&m.s390, &m.mem, spaces[i].top, spaces[i].limit, raise_event, NULL), spaces[i].error);
	assert_int_equal(s390_page_init(&m.s390, &m.mem, UINT64_MAX & ~UINT64_C(4095), UINT64_MAX, raise_event, NULL), -VIRTIO_EFAULT);
	assert_int_equal(s390_page_init(&m.s390, &m.mem, TOP, SIZE, NULL, NULL), -VIRTIO_EINVAL);
	assert_int_equal(s390_page_init(&m.s390, NULL, TOP, SIZE, raise_event, NULL), -VIRTIO_EINVAL);
	assert_int_equal(s390_page_init(NULL, &m.mem, TOP, SIZE, raise_event, NULL), -VIRTIO_EINVAL);
	s390_page_restart(&m.s390);
	assert_int_equal(s390_page_call(&m.s390, S390_RESET, TOP), -VIRTIO_EINVAL);

	assert_int_equal(s390_page_init(&m.s390, &m.mem, TOP, SIZE, raise_event, NULL), 0);
	refuse_all_but(NULL, s390_add);
	m.toy.dev.num_queues = S390_MAX_QUEUES + 1;
	assert_int_equal(s390_add(&m.toy.dev, NULL), -VIRTIO_EINVAL);
	m.toy.dev.num_queues = S390_MAX_QUEUES;
	assert_int_equal(s390_page_add(NULL, &m.toy.dev, NULL), -VIRTIO_EINVAL);
	assert_int_equal(s390_add(&m.toy.dev, NULL), 0);
	assert_int_equal(s390_page_end(NULL), 0);
	assert_int_equal(s390_page_call(NULL, S390_RESET, TOP), -VIRTIO_EINVAL);
	assert_int_equal(s390_page_call(&m.s390, 3, TOP), -VIRTIO_EINVAL);
	assert_int_equal(s390_page_call(&m.s390, UINT64_MAX, TOP), -VIRTIO_EINVAL);
	assert_int_equal(s390_page_call(&m.s390, S390_RESET, TOP + 1), -VIRTIO_EINVAL);
	assert_int_equal(s390_page_call(&m.s390, S390_NOTIFY, TOP), -VIRTIO_EINVAL);
	s390_page_restart(NULL);
	assert_int_equal(s390_page_call(&m.s390, S390_RESET, TOP), 0);
}

/* --- pages, the guest's end ----------------------------------------------------------------------------------------- */

static void notify(void *opaque, uint64_t address)
{
}

static int64_t call_s390(void *opaque, uint64_t number, uint64_t argument)
{
	return 0;
}

static uint32_t call_dma(void *opaque, uint32_t number, uint32_t key, uint32_t address, uint32_t count_irq)
{
	return 1;
}

/* Where there is no page. */
static const struct {
	const struct virtio_platform *platform;
	uint64_t address;
	int error;
} pages[] = {
	{ NULL, TOP, -VIRTIO_EINVAL },
	{ &no_memory, TOP, -VIRTIO_EINVAL },
	{ &m.platform, TOP + 1, -VIRTIO_EINVAL },
	{ &m.platform, TOP + 2048, -VIRTIO_EINVAL },
	{ &m.platform, SIZE, -VIRTIO_EFAULT },
	{ &m.platform, NOWHERE, -VIRTIO_EFAULT },
	{ &m.platform, UINT64_MAX & ~UINT64_C(4095), -VIRTIO_EFAULT },
};

#define PAGES (sizeof(pages) / sizeof(pages[0]))

static void lguest_page_guest(void **state)
{
	static struct lguest_bus bus;
	struct lguest_device device;

	assert_false(lguest_bus_next(&bus, &device));
	for (unsigned int i = 0; i < PAGES; i++) {
		assert_int_equal(lguest_bus_init(&bus, pages[i].platform, pages[i].address, notify, NULL), pages[i].error);
		assert_false(lguest_bus_next(&bus, &device));
	}
	assert_int_equal(lguest_bus_init(NULL, &m.platform, TOP, notify, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_bus_init(&bus, &m.platform, TOP, NULL, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_page_init(&m.page, &m.mem, TOP, SIZE, raise_irq, NULL), 0);
	assert_int_equal(page_add(&m.toy.dev, NULL), 0);
	assert_int_equal(lguest_bus_init(&bus, &m.platform, TOP, notify, NULL), 0);
	assert_false(lguest_bus_next(NULL, &device));
	assert_false(lguest_bus_next(&bus, NULL));
	assert_true(lguest_bus_next(&bus, &device));
	assert_false(lguest_bus_next(&bus, &device));
	assert_false(lguest_bus_interrupt(NULL, 1));
	assert_false(lguest_bus_interrupt(&bus, 1));
	assert_false(lguest_bus_interrupt(&bus, LGUEST_MAX_IRQS));
	assert_false(lguest_bus_interrupt(&bus, UINT32_MAX));
}

static void lguest_tlv_guest(void **state)
{
	static struct lguest_tlv_bus bus;
	struct lguest_tlv_device device;

	assert_false(lguest_tlv_bus_next(&bus, &device));
	for (unsigned int i = 0; i < PAGES; i++) {
		assert_int_equal(lguest_tlv_bus_init(&bus, pages[i].platform, pages[i].address, notify, NULL), pages[i].error);
		assert_false(lguest_tlv_bus_next(&bus, &device));
	}
	assert_int_equal(lguest_tlv_bus_init(NULL, &m.platform, TOP, notify, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_tlv_bus_init(&bus, &m.platform, TOP, NULL, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_tlv_init(&m.tlv, &m.mem, TOP, SIZE, raise_irq, NULL), 0);
	assert_int_equal(tlv_add(&m.toy.dev, NULL), 0);
	assert_int_equal(lguest_tlv_bus_init(&bus, &m.platform, TOP, notify, NULL), 0);
	assert_false(lguest_tlv_bus_next(NULL, &device));
	assert_false(lguest_tlv_bus_next(&bus, NULL));
	assert_true(lguest_tlv_bus_next(&bus, &device));
	assert_false(lguest_tlv_bus_next(&bus, &device));
	assert_false(lguest_tlv_bus_interrupt(NULL, 1));
	assert_false(lguest_tlv_bus_interrupt(&bus, 1));
	assert_false(lguest_tlv_bus_interrupt(&bus, LGUEST_MAX_IRQS));
}

static void s390_guest(void **state)
{
	struct virtio_device *changed = &(struct virtio_device){ 0 };
	static struct s390_bus bus;
	struct s390_device device;

	assert_false(s390_bus_next(&bus, &device));
	for (unsigned int i = 0; i < PAGES; i++) {
		assert_int_equal(s390_bus_init(&bus, pages[i].platform, pages[i].address, call_s390, NULL), pages[i].error);
		assert_false(s390_bus_next(&bus, &device));
	}
	assert_int_equal(s390_bus_init(NULL, &m.platform, TOP, call_s390, NULL), -VIRTIO_EINVAL);
	assert_int_equal(s390_bus_init(&bus, &m.platform, TOP, NULL, NULL), -VIRTIO_EINVAL);
	assert_int_equal(s390_page_init(&m.s390, &m.mem, TOP, SIZE, raise_event, NULL), 0);
	assert_int_equal(s390_add(&m.toy.dev, NULL), 0);
	assert_int_equal(s390_bus_init(&bus, &m.platform, TOP, call_s390, NULL), 0);
	assert_false(s390_bus_next(NULL, &device));
	assert_false(s390_bus_next(&bus, NULL));
	assert_true(s390_bus_next(&bus, &device));
	assert_false(s390_bus_interrupt(NULL, S390_REASON_CONFIG, 2, &changed));
	assert_null(changed);
	assert_false(s390_bus_interrupt(&bus, S390_REASON_QUEUE, 0, NULL));
	assert_false(s390_bus_interrupt(&bus, S390_REASON_QUEUE, UINT64_MAX, &changed));
	assert_false(s390_bus_interrupt(&bus, UINT32_MAX, 2, &changed));
}

/* --- the bus before virtio ------------------------------------------------------------------------------------------ */

static void wake(void *opaque)
{
}

static const struct lguest_dma_ops dma_ops = { .raise = raise_irq, .wake = wake };

static int dma_init(void *private, const struct lguest_dma_ops *ops)
{
	return lguest_dma_init(&m.dma, &m.mem, TOP, SIZE, private, LGUEST_DMA_PRIVATE, ops, NULL);
}

static int dma_add(struct virtio_dev *dev, const char **reason)
{
	return lguest_dma_add(&m.dma, dev, reason);
}

static void lguest_dma_host(void **state)
{
	static const struct lguest_dma_ops no_raise = { .wake = wake }, no_wake = { .raise = raise_irq };
	struct toy console;
	const char *reason;

	toy_init(&console);
	console.dev.id = VIRTIO_ID_CONSOLE;
	assert_int_equal(dma_add(&console.dev, NULL), -VIRTIO_EINVAL);

	for (unsigned int i = 0; i < SPACES; i++)
		assert_int_equal(lguest_dma_init(&m.dma, &m.mem, spaces[i].top, spaces[i].limit, m.private, LGUEST_DMA_PRIVATE, &dma_ops, NULL),
				 spaces[i].error);
	assert_int_equal(lguest_dma_init(&m.dma, &m.mem, TOP, BEYOND_4G, m.private, 4096, &dma_ops, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_dma_init(&m.dma, NULL, TOP, SIZE, m.private, 4096, &dma_ops, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_dma_init(NULL, &m.mem, TOP, SIZE, m.private, 4096, &dma_ops, NULL), -VIRTIO_EINVAL);
	assert_int_equal(dma_init(NULL, &dma_ops), -VIRTIO_EINVAL);
	assert_int_equal(dma_init(m.private + 16, &dma_ops), -VIRTIO_EINVAL);
	assert_int_equal(dma_init(m.private, NULL), -VIRTIO_EINVAL);
	assert_int_equal(dma_init(m.private, &no_raise), -VIRTIO_EINVAL);
	assert_int_equal(dma_init(m.private, &no_wake), -VIRTIO_EINVAL);

	assert_int_equal(dma_init(m.private, &dma_ops), 0);
	refuse_all_but(NULL, dma_add);
	assert_int_equal(dma_add(&m.toy.dev, &reason), -VIRTIO_EINVAL);
	assert_non_null(strstr(reason, "network cards only"));
	assert_int_equal(lguest_dma_add(NULL, &console.dev, NULL), -VIRTIO_EINVAL);
	assert_int_equal(dma_add(&console.dev, NULL), 0);
	assert_int_equal(dma_add(&console.dev, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_dma_end(NULL), 0);
	assert_int_equal(lguest_dma_bind(NULL, 0, 0, 1 << 8 | 1), -VIRTIO_EINVAL);
	assert_int_equal(lguest_dma_bind(&m.dma, 2, 0, 1 << 8 | 1), -VIRTIO_EFAULT);
	assert_int_equal(lguest_dma_bind(&m.dma, 0, SIZE, 1 << 8 | 1), -VIRTIO_EFAULT);
	assert_int_equal(lguest_dma_bind(&m.dma, 0, 0, 1 << 8 | LGUEST_MAX_IRQS), 0);
	assert_int_equal(lguest_dma_bind(&m.dma, 0, 0, UINT32_MAX), 0);
	assert_int_equal(lguest_dma_bind(&m.dma, 0, 0, 0), 0);
	assert_int_equal(lguest_dma_send(NULL, 0, 0), -VIRTIO_EINVAL);
	assert_int_equal(lguest_dma_send(&m.dma, 0, SIZE - 4), -VIRTIO_EFAULT);
	assert_int_equal(lguest_dma_send(&m.dma, 0, UINT32_MAX), -VIRTIO_EFAULT);
	lguest_dma_poll(NULL);
	assert_int_equal(lguest_dma_restart(NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_dma_send(&m.dma, 0, 0), 0);
	assert_int_equal(lguest_dma_restart(&m.dma), 0);
}

static void lguest_dma_guest(void **state)
{
	static struct lguest_dma_guest bus;
	struct lguest_dma_device device;

	assert_false(lguest_dma_guest_next(&bus, &device));
	for (unsigned int i = 0; i < PAGES; i++) {
		assert_int_equal(lguest_dma_guest_init(&bus, pages[i].platform, pages[i].address, 1, call_dma, NULL), pages[i].error);
		assert_false(lguest_dma_guest_next(&bus, &device));
	}
	assert_int_equal(lguest_dma_guest_init(NULL, &m.platform, TOP, 1, call_dma, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_dma_guest_init(&bus, &m.platform, TOP, 1, NULL, NULL), -VIRTIO_EINVAL);
	assert_int_equal(dma_init(m.private, &dma_ops), 0);
	m.toy.dev.id = VIRTIO_ID_CONSOLE;
	assert_int_equal(dma_add(&m.toy.dev, NULL), 0);
	assert_int_equal(lguest_dma_guest_init(&bus, &m.platform, TOP, 1, call_dma, NULL), 0);
	assert_false(lguest_dma_guest_next(NULL, &device));
	assert_false(lguest_dma_guest_next(&bus, NULL));
	assert_true(lguest_dma_guest_next(&bus, &device));
	assert_false(lguest_dma_guest_next(&bus, &device));
	assert_false(lguest_dma_guest_interrupt(NULL, 1));
	assert_false(lguest_dma_guest_interrupt(&bus, 0));
	assert_false(lguest_dma_guest_interrupt(&bus, 1));
	assert_false(lguest_dma_guest_interrupt(&bus, DMA_SLOTS + 1));
}

/* --- MMIO ----------------------------------------------------------------------------------------------------------- */

static void irq(void *opaque, bool level)
{
}

static int mmio_add(struct virtio_dev *dev, const char **reason)
{
	return virtio_mmio_init(&m.mmio, dev, VIRTIO_MMIO_MODERN, false, &m.mem, irq, NULL, reason);
}

static const unsigned int no_widths[] = { 0, 3, 5, 8, 16, UINT32_MAX };

#define NO_WIDTHS (sizeof(no_widths) / sizeof(no_widths[0]))

static void mmio_host(void **state)
{
	static const uint32_t versions[] = { 0, 3, UINT32_MAX };
	const char *reason;

	refuse_all_but(NULL, mmio_add);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(virtio_mmio_init(&m.mmio, &m.toy.dev, versions[i], false, &m.mem, irq, NULL, &reason), -VIRTIO_EINVAL);
	assert_int_equal(virtio_mmio_init(NULL, &m.toy.dev, VIRTIO_MMIO_MODERN, false, &m.mem, irq, NULL, &reason), -VIRTIO_EINVAL);
	assert_non_null(reason);
	assert_int_equal(virtio_mmio_init(&m.mmio, &m.toy.dev, VIRTIO_MMIO_MODERN, false, NULL, irq, NULL, NULL), -VIRTIO_EINVAL);
	assert_int_equal(virtio_mmio_init(&m.mmio, &m.toy.dev, VIRTIO_MMIO_MODERN, false, &m.mem, NULL, NULL, NULL), -VIRTIO_EINVAL);
	m.toy.dev.offered &= ~VIRTIO_F_VERSION_1;
	assert_int_equal(mmio_add(&m.toy.dev, NULL), -VIRTIO_EINVAL);
	m.toy.dev.offered |= VIRTIO_F_VERSION_1;
	assert_int_equal(mmio_add(&m.toy.dev, NULL), 0);
	for (unsigned int i = 0; i < NO_WIDTHS; i++) {
		assert_int_equal(virtio_mmio_read(&m.mmio, VIRTIO_MMIO_CONFIG, no_widths[i]), 0);
		assert_int_equal(virtio_mmio_read(&m.mmio, VIRTIO_MMIO_MAGIC, no_widths[i]), 0);
		virtio_mmio_write(&m.mmio, VIRTIO_MMIO_CONFIG, no_widths[i], 1);
		virtio_mmio_write(&m.mmio, VIRTIO_MMIO_STATUS, no_widths[i], VIRTIO_STATUS_ACKNOWLEDGE);
	}
	assert_int_equal(virtio_mmio_read(&m.mmio, VIRTIO_MMIO_STATUS, 4), 0);
	assert_int_equal(virtio_mmio_read(&m.mmio, UINT32_MAX, 4), 0);
	assert_int_equal(virtio_mmio_read(&m.mmio, VIRTIO_MMIO_CONFIG + 7, 4), 0x5a);
	virtio_mmio_write(&m.mmio, UINT32_MAX, 4, 1);
	assert_int_equal(virtio_mmio_read(NULL, VIRTIO_MMIO_MAGIC, 4), 0);
	virtio_mmio_write(NULL, VIRTIO_MMIO_STATUS, 4, 1);
	virtio_mmio_restart(NULL);
	assert_int_equal(virtio_mmio_read(&m.mmio, VIRTIO_MMIO_MAGIC, 4), VIRTIO_MMIO_MAGIC_VALUE);
}

static uint32_t mmio_in(void *opaque, uint64_t address, unsigned int size)
{
	return virtio_mmio_read(&m.mmio, (uint32_t)address, size);
}

static void mmio_out(void *opaque, uint64_t address, unsigned int size, uint32_t value)
{
	virtio_mmio_write(&m.mmio, (uint32_t)address, size, value);
}

static void mmio_guest(void **state)
{
	static const struct virtio_mmio_access access = { .read = mmio_in, .write = mmio_out };
	static const struct virtio_mmio_access no_read = { .write = mmio_out }, no_write = { .read = mmio_in };
	static const struct {
		const struct virtio_platform *platform;
		const struct virtio_mmio_access *access;
		uint64_t address;
		uint32_t size;
		int error;
	} probes[] = {
		{ NULL, &access, 0, VIRTIO_MMIO_WINDOW, -VIRTIO_EINVAL },
		{ &no_memory, &access, 0, VIRTIO_MMIO_WINDOW, -VIRTIO_EINVAL },
		{ &m.platform, NULL, 0, VIRTIO_MMIO_WINDOW, -VIRTIO_EINVAL },
		{ &m.platform, &no_read, 0, VIRTIO_MMIO_WINDOW, -VIRTIO_EINVAL },
		{ &m.platform, &no_write, 0, VIRTIO_MMIO_WINDOW, -VIRTIO_EINVAL },
		{ &m.platform, &access, 2, VIRTIO_MMIO_WINDOW, -VIRTIO_EINVAL },
		{ &m.platform, &access, 0, VIRTIO_MMIO_CONFIG - 1, -VIRTIO_ENODEV },
		{ &m.platform, &access, 0, 0, -VIRTIO_ENODEV },
		{ &m.platform, &access, 0x400, VIRTIO_MMIO_WINDOW, -VIRTIO_ENODEV },
		{ &m.platform, &access, 0, VIRTIO_MMIO_WINDOW, 0 },
	};
	static struct virtio_mmio_device device;
	struct virtio_queue *vq;
	bool config = true;

	assert_int_equal(mmio_add(&m.toy.dev, NULL), 0);
	for (unsigned int i = 0; i < sizeof(probes) / sizeof(probes[0]); i++)
		assert_int_equal(virtio_mmio_probe(&device, probes[i].platform, probes[i].access, probes[i].address, probes[i].size, false),
				 probes[i].error);
	assert_int_equal(virtio_mmio_probe(NULL, &m.platform, &access, 0, VIRTIO_MMIO_WINDOW, false), -VIRTIO_EINVAL);
	assert_false(virtio_mmio_device_interrupt(NULL, &config));
	assert_false(config);
	assert_false(virtio_mmio_device_interrupt(&device, NULL));
	/* A platform that gives no memory. */
	assert_int_equal(virtio_device_setup(&device.vdev, 0), 0);
	assert_int_equal(virtio_device_queue(&device.vdev, 0, NULL, NULL, &vq), -VIRTIO_ENOMEM);
	assert_int_equal(virtio_device_queue(&device.vdev, 2, NULL, NULL, &vq), -VIRTIO_ENOENT);
	virtio_device_remove(&device.vdev);
}

/* --- PCI ------------------------------------------------------------------------------------------------------------ */

static int pci_add(struct virtio_dev *dev, const char **reason)
{
	return virtio_pci_init(&m.pci, dev, VIRTIO_PCI_MODERN, &m.mem, reason);
}

static void send_message(void *opaque, uint64_t address, uint32_t data)
{
}

static void pci_host(void **state)
{
	static struct virtio_pci empty;
	const char *reason;

	refuse_all_but(NULL, pci_add);
	m.toy.dev.config_len = 233;
	assert_int_equal(pci_add(&m.toy.dev, NULL), -VIRTIO_EINVAL);
	m.toy.dev.config_len = 232;
	assert_int_equal(virtio_pci_init(NULL, &m.toy.dev, VIRTIO_PCI_MODERN, &m.mem, &reason), -VIRTIO_EINVAL);
	assert_non_null(reason);
	assert_int_equal(virtio_pci_init(&m.pci, &m.toy.dev, VIRTIO_PCI_MODERN, NULL, NULL), -VIRTIO_EINVAL);
	assert_int_equal(virtio_pci_init(&m.pci, &m.toy.dev, (enum virtio_pci_kind)7, &m.mem, NULL), -VIRTIO_EINVAL);
	m.toy.dev.offered &= ~VIRTIO_F_VERSION_1;
	assert_int_equal(pci_add(&m.toy.dev, NULL), -VIRTIO_EINVAL);
	m.toy.dev.offered |= VIRTIO_F_VERSION_1;
	assert_int_equal(pci_add(&m.toy.dev, NULL), 0);
	assert_int_equal(virtio_pci_add_msix(NULL, send_message, NULL), -VIRTIO_EINVAL);
	assert_int_equal(virtio_pci_add_msix(&m.pci, NULL, NULL), -VIRTIO_EINVAL);
	assert_int_equal(virtio_pci_add_msix(&empty, send_message, NULL), -VIRTIO_EINVAL);
	assert_int_equal(virtio_pci_add_msix(&m.pci, send_message, NULL), 0);
	assert_int_equal(virtio_pci_add_msix(&m.pci, send_message, NULL), -VIRTIO_EINVAL);
}

static void function(void **state)
{
	static const struct pci_function_ops ops;
	struct pci_function fn;
	uint8_t cap[PCI_CONFIG_SIZE] = { 0 };

	assert_int_equal(pci_function_init(NULL, &ops, 1, 2), -VIRTIO_EINVAL);
	assert_int_equal(pci_function_init(&fn, NULL, 1, 2), -VIRTIO_EINVAL);
	assert_int_equal(pci_function_init(&fn, &ops, 1, 2), 0);
	assert_int_equal(pci_function_add_bar(NULL, 0, 4), -VIRTIO_EINVAL);
	assert_int_equal(pci_function_add_bar(&fn, PCI_BARS, 4), -VIRTIO_EINVAL);
	assert_int_equal(pci_function_add_bar(&fn, 0, 0), -VIRTIO_EINVAL);
	assert_int_equal(pci_function_add_bar(&fn, 0, 257), -VIRTIO_EINVAL);
	assert_int_equal(pci_function_add_bar(&fn, 0, 5), 0);
	assert_int_equal(fn.bar_size[0], 8);
	assert_int_equal(pci_function_add_memory_bar(NULL, 1, 4096), -VIRTIO_EINVAL);
	assert_int_equal(pci_function_add_memory_bar(&fn, PCI_BARS, 4096), -VIRTIO_EINVAL);
	assert_int_equal(pci_function_add_memory_bar(&fn, 1, 0), -VIRTIO_EINVAL);
	assert_int_equal(pci_function_add_memory_bar(&fn, 1, 8), -VIRTIO_EINVAL);
	assert_int_equal(pci_function_add_memory_bar(&fn, 1, 24), -VIRTIO_EINVAL);
	assert_int_equal(pci_function_add_capability(NULL, 9, cap, 2), -VIRTIO_EINVAL);
	assert_int_equal(pci_function_add_capability(&fn, 9, NULL, 2), -VIRTIO_EINVAL);
	assert_int_equal(pci_function_add_capability(&fn, 9, cap, 1), -VIRTIO_EINVAL);
	assert_int_equal(pci_function_add_capability(&fn, 9, cap, 193), -VIRTIO_ENOSPC);
	assert_int_equal(pci_function_add_capability(&fn, 9, cap, UINT32_MAX), -VIRTIO_ENOSPC);
	assert_int_equal(pci_function_add_capability(&fn, 9, cap, 192), 0x40);
	assert_int_equal(pci_function_add_capability(&fn, 9, cap, 2), -VIRTIO_ENOSPC);
	pci_function_seal(NULL);
	pci_function_seal(&fn);
	pci_function_restart(NULL);
	pci_function_restart(&fn);
	pci_function_interrupt(NULL, true);
	assert_int_equal(pci_function_port(NULL, 0), -1);
	assert_int_equal(pci_function_port(&fn, PCI_BARS), -1);
	assert_int_equal(pci_function_port(&fn, UINT32_MAX), -1);
	assert_int_equal(pci_function_memory(NULL, 0), -1);
	assert_int_equal(pci_function_memory(&fn, PCI_BARS), -1);
	assert_int_equal(pci_function_memory(&fn, 32), -1);
}

/* Accesses that no bus makes. */
static void function_accesses(void **state)
{
	static const unsigned int ends[] = { PCI_CONFIG_SIZE, UINT32_MAX };
	struct pci_function *fn = &m.pci.pci;

	assert_int_equal(pci_add(&m.toy.dev, NULL), 0);
	for (unsigned int i = 0; i < NO_WIDTHS; i++) {
		unsigned int size = no_widths[i];

		assert_int_equal(pci_config_read(fn, 0, size), ~0u);
		pci_config_write(fn, PCI_INTERRUPT_LINE, size, 5);
		assert_int_equal(pci_bar_read(fn, VIRTIO_PCI_BAR_MODERN, 0, size), size == 3 ? 0xffffff : ~0u);
		pci_bar_write(fn, VIRTIO_PCI_BAR_MODERN, VIRTIO_PCI_STATUS, size, VIRTIO_STATUS_ACKNOWLEDGE);
	}
	for (unsigned int i = 0; i < 2; i++) {
		pci_function_set8(fn, ends[i], 1);
		pci_function_set16(fn, ends[i] - 1, 1);
		pci_function_set32(fn, ends[i] - 3, 1);
		assert_int_equal(pci_function_get16(fn, ends[i] - 1), 0);
		assert_int_equal(pci_function_get32(fn, ends[i] - 3), 0);
		assert_int_equal(pci_config_read(fn, ends[i], 1), ~0u);
		assert_int_equal(pci_config_read(fn, ends[i] - 3, 4), ~0u);
		pci_config_write(fn, ends[i] - 1, 2, 1);
		assert_int_equal(pci_bar_read(fn, VIRTIO_PCI_BAR_MODERN, ends[i], 1), 0xff);
		assert_int_equal(pci_bar_read(fn, ends[i], 0, 4), ~0u);
		pci_bar_write(fn, ends[i], 0, 4, 1);
	}
	assert_int_equal(fn->config[PCI_INTERRUPT_LINE], 0);
	assert_int_equal(m.toy.dev.status, 0);
	pci_function_set8(NULL, 0, 1);
	pci_function_set16(NULL, 0, 1);
	pci_function_set32(NULL, 0, 1);
	assert_int_equal(pci_function_get16(NULL, 0), 0);
	assert_int_equal(pci_function_get32(NULL, 0), 0);
	assert_int_equal(pci_config_read(NULL, 0, 4), ~0u);
	pci_config_write(NULL, 0, 4, 1);
	assert_int_equal(pci_bar_read(NULL, 1, 0, 4), ~0u);
	pci_bar_write(NULL, 1, 0, 4, 1);
	assert_int_equal(pci_bar_read(fn, VIRTIO_PCI_BAR_MODERN, VIRTIO_PCI_NUM_QUEUES, 2), 2);
}

static unsigned int port_accesses;

static uint32_t port_in(void *opaque, uint16_t port, unsigned int size)
{
	port_accesses++;
	return ~0u;
}

static void port_out(void *opaque, uint16_t port, unsigned int size, uint32_t value)
{
	port_accesses++;
}

static void message_write(void *opaque, uint64_t address, uint32_t value)
{
}

static void pci_guest(void **state)
{
	static const struct virtio_pci_ports ports = { .in = port_in, .out = port_out };
	static const struct virtio_pci_ports no_in = { .out = port_out }, no_out = { .in = port_in };
	const struct virtio_pci_messages messages = { .write = message_write }, no_write = { .address = 4096 };
	const struct virtio_pci_messages misaligned = { .write = message_write, .address = 4098 };
	static struct virtio_pci_bus bus;
	struct virtio_pci_device device = { 0 }, used = { .bus = &bus, .vectors = 2 };
	bool config = true;

	assert_false(virtio_pci_bus_next(&bus, &device));
	assert_int_equal(virtio_pci_config_in(&bus, 0, 0, 4), ~0u);
	assert_int_equal(virtio_pci_bus_init(NULL, &m.platform, &ports), -VIRTIO_EINVAL);
	assert_int_equal(virtio_pci_bus_init(&bus, NULL, &ports), -VIRTIO_EINVAL);
	assert_int_equal(virtio_pci_bus_init(&bus, &no_memory, &ports), -VIRTIO_EINVAL);
	assert_int_equal(virtio_pci_bus_init(&bus, &m.platform, NULL), -VIRTIO_EINVAL);
	assert_int_equal(virtio_pci_bus_init(&bus, &m.platform, &no_in), -VIRTIO_EINVAL);
	assert_int_equal(virtio_pci_bus_init(&bus, &m.platform, &no_out), -VIRTIO_EINVAL);
	assert_int_equal(virtio_pci_bus_init(&bus, &m.platform, &ports), 0);
	assert_false(virtio_pci_bus_next(NULL, &device));
	assert_false(virtio_pci_bus_next(&bus, NULL));
	assert_int_equal(bus.next, 0);
	assert_false(virtio_pci_bus_next(&bus, &device));
	assert_false(virtio_pci_device_interrupt(NULL, &config));
	assert_false(config);
	assert_int_equal(virtio_pci_device_messages(NULL, &messages), -VIRTIO_EINVAL);
	assert_int_equal(virtio_pci_device_messages(&(struct virtio_pci_device){ 0 }, &messages), -VIRTIO_EINVAL);
	assert_int_equal(virtio_pci_device_messages(&device, NULL), -VIRTIO_EINVAL);
	assert_int_equal(virtio_pci_device_messages(&device, &no_write), -VIRTIO_EINVAL);
	assert_int_equal(virtio_pci_device_messages(&device, &misaligned), -VIRTIO_EINVAL);
	assert_int_equal(virtio_pci_device_messages(&used, &messages), -VIRTIO_EBUSY);
	assert_false(virtio_pci_device_message(NULL, 1));
	assert_false(virtio_pci_device_message(&device, 0));
	assert_false(virtio_pci_device_message(&device, 1));
	assert_false(virtio_pci_device_message(&device, VIRTIO_DRIVER_QUEUES + 1));
	port_accesses = 0;
	for (unsigned int i = 0; i < NO_WIDTHS; i++) {
		assert_int_equal(virtio_pci_config_in(&bus, 0, 0, no_widths[i]), ~0u);
		virtio_pci_config_out(&bus, 0, 0, no_widths[i], 1);
	}
	assert_int_equal(virtio_pci_config_in(&bus, PCI_SLOTS, 0, 4), ~0u);
	assert_int_equal(virtio_pci_config_in(&bus, 0, PCI_CONFIG_SIZE, 4), ~0u);
	assert_int_equal(virtio_pci_config_in(&bus, 0, 2, 4), ~0u);
	assert_int_equal(virtio_pci_config_in(NULL, 0, 0, 4), ~0u);
	virtio_pci_config_out(NULL, 0, 0, 4, 1);
	assert_int_equal(port_accesses, 0);
}

/* --- no bus --------------------------------------------------------------------------------------------------------- */

static struct virtio_direct joined;

static int direct_add(struct virtio_dev *dev, const char **reason)
{
	if (reason)
		*reason = "no reasons here";
	return virtio_direct_init(&joined, dev, &m.platform, false);
}

static void direct(void **state)
{
	bool config = true;

	refuse_all_but(big_id, direct_add);
	m.toy.dev.num_queues = VIRTIO_DRIVER_QUEUES + 1;
	assert_int_equal(direct_add(&m.toy.dev, NULL), -VIRTIO_EINVAL);
	m.toy.dev.num_queues = 2;
	assert_int_equal(virtio_direct_init(NULL, &m.toy.dev, &m.platform, false), -VIRTIO_EINVAL);
	assert_int_equal(virtio_direct_init(&joined, &m.toy.dev, NULL, false), -VIRTIO_EINVAL);
	assert_int_equal(virtio_direct_init(&joined, &m.toy.dev, &no_memory, false), -VIRTIO_EINVAL);
	assert_int_equal(virtio_direct_init(&joined, NULL, &m.platform, false), -VIRTIO_EINVAL);
	assert_false(virtio_direct_deliver(NULL, &config));
	assert_false(config);
	assert_int_equal(direct_add(&m.toy.dev, NULL), 0);
	assert_false(virtio_direct_deliver(&joined, NULL));
}

/* --- the bed, and drivers on each of its buses ---------------------------------------------------------------------- */

static void bed(void **state)
{
	struct virtio_fake_options options = { .bus = VIRTIO_FAKE_MMIO, .memory = 65536 };
	const struct virtio_dev *dev = &m.toy.dev;
	struct virtio_device *vdev;
	struct virtio_fake *fake;
	uint8_t *piece, *small;

	assert_int_equal(virtio_fake_add(NULL, &m.toy.dev), -VIRTIO_EINVAL);
	assert_int_equal(virtio_fake_find(NULL, 0, &vdev), -VIRTIO_EINVAL);
	assert_int_equal(virtio_fake_deliver(NULL), 0);
	assert_null(virtio_fake_alloc(NULL, 16, 16));
	virtio_fake_free(NULL, &vdev, 16);
	assert_null(virtio_fake_mem(NULL));
	assert_null(virtio_fake_broken(NULL, &dev));
	assert_null(dev);
	assert_string_equal(virtio_fake_name((enum virtio_fake_bus)-1), "?");

	assert_int_equal(virtio_fake_create(&options, &fake), 0);
	assert_int_equal(virtio_fake_find(fake, 0, NULL), -VIRTIO_EINVAL);
	assert_null(virtio_fake_alloc(fake, 16, 0));
	assert_null(virtio_fake_alloc(fake, 16, 24));
	assert_null(virtio_fake_alloc(fake, 16, SIZE_MAX / 2 + 1));
	/* What is freed twice, or was never given out, is not given out twice. */
	piece = virtio_fake_alloc(fake, 64, 16);
	virtio_fake_free(fake, piece, 64);
	virtio_fake_free(fake, piece, 64);
	virtio_fake_free(fake, &vdev, sizeof(vdev));
	virtio_fake_free(fake, piece + 1, 16);
	virtio_fake_free(fake, NULL, 64);
	virtio_fake_free(fake, piece, SIZE_MAX);
	assert_non_null(virtio_fake_alloc(fake, 128, 16));
	assert_ptr_equal(virtio_fake_alloc(fake, 64, 16), piece);
	assert_ptr_not_equal(virtio_fake_alloc(fake, 64, 16), piece);
	/* A piece that is too small to be remembered. */
	small = virtio_fake_alloc(fake, 8, 8);
	assert_ptr_equal(virtio_fake_alloc(fake, 8, 8), small + 8);
	virtio_fake_free(fake, small, 8);
	assert_true(virtio_is_zero(small + 8, 8));
	assert_int_equal(virtio_fake_add(fake, &m.toy.dev), 0);
	assert_int_equal(virtio_fake_add(fake, &m.toy.dev), -VIRTIO_EINVAL);
	virtio_fake_destroy(fake);
}

static bool bed_has(const struct virtio_fake_options *options, struct virtio_fake **fake)
{
	return !virtio_fake_create(options, fake) && !virtio_fake_add(*fake, &m.toy.dev);
}

/* Through <virtio/driver.h>, as every driver does it: queues that are not there, found twice, removed twice; offsets, lengths. */
static void drivers(void **state)
{
	for (unsigned int bus = 0; bus < VIRTIO_FAKE_BUSES; bus++) {
		struct virtio_fake_options options = { .bus = (enum virtio_fake_bus)bus, .big_endian = bus == VIRTIO_FAKE_S390_PAGE };
		struct virtio_device *vdev;
		struct virtio_queue *vq;
		struct virtio_fake *fake;
		uint32_t word;
		uint64_t wide;

		toy_init(&m.toy);
		m.toy.dev.id = VIRTIO_ID_CONSOLE;
		assert_true(bed_has(&options, &fake));
		assert_int_equal(virtio_fake_find(fake, 1, &vdev), -VIRTIO_ENOENT);
		assert_int_equal(virtio_fake_find(fake, UINT32_MAX, &vdev), -VIRTIO_ENOENT);
		assert_int_equal(virtio_fake_find(fake, 0, &vdev), 0);
		assert_int_equal(virtio_device_setup(vdev, ~UINT64_C(0)), 0);
		assert_int_equal(vdev->features & ~m.toy.dev.offered, 0);
		assert_int_equal(virtio_device_queue(vdev, 2, NULL, NULL, &vq), -VIRTIO_ENOENT);
		assert_int_equal(virtio_device_queue(vdev, UINT32_MAX, NULL, NULL, &vq), -VIRTIO_ENOENT);
		assert_int_equal(virtio_device_queue(vdev, 0, NULL, NULL, &vq), 0);
		assert_int_equal(virtio_device_queue(vdev, 0, NULL, NULL, &vq), -VIRTIO_EBUSY);
		assert_int_equal(virtio_config_get32(vdev, SIZE_MAX, &word), -VIRTIO_ERANGE);
		assert_int_equal(virtio_config_get32(vdev, SIZE_MAX - 3, &word), -VIRTIO_ERANGE);
		assert_int_equal(virtio_config_get64(vdev, 4096, &wide), -VIRTIO_ERANGE);
		assert_int_equal(virtio_config_get32(vdev, 0, NULL), -VIRTIO_EINVAL);
		virtio_device_remove(vdev);
		virtio_device_remove(vdev);
		virtio_fake_destroy(fake);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lguest_page_host, setup, teardown),
		cmocka_unit_test_setup_teardown(lguest_tlv_host, setup, teardown),
		cmocka_unit_test_setup_teardown(s390_host, setup, teardown),
		cmocka_unit_test_setup_teardown(lguest_dma_host, setup, teardown),
		cmocka_unit_test_setup_teardown(mmio_host, setup, teardown),
		cmocka_unit_test_setup_teardown(pci_host, setup, teardown),
		cmocka_unit_test_setup_teardown(lguest_page_guest, setup, teardown),
		cmocka_unit_test_setup_teardown(lguest_tlv_guest, setup, teardown),
		cmocka_unit_test_setup_teardown(s390_guest, setup, teardown),
		cmocka_unit_test_setup_teardown(lguest_dma_guest, setup, teardown),
		cmocka_unit_test_setup_teardown(mmio_guest, setup, teardown),
		cmocka_unit_test_setup_teardown(pci_guest, setup, teardown),
		cmocka_unit_test_setup_teardown(function, setup, teardown),
		cmocka_unit_test_setup_teardown(function_accesses, setup, teardown),
		cmocka_unit_test_setup_teardown(direct, setup, teardown),
		cmocka_unit_test_setup_teardown(bed, setup, teardown),
		cmocka_unit_test_setup_teardown(drivers, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
