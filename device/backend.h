/* SPDX-License-Identifier: MIT */
/*
 * backend.h - what stands behind a device. Devices call these operations; host/ implements them; tests fake them.
 *
 * One lock, the I/O lock of host/loop/loop.h, is held whenever a device's code runs: by the processor's thread around a kick, by the
 * event loop's thread around every callback. Neither side ever waits for the host while holding it, so a slow disk or a full
 * pipe never stalls the guest's processor.
 */
#ifndef KENNEL_DEVICE_BACKEND_H
#define KENNEL_DEVICE_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <virtio/net.h>		/* struct virtio_net_offload: what a frame's header says */
#include <virtio/virtio.h>	/* struct virtio_iov: laid out as POSIX struct iovec */

/* --- disk ------------------------------------------------------------------------------------------------------------ */

/*
 * BLOCK_DISCARD: nobody needs the range any more; free it if possible. What it reads as afterwards is not said. BLOCK_ZERO: it reads as
 * zeroes afterwards.
 */
enum block_op { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD, BLOCK_ZERO };

/* One request; embedded in the device's own. The backend owns it, and the memory @iov names, from submit() until done(). */
struct block_io {
	enum block_op op;
	uint64_t offset;			/* bytes */
	struct virtio_iov *iov;			/* of reads and writes */
	unsigned int iov_count;
	uint64_t length;			/* bytes: of BLOCK_DISCARD and BLOCK_ZERO */
	bool unmap;				/* BLOCK_ZERO may free the range */
	void (*done)(struct block_io *io, int error);	/* 0 or negative errno; called on the loop's thread, or within submit() */
};

struct block_backend {
	const struct block_backend_ops *ops;
	uint64_t size;				/* bytes */
	uint32_t block_size;			/* logical, bytes; 512 unless the host device says otherwise */
	bool read_only;
	bool zeroes;				/* it can do BLOCK_ZERO */
	uint32_t discard_unit;			/* bytes that are freed together, so that it can do BLOCK_DISCARD; 0 = it cannot */
	char serial[21];			/* NUL-terminated, at most 20 */
};

struct block_backend_ops {
	void (*submit)(struct block_backend *be, struct block_io *io);	/* never blocks; may call done() at once */
	void (*commit)(struct block_backend *be);	/* a batch of submits is complete; may be NULL */
	/*
	 * Returns when nothing is under way: every done() has been called, from within if need be. For a device reset, after which no
	 * guest memory may be touched: the one call that may wait, with the lock held. NULL: submit() always completes at once.
	 */
	void (*drain)(struct block_backend *be);
	void (*close)(struct block_backend *be);	/* waits for what is under way */
};

/* --- network --------------------------------------------------------------------------------------------------------- */

/* Who gets the frames; filled in by the device. */
struct net_receiver {
	/* A frame from outside. false: no buffer now, the backend keeps or drops it; rx_ready() will follow. */
	bool (*receive)(void *opaque, const struct virtio_iov *iov, unsigned int count, const struct virtio_net_offload *offload);
	void (*tx_ready)(void *opaque);		/* after send() said -EAGAIN: frames can be sent again */
	void *opaque;
};

struct net_backend {
	const struct net_backend_ops *ops;
	bool offload;				/* checksum and TSO4/TSO6/ECN both ways */
	struct net_receiver receiver;
	uint8_t mac[6];				/* proposed to the guest */
	uint16_t mtu;
};

struct net_backend_ops {
	/* Send one frame; consumed on return. 0, or -EAGAIN: try again after tx_ready. Other errors: dropped. */
	int (*send)(struct net_backend *be, const struct virtio_iov *iov, unsigned int count, const struct virtio_net_offload *offload);
	void (*set_offload)(struct net_backend *be, bool tx_csum_tso, bool rx_csum, bool rx_tso4, bool rx_tso6, bool rx_ecn); /* what was negotiated; may be NULL */
	void (*rx_ready)(struct net_backend *be);	/* the guest has buffers again; may be NULL */
	void (*close)(struct net_backend *be);
};

/* --- console --------------------------------------------------------------------------------------------------------- */

struct console_backend {
	const struct console_backend_ops *ops;
	void *opaque;				/* the device's, for the two calls below */
	size_t (*input)(void *opaque, const void *data, size_t len);	/* bytes taken; the rest is offered again after input_ready() */
	void (*resized)(void *opaque, uint16_t columns, uint16_t rows);
	bool away;				/* nobody is at the other end: what is written is lost; changes are followed by: */
	void (*came_or_went)(void *opaque);
	void (*output_ready)(void *opaque);	/* after write() has taken less than there was */
};

