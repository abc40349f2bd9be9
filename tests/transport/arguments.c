/* SPDX-License-Identifier: MIT */
/* Devices, machines and places that are wrong, and how each bus answers to them: see arguments.h. */
#include <tests/transport/arguments.h>

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

void toy_init(struct toy *t)
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

void big_id(struct toy *t)
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

void refuse_all_but(void (*but)(struct toy *t), int (*add)(struct virtio_dev *dev, const char **reason))
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

struct arguments_machine m;

const struct virtio_platform no_memory = { .mem = NULL };

int setup(void **state)
{
	memset(&m, 0, sizeof(m));
	m.memory = aligned_alloc(4096, SIZE);
	memset(m.memory, 0, SIZE);
	m.mem = (struct virtio_mem){ .base = m.memory, .size = SIZE };
	m.platform = (struct virtio_platform){ .mem = &m.mem };
	toy_init(&m.toy);
	return 0;
}

int teardown(void **state)
{
	free(m.memory);
	return 0;
}

/* --- where nothing can be -------------------------------------------------------------------------------------------- */

void raise_irq(void *opaque, unsigned int irq)
{
}

const struct space spaces[] = {
	{ TOP + 1, SIZE, -VIRTIO_EINVAL },
	{ TOP + 512, SIZE, -VIRTIO_EINVAL },
	{ TOP, TOP, -VIRTIO_EINVAL },
	{ SIZE, TOP, -VIRTIO_EINVAL },
	{ TOP, TOP + 4095, -VIRTIO_EFAULT },
	{ TOP, SIZE + 1, -VIRTIO_EFAULT },
	{ SIZE, SIZE + 4096, -VIRTIO_EFAULT },
	{ UINT32_MAX & ~4095u, UINT32_MAX, -VIRTIO_EFAULT },
};

const unsigned int num_spaces = sizeof(spaces) / sizeof(spaces[0]);

const struct page pages[] = {
	{ NULL, TOP, -VIRTIO_EINVAL },
	{ &no_memory, TOP, -VIRTIO_EINVAL },
	{ &m.platform, TOP + 1, -VIRTIO_EINVAL },
	{ &m.platform, TOP + 2048, -VIRTIO_EINVAL },
	{ &m.platform, SIZE, -VIRTIO_EFAULT },
	{ &m.platform, NOWHERE, -VIRTIO_EFAULT },
	{ &m.platform, UINT64_MAX & ~UINT64_C(4095), -VIRTIO_EFAULT },
};

const unsigned int num_pages = sizeof(pages) / sizeof(pages[0]);

const unsigned int no_widths[] = { 0, 3, 5, 8, 16, UINT32_MAX };

const unsigned int num_widths = sizeof(no_widths) / sizeof(no_widths[0]);
