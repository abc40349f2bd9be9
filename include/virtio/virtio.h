/* SPDX-License-Identifier: MIT */
/*
 * virtio.h - the words that both ends of virtio share: device ids, feature bits, status bits, errors, and guest memory.
 *
 * Everything under include/virtio/ is freestanding C11: it needs <stdint.h>, <stddef.h>, <stdbool.h> and <stdatomic.h>, and nothing
 * from a C library. (gcc itself may call memcpy, memset, memmove and memcmp from freestanding code; a kernel must have them.)
 *
 * Two families of names, one per end:
 *   the driver's end   <virtio/driver.h>   struct virtio_device, struct virtio_queue, struct virtio_ops, struct virtio_bus
 *   the device's end   <virtio/device.h>   struct virtio_dev, struct vring_device
 */
#ifndef VIRTIO_VIRTIO_H
#define VIRTIO_VIRTIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Around the declarations of a header, so that C++ may include it. */
#ifdef __cplusplus
#define VIRTIO_BEGIN_DECLS extern "C" {
#define VIRTIO_END_DECLS }
#define VIRTIO_STATIC_ASSERT static_assert
#else
#define VIRTIO_BEGIN_DECLS
#define VIRTIO_END_DECLS
#define VIRTIO_STATIC_ASSERT _Static_assert
#endif

VIRTIO_BEGIN_DECLS

/* --- errors: functions return 0 or more, or one of these negated; the values are Linux's errno values ----------------- */

#define VIRTIO_ENOENT	2	/* no such queue, no such device */
#define VIRTIO_EIO	5	/* the other end failed */
#define VIRTIO_EAGAIN	11	/* not now */
#define VIRTIO_ENOMEM	12	/* the platform gave no memory at setup */
#define VIRTIO_EFAULT	14	/* an address outside the memory that was given */
#define VIRTIO_EBUSY	16	/* already in use */
#define VIRTIO_ENODEV	19	/* the device is broken or was reset */
#define VIRTIO_EINVAL	22	/* a bad argument: null, zero, not a power of two, misaligned */
#define VIRTIO_ENOSPC	28	/* the ring, the page or the interrupts are full */
#define VIRTIO_ERANGE	34	/* outside the config space */
#define VIRTIO_EPROTO	71	/* the other end broke the contract */
#define VIRTIO_EOPNOTSUPP 95	/* the other end does not do that */

/* --- device ids (virtio 1.2, 5) --------------------------------------------------------------------------------------- */

#define VIRTIO_ID_NET		1
#define VIRTIO_ID_BLOCK		2
#define VIRTIO_ID_CONSOLE	3
#define VIRTIO_ID_RNG		4
#define VIRTIO_ID_BALLOON	5
#define VIRTIO_ID_9P		9

/* --- device status (virtio 1.2, 2.1) ---------------------------------------------------------------------------------- */

#define VIRTIO_STATUS_ACKNOWLEDGE	0x01u
#define VIRTIO_STATUS_DRIVER		0x02u
#define VIRTIO_STATUS_DRIVER_OK		0x04u
#define VIRTIO_STATUS_FEATURES_OK	0x08u
#define VIRTIO_STATUS_NEEDS_RESET	0x40u
#define VIRTIO_STATUS_FAILED		0x80u

/* --- feature bits that belong to the ring and the bus (virtio 1.2, 6) ------------------------------------------------- */

#define VIRTIO_BIT(n)			(UINT64_C(1) << (n))
#define VIRTIO_F_NOTIFY_ON_EMPTY	VIRTIO_BIT(24)	/* legacy: interrupt when the ring runs dry, even if suppressed */
#define VIRTIO_F_ANY_LAYOUT		VIRTIO_BIT(27)	/* legacy: a header may share a descriptor with data */
#define VIRTIO_F_INDIRECT_DESC		VIRTIO_BIT(28)
#define VIRTIO_F_EVENT_IDX		VIRTIO_BIT(29)
#define VIRTIO_F_VERSION_1		VIRTIO_BIT(32)
#define VIRTIO_F_ACCESS_PLATFORM	VIRTIO_BIT(33)
#define VIRTIO_F_RING_PACKED		VIRTIO_BIT(34)
#define VIRTIO_F_IN_ORDER		VIRTIO_BIT(35)
#define VIRTIO_F_NOTIFICATION_DATA	VIRTIO_BIT(38)	/* a kick says how far the ring was filled */
#define VIRTIO_F_RING_RESET		VIRTIO_BIT(40)	/* one queue can be reset */

