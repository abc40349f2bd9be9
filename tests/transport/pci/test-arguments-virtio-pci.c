/* SPDX-License-Identifier: MIT */
/*
 * Bad arguments to virtio over PCI, and to functions on a PCI bus: see arguments.h.
 */
#include <tests/transport/arguments.h>
#include <transport/pci/virtio-pci-guest.h>
#include <transport/pci/virtio-pci-host.h>

static struct virtio_pci pci;

static int pci_add(struct virtio_dev *dev, const char **reason)
{
	return virtio_pci_init(&pci, dev, VIRTIO_PCI_MODERN, &m.mem, reason);
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
	assert_int_equal(virtio_pci_init(&pci, &m.toy.dev, VIRTIO_PCI_MODERN, NULL, NULL), -VIRTIO_EINVAL);
	assert_int_equal(virtio_pci_init(&pci, &m.toy.dev, (enum virtio_pci_kind)7, &m.mem, NULL), -VIRTIO_EINVAL);
	m.toy.dev.offered &= ~VIRTIO_F_VERSION_1;
	assert_int_equal(pci_add(&m.toy.dev, NULL), -VIRTIO_EINVAL);
	m.toy.dev.offered |= VIRTIO_F_VERSION_1;
	assert_int_equal(pci_add(&m.toy.dev, NULL), 0);
	assert_int_equal(virtio_pci_add_msix(NULL, send_message, NULL), -VIRTIO_EINVAL);
	assert_int_equal(virtio_pci_add_msix(&pci, NULL, NULL), -VIRTIO_EINVAL);
	assert_int_equal(virtio_pci_add_msix(&empty, send_message, NULL), -VIRTIO_EINVAL);
	assert_int_equal(virtio_pci_add_msix(&pci, send_message, NULL), 0);
	assert_int_equal(virtio_pci_add_msix(&pci, send_message, NULL), -VIRTIO_EINVAL);
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
	struct pci_function *fn = &pci.pci;

	assert_int_equal(pci_add(&m.toy.dev, NULL), 0);
	for (unsigned int i = 0; i < num_widths; i++) {
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
	for (unsigned int i = 0; i < num_widths; i++) {
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		ARGUMENTS_TEST(pci_host),
		ARGUMENTS_TEST(pci_guest),
		ARGUMENTS_TEST(function),
		ARGUMENTS_TEST(function_accesses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
