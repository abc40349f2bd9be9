/* SPDX-License-Identifier: MIT */
/*
 * Clauses that a driver of virtio over PCI keeps, with a device that is as strange as the standard allows: capabilities of kinds that
 * nobody knows, structures where we cannot use them, others twice; resets that take their time; vectors that it does not give.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tests/arena.h>
#include <tests/clause.h>
#include <transport/pci/virtio-pci-guest.h>

#define SLOT	5u
#define COMMON	0x1000u
#define ISR	0x1080u
#define NOTIFY	0x10c0u
#define CONFIG	0x1100u
#define LEGACY	0x2000u
#define MEMORY	0x10000u

static struct {
	uint8_t space[PCI_CONFIG_SIZE];
	unsigned int last, free;	/* of its capabilities */
	uint32_t address;		/* configuration mechanism 1 */
	uint8_t memory[MEMORY] __attribute__((aligned(4096)));
	size_t next;
	struct virtio_mem mem;
	struct virtio_platform platform;
	struct virtio_pci_ports ports;
	struct virtio_pci_bus bus;
	struct virtio_pci_device device;
	/* Registers. */
	uint8_t status, isr;
	unsigned int busy, polls;	/* reads that find a reset, of the device or a queue, not complete; and all */
	uint32_t feature_select;
	uint64_t device_part;		/* address of the used ring */
	bool enabled, resetting;
	uint16_t vector, vectors;
} m;

/* --- the device ----------------------------------------------------------------------------------------------------- */

/* 4.1.3.1: register by register. */
static const uint8_t widths[VIRTIO_PCI_COMMON_LEN] = {
	[0] = 4, [4] = 4, [8] = 4, [12] = 4, [16] = 2, [18] = 2, [20] = 1, [21] = 1, [22] = 2, [24] = 2, [26] = 2, [28] = 2, [30] = 2,
	[32] = 4, [36] = 4, [40] = 4, [44] = 4, [48] = 4, [52] = 4, [56] = 2, [58] = 2 };
/* A field of each width: u64, u32, u16, u8, u8. */
static const uint8_t fields[16] = { [0] = 4, [4] = 4, [8] = 4, [12] = 2, [14] = 1, [15] = 1 };

static uint32_t poll_reset(uint32_t unfinished, uint32_t finished)
{
	m.polls++;
	if (m.busy)
		m.busy--;
	return m.busy ? unfinished : finished;
}

static uint32_t common_in(unsigned int at)
{
	switch (at) {
	case VIRTIO_PCI_DEVICE_FEATURE:
		return (uint32_t)((VIRTIO_F_VERSION_1 | VIRTIO_F_RING_RESET) >> 32 * m.feature_select);
	case VIRTIO_PCI_STATUS:
		return m.busy ? poll_reset(0x80, 0) : m.status;
	case VIRTIO_PCI_QUEUE_SIZE:
		return 4;
	case VIRTIO_PCI_CONFIG_VECTOR:
	case VIRTIO_PCI_QUEUE_VECTOR:
		return m.vector;
	case VIRTIO_PCI_QUEUE_ENABLE:
		return m.enabled;
	case VIRTIO_PCI_QUEUE_RESET:
		assert_true(m.resetting);
		return poll_reset(1, 0);
	default:
		return 0;
	}
}

static void common_out(unsigned int at, uint32_t value)
{
	assert_int_equal(m.busy, 0);
	switch (at) {
	case VIRTIO_PCI_DEVICE_FEATURE_SELECT:
		m.feature_select = value;
		break;
	case VIRTIO_PCI_STATUS:
		m.status = (uint8_t)value;
		m.busy = value ? 0 : 5;
		break;
	case VIRTIO_PCI_CONFIG_VECTOR:
	case VIRTIO_PCI_QUEUE_VECTOR:
		m.vector = value < m.vectors ? (uint16_t)value : VIRTIO_PCI_NO_VECTOR;
		break;
	case VIRTIO_PCI_QUEUE_DEVICE:
		m.device_part = value;
		break;
	case VIRTIO_PCI_QUEUE_ENABLE:
		assert_int_equal(value, 1);
		m.enabled = true;
		break;
	case VIRTIO_PCI_QUEUE_RESET:
		assert_int_equal(value, 1);
		m.resetting = true;
		m.busy = 3;
		break;
	default:
		break;
	}
}