struct console_backend_ops {
	/*
	 * Bytes taken; the rest comes again after output_ready(). What is for people to see takes everything, buffers or drops: a guest
	 * that prints does not wait.
	 */
	size_t (*write)(struct console_backend *be, const struct virtio_iov *iov, unsigned int count);
	void (*input_ready)(struct console_backend *be);
	void (*size)(struct console_backend *be, uint16_t *columns, uint16_t *rows);	/* 0, 0 = unknown */
	void (*close)(struct console_backend *be);
};

/* --- entropy --------------------------------------------------------------------------------------------------------- */

struct entropy_backend {
	const struct entropy_backend_ops *ops;
};

struct entropy_backend_ops {
	size_t (*fill)(struct entropy_backend *be, void *buf, size_t len);	/* bytes given, at least 1 */
	void (*close)(struct entropy_backend *be);
};

/* --- memory given back ------------------------------------------------------------------------------------------------ */

/* One figure of the guest's memory statistics (virtio 1.2, 5.5.6.4): VIRTIO_BALLOON_S_*; bytes or events. */
struct balloon_stat {
	uint16_t tag;
	uint64_t value;
};

struct balloon_backend {
	const struct balloon_backend_ops *ops;
	uint64_t target;			/* bytes the guest is asked to give up; followed by target_changed() */
	uint64_t actual;			/* bytes it says it has; kept by the device */
	void *opaque;				/* the device's, for the two calls below, which it fills in */
	void (*target_changed)(void *opaque);
	bool (*ask_stats)(void *opaque);	/* ops->stats() will follow; false: the guest has no buffer for them now */
};

struct balloon_backend_ops {
	/*
	 * The guest does not need what is in these bytes of its memory, whole 4096-byte pages: give them back to the host. They read
	 * as zeros or as before, and are usable again whenever the guest touches them. A hint: failure changes nothing. Never blocks.
	 */
	void (*release)(struct balloon_backend *be, uint64_t gpa, uint64_t len);
	/* The guest's answer; NULL: nobody asks, and the guest is not offered to tell. */
	void (*stats)(struct balloon_backend *be, const struct balloon_stat *stats, unsigned int count);
	void (*close)(struct balloon_backend *be);	/* may be NULL */
};

/* --- a shared directory ---------------------------------------------------------------------------------------------- */

/*
 * Files are waited for on a thread of the backend's: the device gives it jobs, which it runs one after the other, in order, without
 * the I/O lock. Every other operation here is called from within a job and may wait for the host. They return 0 or more, or a
 * negative errno, whose values are those of Linux. Names have been checked: one component, not empty, no '/', not "." or "..".
 */
struct share_job {
	void (*work)(struct share_job *job);	/* on the backend's thread */
	void (*done)(struct share_job *job);	/* then on the loop's, with the I/O lock */
};

/* A file, directory or link of the share that the guest holds on to. Opaque; released by release(). */
struct share_file;

/* What identifies a file: 9P's qid. */
struct share_id {
	uint64_t path;				/* different for each file, for as long as it exists */
	uint32_t version;			/* changes with the contents */
	uint8_t type;				/* SHARE_* */
};

#define SHARE_DIRECTORY	0x80
#define SHARE_SYMLINK	0x02
#define SHARE_FILE	0x00

struct share_time {
	uint64_t sec, nsec;
};

struct share_attr {
	struct share_id id;
	uint32_t mode, uid, gid;
	uint64_t nlink, rdev, size, blksize, blocks;	/* blocks of 512 bytes, whatever blksize says */
	struct share_time atime, mtime, ctime;
};

/* What setattr() is to change: the values are those of 9P2000.L. */
#define SHARE_SET_MODE		0x001u
#define SHARE_SET_UID		0x002u
#define SHARE_SET_GID		0x004u
#define SHARE_SET_SIZE		0x008u
#define SHARE_SET_ATIME		0x010u		/* to now, or with ATIME_VALUE to that of @attr; so for mtime */
#define SHARE_SET_MTIME		0x020u
#define SHARE_SET_CTIME		0x040u
#define SHARE_SET_ATIME_VALUE	0x080u
#define SHARE_SET_MTIME_VALUE	0x100u

/* How to open: again as in 9P2000.L. Others are ignored. */
#define SHARE_OPEN_ACCESS	000000003u	/* 0 read, 1 write, 2 both */
#define SHARE_OPEN_EXCLUSIVE	000000200u
#define SHARE_OPEN_TRUNCATE	000001000u
#define SHARE_OPEN_APPEND	000002000u
#define SHARE_OPEN_DSYNC	000010000u
#define SHARE_OPEN_DIRECTORY	000200000u
#define SHARE_OPEN_SYNC		004000000u

