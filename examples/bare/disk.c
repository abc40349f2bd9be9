/* SPDX-License-Identifier: MIT */
/*
 * disk.c - libvirtio's block driver in a kernel of nothing else: finds a disk on the PCI bus, prints its first line, writes the next
 * sector. Any multiboot loader starts it:
 *
 *	qemu-system-i386 -kernel kernel -drive file=image,format=raw,if=none,id=d -device virtio-blk-pci,drive=d
 *		-debugcon stdio -display none -device isa-debug-exit
 */
#include <virtio/driver-block.h>
#include <virtio/transport/pci/virtio-pci-guest.h>

/* A multiboot header, and the first instructions. */
asm(".section .start, \"ax\"\n"
    "	.long 0x1badb002, 0, -0x1badb002\n"
    "	.globl start\n"
    "start:	mov $stack + 16384, %esp\n"
    "	call kernel\n"
    "	mov $0x501, %dx\n"
    "	out %al, %dx\n"		/* isa-debug-exit: the status is 2 * AL + 1 */
    "	hlt\n"
    "	.lcomm stack, 16384\n");

int kernel(void);

/* --- what a kernel has to give: ports, memory, and the functions that gcc takes for granted --- */

static uint32_t in(void *opaque, uint16_t port, unsigned int size)
{
	uint32_t value = 0;

	if (size == 1)
		asm volatile("inb %w1, %b0" : "+a"(value) : "d"(port));
	else if (size == 2)
		asm volatile("inw %w1, %w0" : "+a"(value) : "d"(port));
	else
		asm volatile("inl %w1, %0" : "+a"(value) : "d"(port));
	return value;
}

static void out(void *opaque, uint16_t port, unsigned int size, uint32_t value)
{
	if (size == 1)
		asm volatile("outb %b0, %w1" : : "a"(value), "d"(port) : "memory");
	else if (size == 2)
		asm volatile("outw %w0, %w1" : : "a"(value), "d"(port) : "memory");
	else
		asm volatile("outl %0, %w1" : : "a"(value), "d"(port) : "memory");
}

static void *alloc(void *opaque, size_t size, size_t align)
{
	static uint8_t heap[256 * 1024] __attribute__((aligned(4096)));
	static size_t next;
	size_t at = (next + align - 1) & ~(align - 1);

	next = at + size;
	return next <= sizeof(heap) ? heap + at : NULL;
}

void *memcpy(void *to, const void *from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((volatile uint8_t *)to)[i] = ((const uint8_t *)from)[i];
	return to;
}

void *memset(void *to, int value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((volatile uint8_t *)to)[i] = (uint8_t)value;
	return to;
}

/* --- the driver --- */

static const struct virtio_mem mem = { .size = UINT32_MAX };	/* no paging: all addresses are physical */
static const struct virtio_platform platform = { .mem = &mem, .alloc = alloc };
static const struct virtio_pci_ports ports = { .in = in, .out = out };

int kernel(void)
{
	static struct virtio_pci_device device;
	static struct virtio_block disk;
	static uint8_t first[512], second[512] = "written by a kernel of one page\n", copy[512];
	struct virtio_pci_bus bus;

	virtio_pci_bus_init(&bus, &platform, &ports);
	while (virtio_pci_bus_next(&bus, &device) && device.vdev.id != VIRTIO_ID_BLOCK)
		;
	if (device.vdev.id != VIRTIO_ID_BLOCK || virtio_block_probe(&disk, &device.vdev) || disk.capacity < 2)
		return 1;
	if (virtio_block_read(&disk, 0, first, 512) || virtio_block_write(&disk, 1, second, 512) || virtio_block_flush(&disk))
		return 2;
	for (unsigned int i = 0; i < 512 && first[i] && (!i || first[i - 1] != '\n'); i++)
		out(NULL, 0xe9, 1, first[i]);	/* QEMU's debugging console */
	return virtio_block_read(&disk, 1, copy, 512) || copy[8] != 'b' ? 3 : 0;
}