static uint32_t port_in(void *opaque, uint16_t port, unsigned int size)
{
	uint32_t value;

	if (port >= PCI_CONFIG_DATA && port < PCI_CONFIG_DATA + 4) {
		if (((m.address & ~PCI_CONFIG_ENABLE) >> 11) != SLOT)
			return ~0u;
		value = virtio_get32(false, m.space + (m.address & 0xfc)) >> 8 * (port & 3);
		return size == 4 ? value : value & ((1u << 8 * size) - 1);
	}
	if (port >= CONFIG && port < CONFIG + 16) {
		assert_int_equal(size, fields[port - CONFIG]);
		return 0x11;
	}
	if (port == ISR) {
		assert_int_equal(size, 1);
		value = m.isr;
		m.isr = 0;
		return value;
	}
	assert_in_range(port, COMMON, COMMON + VIRTIO_PCI_COMMON_LEN - 1);
	assert_int_equal(size, widths[port - COMMON]);
	return common_in(port - COMMON);
}

static void port_out(void *opaque, uint16_t port, unsigned int size, uint32_t value)
{
	if (port == PCI_CONFIG_ADDRESS) {
		m.address = value;
	} else if (port >= PCI_CONFIG_DATA && port < PCI_CONFIG_DATA + 4) {
		if ((m.address & 0xfc) == PCI_COMMAND)
			virtio_put16(false, m.space + PCI_COMMAND, (uint16_t)value);
	} else if (port >= CONFIG && port < CONFIG + 16) {
		assert_int_equal(size, fields[port - CONFIG]);
	} else if (port != NOTIFY) {
		assert_in_range(port, COMMON, COMMON + VIRTIO_PCI_COMMON_LEN - 1);
		assert_int_equal(size, widths[port - COMMON]);
		common_out(port - COMMON, value);
	}
}

/* --- its configuration space ---------------------------------------------------------------------------------------- */

static void add_capability(uint8_t id, uint8_t len, uint8_t type, uint8_t bar, uint32_t offset)
{
	uint8_t *cap = m.space + m.free;

	m.space[m.last] = (uint8_t)m.free;
	m.last = m.free + PCI_CAP_NEXT;
	m.free += len;
	cap[PCI_CAP_ID] = id;
	cap[VIRTIO_PCI_CAP_LEN] = len;
	cap[VIRTIO_PCI_CAP_TYPE] = type;
	cap[VIRTIO_PCI_CAP_BAR] = bar;
	virtio_put32(false, cap + VIRTIO_PCI_CAP_OFFSET, offset);
	virtio_put32(false, cap + VIRTIO_PCI_CAP_LENGTH, 16);
	m.space[PCI_STATUS] |= PCI_STATUS_CAPABILITIES;
}

static void *alloc(void *opaque, size_t size, size_t align)
{
	return arena_take(m.memory, MEMORY, &m.next, size, align);
}

static int setup(void **state)
{
	memset(&m, 0, sizeof(m));
	m.mem = (struct virtio_mem){ .base = m.memory, .size = MEMORY };
	m.platform = (struct virtio_platform){ .mem = &m.mem, .alloc = alloc };
	m.ports = (struct virtio_pci_ports){ .in = port_in, .out = port_out };
	m.next = 4096;
	m.vector = VIRTIO_PCI_NO_VECTOR;
	m.last = PCI_CAPABILITIES;
	m.free = PCI_HEADER_END;
	virtio_put16(false, m.space + PCI_VENDOR_ID, VIRTIO_PCI_VENDOR);
	virtio_put16(false, m.space + PCI_DEVICE_ID, VIRTIO_PCI_MODERN_ID + VIRTIO_ID_RNG);
	virtio_put32(false, m.space + PCI_BAR0, LEGACY | PCI_BAR_IO);
	virtio_put32(false, m.space + PCI_BAR0 + 4, COMMON | PCI_BAR_IO);
	virtio_put32(false, m.space + PCI_BAR0 + 8, 0xe0000000);
	assert_int_equal(virtio_pci_bus_init(&m.bus, &m.platform, &m.ports), 0);
	return 0;
}