struct share_entry {
	struct share_id id;			/* without its version */
	uint64_t next;				/* where readdir() goes on after it */
	uint8_t type;				/* DT_* of <dirent.h> */
	const char *name;
};

struct share_space {
	uint32_t block_size, name_max;
	uint64_t blocks, blocks_free, blocks_available, files, files_free, id;
};

#define SHARE_TAG_MAX 32

struct share_backend {
	const struct share_backend_ops *ops;
	char tag[SHARE_TAG_MAX + 1];		/* what the guest mounts it by */
	bool read_only;				/* the device refuses whatever would change something; the backend never sees it */
};

struct share_backend_ops {
	void (*run)(struct share_backend *be, struct share_job *job);	/* never blocks */
	/*
	 * May the caller call the operations below itself, until now(be, false)? Only while no job is under way. Then those that look at
	 * files say -EAGAIN where they would have to wait for a disk or for another machine. Those that change something are not to be called.
	 */
	bool (*now)(struct share_backend *be, bool begin);
	void (*drain)(struct share_backend *be);	/* returns when nothing is under way, done() called: as for disks */
	void (*close)(struct share_backend *be);	/* every file has been released */

	/* Handles. The new one is the caller's to release. */
	int (*root)(struct share_backend *be, struct share_file **file, struct share_id *id);
	int (*copy)(struct share_backend *be, struct share_file *file, struct share_file **copy);	/* of one that is not open */
	/* @name may be "..", which never leads out. Symbolic links are not followed: the guest does that. */
	int (*walk)(struct share_backend *be, struct share_file *dir, const char *name, struct share_file **file, struct share_id *id);
	void (*release)(struct share_backend *be, struct share_file *file);
	/* Would its release() be the end of a file that has no name any more, which takes time? True if that cannot be said. */
	bool (*ends)(struct share_backend *be, struct share_file *file);

	/* Contents. read() and write() want a file that has been opened; they return bytes. */
	int (*open)(struct share_backend *be, struct share_file *file, uint32_t flags, struct share_id *id);
	/* Make @name in @dir, open it, and have @dir be the new file from now on. */
	int (*create)(struct share_backend *be, struct share_file *dir, const char *name, uint32_t flags, uint32_t mode, struct share_id *id);
	int64_t (*read)(struct share_backend *be, struct share_file *file, uint64_t offset, const struct virtio_iov *iov, unsigned int count);
	int64_t (*write)(struct share_backend *be, struct share_file *file, uint64_t offset, const struct virtio_iov *iov, unsigned int count);
	int (*fsync)(struct share_backend *be, struct share_file *file, bool data_only);
	/* From @offset (0 or an entry's next) until add() is full and says false. */
	int (*readdir)(struct share_backend *be, struct share_file *dir, uint64_t offset,
		       bool (*add)(void *opaque, const struct share_entry *entry), void *opaque);

	/* Names. */
	int (*mkdir)(struct share_backend *be, struct share_file *dir, const char *name, uint32_t mode, struct share_id *id);
	int (*mknod)(struct share_backend *be, struct share_file *dir, const char *name, uint32_t mode, struct share_id *id);
	int (*symlink)(struct share_backend *be, struct share_file *dir, const char *name, const char *target, struct share_id *id);
	int (*link)(struct share_backend *be, struct share_file *dir, const char *name, struct share_file *file);
	int (*rename)(struct share_backend *be, struct share_file *from, const char *name, struct share_file *to, const char *new_name);
	int (*unlink)(struct share_backend *be, struct share_file *dir, const char *name, bool directory);
	/* The same two for a file by the name that it was reached by. */
	int (*move)(struct share_backend *be, struct share_file *file, struct share_file *to, const char *new_name);
	int (*remove)(struct share_backend *be, struct share_file *file);

	/* Attributes. */
	int (*readlink)(struct share_backend *be, struct share_file *file, char *target, size_t size);	/* the length; no NUL */
	int (*getattr)(struct share_backend *be, struct share_file *file, struct share_attr *attr);
	int (*setattr)(struct share_backend *be, struct share_file *file, uint32_t valid, const struct share_attr *attr);
	int (*statfs)(struct share_backend *be, struct share_file *file, struct share_space *space);
	/* Of one attribute, or with @name NULL the list of their names. The length; @size 0 only asks for it. */
	int (*getxattr)(struct share_backend *be, struct share_file *file, const char *name, void *value, size_t size);
	int (*setxattr)(struct share_backend *be, struct share_file *file, const char *name, const void *value, size_t size, int flags);
	int (*removexattr)(struct share_backend *be, struct share_file *file, const char *name);
};

#endif
