/* SPDX-License-Identifier: MIT */
/*
 * virtio-mmio-host.c - the host's end of virtio over MMIO (virtio 1.2, 4.2): where the registers are. What they do is in
 * registers.c.
 */
#include <transport/mmio/virtio-mmio-host.h>

#define VENDOR 0x4b4e4c00u		/* ours; drivers do not look at it */

/* --- what devices tell the guest ------------------------------------------------------------------------------------ */

/* 4.2.2.1-2: the line is high while there is a reason that the driver has not acknowledged. */
static void settle(struct virtio_mmio *vm)
{
	bool level = vm->regs.isr;

	if (level == vm->asserted)
		return;
	vm->asserted = level;
	vm->irq(vm->opaque, level);
}

static void mmio_interrupt(struct virtio_dev *dev, unsigned int queue)
{
	struct virtio_mmio *vm = dev->transport_data;

	vm->regs.isr |= VIRTIO_ISR_QUEUE;
	settle(vm);
}

static void mmio_config_changed(struct virtio_dev *dev)
{
	struct virtio_mmio *vm = dev->transport_data;

	virtio_regs_config_changed(&vm->regs);
	if (dev->status & VIRTIO_STATUS_DRIVER_OK)
		vm->regs.isr |= VIRTIO_ISR_CONFIG;
	settle(vm);
}

static void mmio_broken(struct virtio_dev *dev)
{
	struct virtio_mmio *vm = dev->transport_data;

	if (vm->complain)
		vm->complain(vm->opaque, dev, dev->broken);
}

static const struct virtio_transport_ops mmio_transport = {
	.interrupt = mmio_interrupt,
	.config_changed = mmio_config_changed,
	.broken = mmio_broken,
};

/* --- registers ------------------------------------------------------------------------------------------------------ */

static bool modern(const struct virtio_mmio *vm)
{
	return vm->version == VIRTIO_MMIO_MODERN;
}

/* 6.3: an older driver is offered no bit that it has no register for. */
static uint64_t offered(const struct virtio_mmio *vm)
{
	return modern(vm) ? vm->regs.dev->offered : (uint32_t)vm->regs.dev->offered;
}

static uint32_t queue_read(struct virtio_mmio *vm, uint32_t offset)
{
	const struct virtio_regs_queue *q = virtio_regs_selected(&vm->regs);

	if (!q)
		return 0;
	if (offset == VIRTIO_MMIO_QUEUE_NUM_MAX)
		return vm->regs.dev->queues[vm->regs.queue_select].num_max;
	if (offset == VIRTIO_MMIO_QUEUE_PFN)
		return modern(vm) ? 0 : q->pfn;
	return modern(vm) && q->enabled;
}

static uint32_t register_read(struct virtio_mmio *vm, uint32_t offset)
{
	switch (offset) {
	/* 4.2.2.1-1: magic and version say what this is. */
	case VIRTIO_MMIO_MAGIC:
		return VIRTIO_MMIO_MAGIC_VALUE;
	case VIRTIO_MMIO_VERSION:
		return vm->version;
	case VIRTIO_MMIO_DEVICE_ID:
		return vm->regs.dev->id;
	case VIRTIO_MMIO_VENDOR_ID:
		return VENDOR;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return virtio_regs_half(offered(vm), vm->regs.device_feature_select);
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
	case VIRTIO_MMIO_QUEUE_PFN:
	case VIRTIO_MMIO_QUEUE_READY:
		return queue_read(vm, offset);
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		return vm->regs.isr;
	case VIRTIO_MMIO_STATUS:
		return vm->regs.dev->status;
	case VIRTIO_MMIO_SHM_LEN_LOW:
	case VIRTIO_MMIO_SHM_LEN_HIGH:
	case VIRTIO_MMIO_SHM_BASE_LOW:
	case VIRTIO_MMIO_SHM_BASE_HIGH:
		/* A region that does not exist has this length and this place. */
		return modern(vm) ? ~0u : 0;
	case VIRTIO_MMIO_GENERATION:
		return modern(vm) ? virtio_regs_generation(&vm->regs) : 0;
	default:
		return 0;
	}
}

uint32_t virtio_mmio_read(struct virtio_mmio *vm, uint32_t offset, unsigned int size)
{
	if (!vm || !virtio_regs_width(size))
		return 0;
	if (offset >= VIRTIO_MMIO_CONFIG)
		return virtio_regs_config_read(&vm->regs, offset - VIRTIO_MMIO_CONFIG, size);
	/* 4.2.2.2-2: a driver accesses registers as aligned words of 32 bits. */
	return size == 4 ? register_read(vm, offset) : 0;
}

/* 4.2.2.2-8: registers of the selected queue, of drivers of virtio 1.x. They are fixed while it is enabled. */
static void modern_queue_write(struct virtio_mmio *vm, struct virtio_regs_queue *q, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case VIRTIO_MMIO_QUEUE_NUM:
		/* 4.2.2.2-7: a size that is too large must not become another one by being cut off. */
		q->size = value <= VRING_MAX_SIZE ? (uint16_t)value : 0;
		break;
	case VIRTIO_MMIO_QUEUE_READY:
		if (value == 1)
			virtio_regs_enable(&vm->regs);
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		virtio_regs_set_half(&q->desc, offset == VIRTIO_MMIO_QUEUE_DESC_HIGH, value);
		break;
	case VIRTIO_MMIO_QUEUE_DRIVER_LOW:
	case VIRTIO_MMIO_QUEUE_DRIVER_HIGH:
		virtio_regs_set_half(&q->driver, offset == VIRTIO_MMIO_QUEUE_DRIVER_HIGH, value);
		break;
	case VIRTIO_MMIO_QUEUE_DEVICE_LOW:
	case VIRTIO_MMIO_QUEUE_DEVICE_HIGH:
		virtio_regs_set_half(&q->device, offset == VIRTIO_MMIO_QUEUE_DEVICE_HIGH, value);
		break;
	default:
		break;
	}
}