/* What a driver needs, among other things. */
static void add_capabilities(void)
{
	add_capability(0x05, 16, VIRTIO_PCI_CAP_COMMON, 1, 0x200);			/* of somebody else's kind */
	add_capability(PCI_CAP_VENDOR, 16, 0x77, 1, 0x200);				/* a type of the future */
	add_capability(PCI_CAP_VENDOR, 16, VIRTIO_PCI_CAP_COMMON, 2, 0x40);		/* in memory, which we leave alone */
	add_capability(PCI_CAP_VENDOR, 16, VIRTIO_PCI_CAP_COMMON, 9, 0x40);		/* in a window that there cannot be */
	add_capability(PCI_CAP_VENDOR, 24, VIRTIO_PCI_CAP_COMMON, 1, 0);		/* longer than it need be */
	add_capability(PCI_CAP_VENDOR, 16, VIRTIO_PCI_CAP_COMMON, 1, 0x200);		/* once more */
	add_capability(PCI_CAP_VENDOR, 20, VIRTIO_PCI_CAP_NOTIFY, 1, NOTIFY - COMMON);
	add_capability(PCI_CAP_VENDOR, 16, VIRTIO_PCI_CAP_ISR, 1, ISR - COMMON);
	add_capability(PCI_CAP_VENDOR, 16, VIRTIO_PCI_CAP_DEVICE, 1, CONFIG - COMMON);
}

/* --- the driver ----------------------------------------------------------------------------------------------------- */

static void found_by_its_id(void **state)
{
	static const uint16_t others[] = { 0x0fff, VIRTIO_PCI_MODERN_ID + 0x40, 0 };

	add_capabilities();
	/* Neither says anything. */
	m.space[PCI_REVISION] = 0x37;
	virtio_put32(false, m.space + PCI_SUBSYSTEM_VENDOR, 0x12345678);
	assert_true(virtio_pci_bus_next(&m.bus, &m.device));
	assert_int_equal(m.device.vdev.id, VIRTIO_ID_RNG);
	assert_false(m.device.legacy);
	for (unsigned int i = 0; i < 3; i++) {
		virtio_put16(false, m.space + PCI_DEVICE_ID, others[i]);
		m.bus.next = 0;
		assert_false(virtio_pci_bus_next(&m.bus, &m.device));
	}
	virtio_put16(false, m.space + PCI_DEVICE_ID, VIRTIO_PCI_MODERN_ID + VIRTIO_ID_RNG);
	virtio_put16(false, m.space + PCI_VENDOR_ID, 0x8086);
	m.bus.next = 0;
	assert_false(virtio_pci_bus_next(&m.bus, &m.device));
}

static void strange_capabilities(void **state)
{
	add_capabilities();
	assert_true(virtio_pci_bus_next(&m.bus, &m.device));
	assert_int_equal(m.device.common, COMMON);
	assert_int_equal(m.device.notify, NOTIFY);
	assert_int_equal(m.device.isr, ISR);
	assert_int_equal(m.device.config, CONFIG);
	assert_int_equal(m.device.config_len, 16);
	/* A list that never ends does. */
	m.space[m.last] = PCI_HEADER_END;
	m.bus.next = 0;
	assert_true(virtio_pci_bus_next(&m.bus, &m.device));
}

static void without_capabilities(void **state)
{
	/* One that is not transitional cannot be driven at all. */
	assert_false(virtio_pci_bus_next(&m.bus, &m.device));
	virtio_put16(false, m.space + PCI_DEVICE_ID, VIRTIO_PCI_LEGACY_FIRST + 5);
	virtio_put16(false, m.space + PCI_SUBSYSTEM_ID, VIRTIO_ID_RNG);
	m.bus.next = 0;
	assert_true(virtio_pci_bus_next(&m.bus, &m.device));
	assert_true(m.device.legacy);
	assert_int_equal(m.device.common, LEGACY);
	assert_int_equal(m.device.vdev.id, VIRTIO_ID_RNG);
}

