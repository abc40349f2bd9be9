/* SPDX-License-Identifier: MIT */
/* memory.c - copying without a C library, and walking over the pieces of a buffer. */
#include <virtio/virtio.h>

void virtio_copy(void *to, const void *from, size_t len)
{
	__builtin_memcpy(to, from, len);
}

void virtio_zero(void *to, size_t len)
{
	__builtin_memset(to, 0, len);
}

bool virtio_is_zero(const void *p, size_t len)
{
	const uint8_t *b = p;

	while (len && !*b)
		b++, len--;
	return !len;
}

/* Copy @len bytes at @offset of the pieces, out of them or (@store) into them. */
static size_t iov_copy(const struct virtio_iov *iov, unsigned int count, uint64_t offset, uint8_t *buf, size_t len, bool store)
{
	size_t copied = 0;

	for (unsigned int i = 0; i < count && copied < len; i++) {
		size_t part;

		if (offset >= iov[i].len) {
			offset -= iov[i].len;
			continue;
		}
		part = iov[i].len - (size_t)offset;
		if (part > len - copied)
			part = len - copied;
		if (store)
			virtio_copy((uint8_t *)iov[i].base + (size_t)offset, buf + copied, part);
		else
			virtio_copy(buf + copied, (const uint8_t *)iov[i].base + (size_t)offset, part);
		copied += part;
		offset = 0;
	}
	return copied;
}

size_t virtio_iov_read(const struct virtio_iov *iov, unsigned int count, uint64_t offset, void *buf, size_t len)
{
	return iov_copy(iov, count, offset, buf, len, false);
}

size_t virtio_iov_write(const struct virtio_iov *iov, unsigned int count, uint64_t offset, const void *buf, size_t len)
{
	return iov_copy(iov, count, offset, (uint8_t *)(uintptr_t)buf, len, true);
}

uint64_t virtio_iov_skip(struct virtio_iov **iov, unsigned int *count, uint64_t bytes)
{
	uint64_t left = bytes;

	if (!iov || !*iov || !count)
		return 0;
	while (*count && left >= (*iov)->len) {
		left -= (*iov)->len;
		++*iov;
		--*count;
	}
	if (*count && left) {
		(*iov)->base = (uint8_t *)(*iov)->base + (size_t)left;
		(*iov)->len -= (size_t)left;
		left = 0;
	}
	return bytes - left;
}

uint64_t virtio_iov_trim(struct virtio_iov *iov, unsigned int *count, uint64_t bytes)
{
	uint64_t left = bytes;

	if (!iov || !count)
		return 0;
	while (*count && left >= iov[*count - 1].len)
		left -= iov[--*count].len;
	if (*count && left) {
		iov[*count - 1].len -= (size_t)left;
		left = 0;
	}
	return bytes - left;
}