/* --- pieces of a buffer ----------------------------------------------------------------------------------------------- */

/* One piece of memory in this end's own addresses. Laid out as POSIX struct iovec, so host code may pass it to readv(). */
struct virtio_iov {
	void *base;
	size_t len;			/* bytes */
};

/* Total bytes of @count pieces. */
static inline uint64_t virtio_iov_length(const struct virtio_iov *iov, unsigned int count)
{
	uint64_t total = 0;

	for (unsigned int i = 0; i < count; i++)
		total += iov[i].len;
	return total;
}

/*
 * Copy between pieces and a flat buffer, starting @offset bytes into the pieces. Returns the bytes copied: less than @len when the
 * pieces end first. Neither function looks at the contents.
 */
size_t virtio_iov_read(const struct virtio_iov *iov, unsigned int count, uint64_t offset, void *buf, size_t len);
size_t virtio_iov_write(const struct virtio_iov *iov, unsigned int count, uint64_t offset, const void *buf, size_t len);

/*
 * Drop the first @bytes of the pieces in place: shortens, and moves the array's start. @iov and @count are updated. Returns the bytes
 * dropped: less than asked when there were fewer.
 */
uint64_t virtio_iov_skip(struct virtio_iov **iov, unsigned int *count, uint64_t bytes);

/* Cut the last @bytes off the pieces in place, updating @count. Returns the bytes cut. */
uint64_t virtio_iov_trim(struct virtio_iov *iov, unsigned int *count, uint64_t bytes);

/* --- guest memory ----------------------------------------------------------------------------------------------------- */

#define VIRTIO_BAD_ADDRESS	(~UINT64_C(0))

/*
 * How guest-physical addresses ("gpa") and our own pointers correspond. Filled in by the caller; never changed while a ring uses it.
 * One linear region is served inline; everything else goes to translate()/address(), which may be NULL.
 */
struct virtio_mem {
	void *base;			/* our address of guest-physical @start */
	uint64_t start;			/* first guest-physical address of the linear region */
	uint64_t size;			/* its bytes; 0 = there is none */

	/* Pointer to @len contiguous bytes at @gpa, or NULL if any of them is not guest memory. @len may be 0. */
	void *(*translate)(void *opaque, uint64_t gpa, uint64_t len);
	/* The reverse, for drivers: guest-physical address of our @len bytes at @ptr, or VIRTIO_BAD_ADDRESS. */
	uint64_t (*address)(void *opaque, const void *ptr, size_t len);
	/*
	 * For devices: [@gpa, @gpa + @len) is about to be written from outside the guest; called when such a buffer is popped. A host
	 * that keeps code it translated from guest memory drops what it has of these bytes. NULL: nobody needs to know.
	 */
	void (*dirty)(void *opaque, uint64_t gpa, uint64_t len);
	void *opaque;
};

/* Our pointer to guest-physical [@gpa, @gpa + @len), or NULL if it is not all guest memory. Written so that no sum can wrap. */
static inline void *virtio_mem_at(const struct virtio_mem *mem, uint64_t gpa, uint64_t len)
{
	uint64_t offset = gpa - mem->start;

	if (gpa >= mem->start && offset <= mem->size && len <= mem->size - offset && mem->size)
		return (uint8_t *)mem->base + (uintptr_t)offset;
	return mem->translate ? mem->translate(mem->opaque, gpa, len) : NULL;
}

/* Guest-physical address of our @len bytes at @ptr, or VIRTIO_BAD_ADDRESS. */
static inline uint64_t virtio_mem_address(const struct virtio_mem *mem, const void *ptr, size_t len)
{
	uintptr_t offset = (uintptr_t)ptr - (uintptr_t)mem->base;

	if ((uintptr_t)ptr >= (uintptr_t)mem->base && offset <= mem->size && len <= mem->size - offset && mem->size)
		return mem->start + offset;
	return mem->address ? mem->address(mem->opaque, ptr, len) : VIRTIO_BAD_ADDRESS;
}

/* --- plain memory, without a C library -------------------------------------------------------------------------------- */

/* Copy, clear, and ask whether all is clear: @len bytes, in pieces that do not overlap. */
void virtio_copy(void *to, const void *from, size_t len);
void virtio_zero(void *to, size_t len);
bool virtio_is_zero(const void *p, size_t len);

VIRTIO_END_DECLS

#endif