static struct virtio_queue *bring_up(void)
{
	struct virtio_queue *vq;

	add_capabilities();
	assert_true(virtio_pci_bus_next(&m.bus, &m.device));
	assert_int_equal(virtio_device_setup(&m.device.vdev, 0), 0);
	assert_int_equal(virtio_device_queue(&m.device.vdev, 0, NULL, NULL, &vq), 0);
	virtio_device_ready(&m.device.vdev);
	assert_true(m.enabled);
	return vq;
}

/* Each access has the width of what is there, which the ports see to. */
static void access_widths(void **state)
{
	uint64_t wide;
	uint32_t word;
	uint16_t half;
	uint8_t byte;

	bring_up();
	assert_int_equal(virtio_config_get64(&m.device.vdev, 0, &wide), 0);
	assert_int_equal(virtio_config_get32(&m.device.vdev, 8, &word), 0);
	assert_int_equal(virtio_config_get16(&m.device.vdev, 12, &half), 0);
	assert_int_equal(virtio_config_get8(&m.device.vdev, 14, &byte), 0);
	assert_int_equal(m.device.vdev.bus->set(&m.device.vdev, 0, &wide, 8), 0);
	assert_int_equal(m.device.vdev.bus->set(&m.device.vdev, 12, &half, 2), 0);
	virtio_device_remove(&m.device.vdev);
}

static void resets_take_their_time(void **state)
{
	struct virtio_queue *vq = bring_up();

	m.polls = 0;
	assert_int_equal(virtio_queue_reset(vq), 0);
	assert_int_equal(m.polls, 3);
	m.polls = 0;
	virtio_device_remove(&m.device.vdev);
	assert_int_equal(m.polls, 5);
}

static void vectors_that_are_not_given(void **state)
{
	struct virtio_queue *vq;

	add_capabilities();
	assert_true(virtio_pci_bus_next(&m.bus, &m.device));
	m.device.vectors = 2;
	m.vectors = 1;
	assert_int_equal(virtio_device_setup(&m.device.vdev, 0), 0);
	assert_int_equal(virtio_device_queue(&m.device.vdev, 0, NULL, NULL, &vq), -VIRTIO_ENOSPC);
	assert_false(m.enabled);
	m.vectors = 0;
	assert_int_equal(virtio_device_setup(&m.device.vdev, 0), -VIRTIO_ENOSPC);
	m.vectors = 2;
	assert_int_equal(virtio_device_setup(&m.device.vdev, 0), 0);
	assert_int_equal(virtio_device_queue(&m.device.vdev, 0, NULL, NULL, &vq), 0);
	virtio_device_remove(&m.device.vdev);
}

static void one_interrupt_for_both(void **state)
{
	struct virtio_queue *vq = bring_up();
	struct virtio_iov piece = { alloc(NULL, 16, 16), 16 };
	unsigned long used;
	bool config;

	assert_true(virtio_add_outbuf(vq, &piece, 1, &used) >= 0);
	virtio_sync(vq);
	virtio_put16(false, m.memory + m.device_part + 2, 1);
	m.isr = VIRTIO_PCI_ISR_QUEUE | VIRTIO_PCI_ISR_CONFIG;
	assert_true(virtio_pci_device_interrupt(&m.device, &config));
	assert_true(config);
	assert_true(virtio_is_done(&used));
	virtio_device_remove(&m.device.vdev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLAUSE_SETUP("4.1.2.2-1", found_by_its_id, setup, NULL),
		CLAUSE_SETUP("4.1.4.1-1 4.1.4.1-2", strange_capabilities, setup, NULL),
		CLAUSE_SETUP("4.1.5.1.1.1-1", without_capabilities, setup, NULL),
		CLAUSE_SETUP("4.1.3.1-1 4.1.3.1-2", access_widths, setup, NULL),
		CLAUSE_SETUP("4.1.4.3.2-4 4.1.4.3.2-6", resets_take_their_time, setup, NULL),
		CLAUSE_SETUP("4.1.5.1.2.2-1", vectors_that_are_not_given, setup, NULL),
		CLAUSE_SETUP("4.1.5.4.2-1", one_interrupt_for_both, setup, NULL),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