static void modern_write(struct virtio_mmio *vm, uint32_t offset, uint32_t value)
{
	struct virtio_regs_queue *q = virtio_regs_selected(&vm->regs);

	switch (offset) {
	case VIRTIO_MMIO_DRIVER_FEATURES:
		virtio_regs_set_features(&vm->regs, value);
		return;
	case VIRTIO_MMIO_QUEUE_NOTIFY:
		/* The queue's number, or with this feature more than that: section 4.2.3.3. */
		if (virtio_dev_has(vm->regs.dev, VIRTIO_F_NOTIFICATION_DATA))
			virtio_dev_notified(vm->regs.dev, value);
		else
			virtio_dev_kick(vm->regs.dev, value);
		return;
	case VIRTIO_MMIO_QUEUE_RESET:
		if (value == 1)
			virtio_regs_reset_queue(&vm->regs);
		return;
	case VIRTIO_MMIO_STATUS:
		virtio_regs_set_status(&vm->regs, (uint8_t)value);
		return;
	default:
		break;
	}
	if (q && !q->enabled)
		modern_queue_write(vm, q, offset, value);
	else if (q && offset == VIRTIO_MMIO_QUEUE_READY && !value)
		/* 4.2.2.1-5: the queue's memory is not touched any more. */
		virtio_regs_stop_queue(&vm->regs);
}

static void legacy_write(struct virtio_mmio *vm, uint32_t offset, uint32_t value)
{
	struct virtio_regs_queue *q = virtio_regs_selected(&vm->regs);

	switch (offset) {
	case VIRTIO_MMIO_DRIVER_FEATURES:
		if (vm->regs.driver_feature_select == 0)
			vm->regs.driver_features = value;
		break;
	case VIRTIO_MMIO_GUEST_PAGE_SIZE:
		vm->regs.page_size = value;
		break;
	case VIRTIO_MMIO_QUEUE_NUM:
		if (q && !q->pfn)
			q->size = value <= VRING_MAX_SIZE ? (uint16_t)value : 0;
		break;
	case VIRTIO_MMIO_QUEUE_ALIGN:
		if (q && !q->pfn)
			q->align = value;
		break;
	case VIRTIO_MMIO_QUEUE_PFN:
		virtio_regs_legacy_set_pfn(&vm->regs, value);
		break;
	case VIRTIO_MMIO_QUEUE_NOTIFY:
		virtio_regs_legacy_kick(&vm->regs, value);
		break;
	case VIRTIO_MMIO_STATUS:
		virtio_regs_legacy_set_status(&vm->regs, (uint8_t)value);
		break;
	default:
		break;
	}
}

static void register_write(struct virtio_mmio *vm, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		vm->regs.device_feature_select = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		vm->regs.driver_feature_select = value;
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		vm->regs.queue_select = value;
		break;
	case VIRTIO_MMIO_INTERRUPT_ACK:
		vm->regs.isr &= (uint8_t)~value;
		break;
	default:
		(modern(vm) ? modern_write : legacy_write)(vm, offset, value);
	}
}

void virtio_mmio_write(struct virtio_mmio *vm, uint32_t offset, unsigned int size, uint32_t value)
{
	if (!vm || !virtio_regs_width(size))
		return;
	if (offset >= VIRTIO_MMIO_CONFIG)
		virtio_regs_config_write(&vm->regs, offset - VIRTIO_MMIO_CONFIG, size, value);
	else if (size == 4)
		register_write(vm, offset, value);
	/* What was written may have been an acknowledgement or a reset. */
	settle(vm);
}

void virtio_mmio_restart(struct virtio_mmio *vm)
{
	if (!vm)
		return;
	virtio_regs_reset(&vm->regs);
	settle(vm);
}

/* --- making --------------------------------------------------------------------------------------------------------- */

static const char *why_not(const struct virtio_dev *dev, uint32_t version, const struct virtio_mem *mem, bool irq)
{
	const char *why = virtio_regs_why_not(dev);

	if (why)
		return why;
	if (!mem || !irq)
		return "a device needs guest memory and an interrupt";
	if (version != VIRTIO_MMIO_LEGACY && version != VIRTIO_MMIO_MODERN)
		return "virtio over MMIO has versions 1 and 2";
	return NULL;
}

int virtio_mmio_init(struct virtio_mmio *vm, struct virtio_dev *dev, uint32_t version, bool big_endian,
		     const struct virtio_mem *mem, void (*irq)(void *opaque, bool level), void *opaque, const char **reason)
{
	const char *why = vm ? why_not(dev, version, mem, irq) : "there is no room for a window";

	if (reason)
		*reason = why;
	if (why)
		return -VIRTIO_EINVAL;
	virtio_zero(vm, sizeof(*vm));
	virtio_regs_offer(dev);
	vm->regs.dev = dev;
	vm->version = version;
	vm->irq = irq;
	vm->opaque = opaque;

	dev->transport = &mmio_transport;
	dev->transport_data = vm;
	dev->mem = mem;
	dev->legacy_big_endian = big_endian;
	virtio_regs_reset(&vm->regs);
	return 0;
}
