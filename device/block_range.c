/* SPDX-License-Identifier: MIT */
#include <device/block_range.h>
#include <virtio/endian.h>

/* 5.2.6.2: a flag that is not known is not supported, nor is unmapping with a discard, which is nothing else anyway. */
static bool flags_known(uint32_t type, uint32_t flags)
{
	return !(flags & ~(type == VIRTIO_BLOCK_T_WRITE_ZEROES ? VIRTIO_BLOCK_RANGE_UNMAP : 0));
}

static bool fits(const struct block_range *range, uint32_t most, uint64_t capacity)
{
	return range->sectors <= most && range->sector <= capacity && range->sectors <= capacity - range->sector;
}

uint8_t block_ranges_read(uint32_t type, const struct virtio_iov *data, unsigned int pieces, bool big, uint64_t capacity,
			  struct block_range ranges[BLOCK_RANGES], unsigned int *found)
{
	uint32_t most = type == VIRTIO_BLOCK_T_DISCARD ? BLOCK_DISCARD_MAX : BLOCK_ZEROES_MAX;
	uint8_t bytes[BLOCK_RANGES * VIRTIO_BLOCK_RANGE_LEN];
	uint64_t len = virtio_iov_length(data, pieces);
	uint8_t status = VIRTIO_BLOCK_S_OK;

	/* 5.2.6.1: whole ranges, at least one and no more than we said. */
	if (!len || len > sizeof(bytes) || len % VIRTIO_BLOCK_RANGE_LEN)
		return VIRTIO_BLOCK_S_IOERR;
	*found = (unsigned int)(len / VIRTIO_BLOCK_RANGE_LEN);
	virtio_iov_read(data, pieces, 0, bytes, (size_t)len);
	for (unsigned int i = 0; i < *found; i++) {
		const uint8_t *b = bytes + (size_t)i * VIRTIO_BLOCK_RANGE_LEN;
		uint32_t flags = virtio_get32(big, b + 12);

		if (!flags_known(type, flags))
			return VIRTIO_BLOCK_S_UNSUPP;
		ranges[i] = (struct block_range){ virtio_get64(big, b), virtio_get32(big, b + 8), flags & VIRTIO_BLOCK_RANGE_UNMAP };
		if (!fits(&ranges[i], most, capacity))
			status = VIRTIO_BLOCK_S_IOERR;
	}
	return status;
}
