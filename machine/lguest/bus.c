/* SPDX-License-Identifier: MIT */
/*
 * bus.c - the devices of this machine, and the calls that reach them.
 *
 * Device code runs under the I/O lock, on this thread for a doorbell and on the event loop's for everything else.
 */
#include <errno.h>
#include <string.h>

#include "host/loop/loop.h"
#include "machine/lguest/lguest.h"

static void raise_irq(void *opaque, unsigned int irq)
{
	lguest_raise(opaque, irq);
}

/* A device is about to write: what was translated from there must go, on whichever thread we are. */
static void dirty(void *opaque, uint64_t gpa, uint64_t len)
{
	struct lguest *m = opaque;

	cpu_warm(m->cpu, (uint32_t)gpa, (uint32_t)len);
	cpu_dirty(m->cpu, (uint32_t)gpa, (uint32_t)len);
}

static int attach(void *opaque, struct virtio_dev *dev, const char **reason)
{
	struct lguest *m = opaque;

	return lguest_page_add(&m->bus, dev, reason);
}

static void complain(void *opaque, const struct virtio_dev *dev, const char *reason)
{
	struct lguest *m = opaque;

	devices_complain(&m->devices, dev, reason);
}

int lguest_bus_create(struct lguest *m, const struct machine_devices *devices, struct error *error)
{
	int err;

	m->mem = (struct virtio_mem){.base = m->ram.base, .start = 0, .size = (uint64_t)m->ram.pages * PAGE, .dirty = dirty, .opaque = m};
	io_lock();
	if (lguest_page_init(&m->bus, &m->mem, m->ram_bytes, m->mem.size, raise_irq, m) < 0) {
		err = error_set(error, EINVAL, "the device page does not fit behind guest memory");
		devices_refuse(devices);
	} else {
		m->bus.complain = complain;
		m->console = devices->console;
		err = devices_create(&m->devices, devices, attach, m, error);
	}
	io_unlock();
	m->memory_bytes = (uint32_t)lguest_page_end(&m->bus);
	return err;
}

void lguest_bus_restart(struct lguest *m)
{
	lguest_page_restart(&m->bus);
}

void lguest_bus_destroy(struct lguest *m)
{
	io_lock();
	devices_destroy(&m->devices);
	io_unlock();
}

/* Before its console driver is up the kernel prints by NOTIFY of a string, on its stack: consume it now (lguest-pitfalls, I5). */
static void early_print(struct lguest *m, uint32_t address)
{
	struct virtio_iov iov;

	if (address >= m->ram_bytes) {
		lguest_kill(m, "NOTIFY of %#x, which is no queue, no device, and not in memory", address);
		return;
	}
	iov.base = m->ram.base + address;
	iov.len = strnlen(iov.base, m->ram_bytes - address);
	if (m->console && iov.len)
		m->console->ops->write(m->console, &iov, 1);
}

void lguest_notify_cold(struct lguest *m, uint32_t address)
{
	cpu_fpu_release(m->cpu);
	io_lock();
	if (m->trace & TRACE_NOTIFY)
		trace_line("notify %#x", address);
	if (!lguest_page_notify(&m->bus, address))
		early_print(m, address);
	io_unlock();
	cpu_fpu_acquire(m->cpu);
}
