/* SPDX-License-Identifier: MIT */
/*
 * A hostile guest and a shared directory: messages with fields that mean something more often than not, cut, mixed up and overtaken by
 * resets; through the bus, the device and the backend's thread to a real directory.
 *
 * What must hold, besides that nothing crashes or hangs: what lies beside the directory stays as it is, and no answer shows it.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <virtio/driver.h>
#include <virtio/p9.h>

#include "client.h"
#include "tests/device/bed.h"
#include "tests/virtio/fuzz.h"

#define MESSAGES	24		/* at a time */
#define ROOM		4096u

/* f fid, n name, o flags of an open, m mode, b w d q numbers, v the bits of Tsetattr, r a count and so many bytes. */
static const struct {
	uint8_t type;
	const char *format;
} messages[] = {
	{P9_TVERSION, "dV"}, {P9_TATTACH, "fFnnd"}, {P9_TWALK, "ffN"}, {P9_TWALK, "ffN"}, {P9_TWALK, "ffN"}, {P9_TLOPEN, "fo"},
	{P9_TLOPEN, "fo"}, {P9_TLCREATE, "fnomd"}, {P9_TREAD, "fqd"}, {P9_TWRITE, "fqr"}, {P9_TREADDIR, "fqd"}, {P9_TGETATTR, "fq"},
	{P9_TSETATTR, "fvmddqqqqq"}, {P9_TMKDIR, "fnmd"}, {P9_TMKNOD, "fnmddd"}, {P9_TSYMLINK, "fntd"}, {P9_TLINK, "ffn"},
	{P9_TRENAME, "ffn"}, {P9_TRENAMEAT, "fnfn"}, {P9_TUNLINKAT, "fnu"}, {P9_TREMOVE, "f"}, {P9_TCLUNK, "f"}, {P9_TREADLINK, "f"},
	{P9_TXATTRWALK, "ffx"}, {P9_TXATTRCREATE, "fxqd"}, {P9_TFSYNC, "fd"}, {P9_TLOCK, "fbdqqdn"}, {P9_TGETLOCK, "fbqqdn"},
	{P9_TFLUSH, "w"}, {P9_TSTATFS, "f"}, {P9_TAUTH, "fnnd"},
};

static const char *const names[] = {
	"a", "b", "dir", "file", "link", "out", "up", "fifo", "..", ".", "", "a/b", "../secret", "/etc/passwd", "secret",
	"a-name-that-is-rather-long-for-a-name",
};
static const char *const targets[] = {"..", "../secret", "/", "/etc/passwd", "dir", "/proc/self/fd/0", ".", ""};
static const char *const xattrs[] = {"", "user.a", "user.b", "security.x", "user.", "trusted.x", "user", "system.posix_acl_access"};

static struct {
	struct client client;
	struct bed *bed;
	struct virtio_device *vdev;
	struct virtio_queue *queue;
	uint8_t *out[MESSAGES], *in[MESSAGES];
	unsigned long used[MESSAGES];
	unsigned int next;
	size_t base;			/* of memory for a driver, which each reset gives back */
} guest;

static struct fuzz_input in;
static uint8_t message[ROOM];
static size_t len;

/* --- messages --------------------------------------------------------------------------------------------------------- */

static void put(uint64_t v, size_t bytes)
{
	uint8_t b[8];

	virtio_put64(false, b, v);
	if (len + bytes <= sizeof(message))
		memcpy(message + len, b, bytes);
	len += bytes;
}

static void put_text(const char *text)
{
	size_t n = strlen(text);

	put(n, 2);
	for (size_t i = 0; i < n; i++)
		put((uint8_t)text[i], 1);
}

static uint64_t number(void)
{
	static const uint64_t some[] = {
		0, 1, 2, 3, 4, 10, 24, 100, 4095, 4096, 65536, 0x7fffffff, 0xffffffff, INT64_MAX, UINT64_MAX, 0x80000000,
	};
	uint8_t kind = fuzz_u8(&in);

	return kind & 0x80 ? (uint64_t)fuzz_u32(&in) << (kind & 31) : some[kind % 16];
}

static void put_name(void)
{
	uint8_t kind = fuzz_u8(&in);

	if (kind < 0xf0) {
		put_text(names[kind % (sizeof(names) / sizeof(names[0]))]);
		return;
	}
	put(kind & 7, 2);
	for (unsigned int i = 0; i < (kind & 7u); i++)
		put(fuzz_u8(&in), 1);
}

static void put_field(char format)
{
	uint64_t count;

	switch (format) {
	case 'f':
		put(fuzz_u8(&in) % 8, 4);
		break;
	case 'F':
		put(fuzz_u8(&in) & 15 ? P9_NOFID : 0, 4);
		break;
	case 'n':
		put_name();
		break;
	case 'N':
		count = fuzz_u8(&in) % 4;
		put(count, 2);
		while (count--)
			put_name();
		break;
	case 't':
		put_text(targets[fuzz_u8(&in) % 8]);
		break;
	case 'x':
		put_text(xattrs[fuzz_u8(&in) % 8]);
		break;
	case 'V':
		put_text(fuzz_u8(&in) & 15 ? "9P2000.L" : "9P2000");
		break;
	case 'o':
		put(fuzz_u8(&in) % 4 | (fuzz_u8(&in) & 3) << 9 | (fuzz_u8(&in) & 1) << 7, 4);
		break;
	case 'm':
		put((uint64_t)(fuzz_u8(&in) % 16) << 12 | (fuzz_u16(&in) & 07777), 4);
		break;
	case 'v':
		put(fuzz_u16(&in) & 0x1ff, 4);
		break;
	case 'u':
		put(fuzz_u8(&in) & 1 ? 0x200 : 0, 4);
		break;
	case 'r':
		count = fuzz_u8(&in);
		put(fuzz_u8(&in) & 15 ? count : number(), 4);
		while (count--)
			put('x', 1);
		break;
	case 'b':
		put(number(), 1);
		break;
	case 'w':
		put(number(), 2);
		break;
	case 'd':
		put(number(), 4);
		break;
	default:
		put(number(), 8);
	}
}

static void make_message(void)
{
	unsigned int which = fuzz_u8(&in) % (sizeof(messages) / sizeof(messages[0]));
	uint8_t damage = fuzz_u8(&in);

	len = 0;
	put(0, 4);
	put(damage == 0xff ? fuzz_u8(&in) : messages[which].type, 1);
	put(guest.next, 2);
	for (const char *f = messages[which].format; *f; f++)
		put_field(*f);
	if (len > sizeof(message))
		len = sizeof(message);
	virtio_put32(false, message, damage == 0xfe ? fuzz_u32(&in) : (uint32_t)len);
	if (damage == 0xfd)
		len = P9_HEADER + fuzz_u8(&in) % (len - P9_HEADER + 1);
	if (damage == 0xfc)
		message[fuzz_u16(&in) % len] = fuzz_u8(&in);
}

/* --- the guest -------------------------------------------------------------------------------------------------------- */

static void drain(void)
{
	io_lock();
	guest.client.be->ops->drain(guest.client.be);
	io_unlock();
}

static void check(bool good, const char *what)
{
	if (!good) {
		fprintf(stderr, "fuzz-share: %s\n", what);
		abort();
	}
}

static void look_at(const uint8_t *answer, unsigned long written)
{
	check(written >= P9_HEADER && written <= ROOM && virtio_get32(false, answer) == written, "an answer of the wrong length");
	check(!memmem(answer, written, SECRET, strlen(SECRET)), "an answer that tells the secret");
}

static void collect(void)
{
	drain();
	virtio_harvest(guest.queue);
	for (unsigned int i = 0; i < guest.next; i++)
		if (virtio_is_done(&guest.used[i]) && guest.used[i] != VIRTIO_CANCELLED)
			look_at(guest.in[i], guest.used[i]);
	guest.next = 0;
}

static void send_message(void)
{
	unsigned int i = guest.next;
	uint8_t cut = fuzz_u8(&in);
	size_t first;
	struct virtio_iov sg[4];

	make_message();
	first = cut % len;
	memcpy(guest.out[i], message, len);
	sg[0] = (struct virtio_iov){guest.out[i], first};
	sg[1] = (struct virtio_iov){guest.out[i] + first, len - first};
	sg[2] = (struct virtio_iov){guest.in[i], 11 + cut % 64u};
	sg[3] = (struct virtio_iov){guest.in[i] + sg[2].len, ROOM - sg[2].len};
	if (virtio_add_inbuf(guest.queue, first ? sg : sg + 1, first ? 2 : 1, first ? 4 : 3, &guest.used[i]) < 0)
		return;
	virtio_sync(guest.queue);
	if (++guest.next == MESSAGES)
		collect();
}

static void probe(void)
{
	virtio_device_setup(guest.vdev, VIRTIO_P9_F_MOUNT_TAG | VIRTIO_F_INDIRECT_DESC);
	check(virtio_device_queue(guest.vdev, 0, NULL, NULL, &guest.queue) == 0, "no queue");
	virtio_device_ready(guest.vdev);
}

static void reset(void)
{
	io_lock();
	virtio_device_remove(guest.vdev);
	io_unlock();
	guest.next = 0;
	memset(guest.bed->memory + guest.base, 0, guest.bed->next - guest.base);
	guest.bed->next = guest.base;
	probe();
}

static void send_bytes(const uint8_t *bytes, size_t count)
{
	unsigned int i = guest.next++;
	struct virtio_iov sg[2] = {{guest.out[i], count}, {guest.in[i], ROOM}};

	memcpy(guest.out[i], bytes, count);
	check(virtio_add_inbuf(guest.queue, sg, 1, 2, &guest.used[i]) >= 0, "no room");
	virtio_sync(guest.queue);
}

/* A root, an open file, an open directory: so that not every input has to find them. */
static void begin_session(void)
{
	static const uint8_t version[] = {21, 0, 0, 0, P9_TVERSION, 0, 0, 0, 0x20, 0, 0, 8, 0, '9', 'P', '2', '0', '0', '0', '.', 'L'};
	static const uint8_t attach[] = {23, 0, 0, 0, P9_TATTACH, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0};
	static const uint8_t file[] = {23, 0, 0, 0, P9_TWALK, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 4, 0, 'f', 'i', 'l', 'e'};
	static const uint8_t open_file[] = {15, 0, 0, 0, P9_TLOPEN, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0};
	static const uint8_t root[] = {17, 0, 0, 0, P9_TWALK, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0};
	static const uint8_t open_root[] = {15, 0, 0, 0, P9_TLOPEN, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0};

	send_bytes(version, sizeof(version));
	send_bytes(attach, sizeof(attach));
	send_bytes(file, sizeof(file));
	send_bytes(open_file, sizeof(open_file));
	send_bytes(root, sizeof(root));
	send_bytes(open_root, sizeof(open_root));
	collect();
	for (unsigned int i = 0; i < 6; i++)
		check(guest.in[i][4] != P9_RLERROR, "the session did not begin");
}

/* --- the host --------------------------------------------------------------------------------------------------------- */

static void furnish(void)
{
	client_clean(&guest.client);
	mkdir(host_path(&guest.client, "share/dir"), 0755);
	host_write(&guest.client, "share/file", "contents");
	host_write(&guest.client, "share/dir/file", "more contents");
	check(symlink("../secret", host_path(&guest.client, "share/out")) == 0, "symlink");
	check(symlink("..", host_path(&guest.client, "share/up")) == 0, "symlink");
}

/* Once; the process ends with it in place, so it is put where nobody minds. */
static void set_up(void)
{
	struct rlimit limit = {1 << 20, 1 << 20};

	if (guest.bed)
		return;
	check(!chdir(getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp"), "no directory for temporary files");
	client_begin(&guest.client, false);
	setrlimit(RLIMIT_FSIZE, &limit);
	guest.bed = bed_create();
	bed_add(guest.bed, p9_device_create(guest.client.be));
	bed_boot(guest.bed);
	for (unsigned int i = 0; i < MESSAGES; i++) {
		guest.out[i] = guest.bed->memory + LGUEST_PAGE_SIZE + 2 * i * ROOM;
		guest.in[i] = guest.out[i] + ROOM;
	}
	guest.bed->next = LGUEST_PAGE_SIZE + MESSAGES * 2 * ROOM;
	guest.vdev = &bed_next(guest.bed, VIRTIO_ID_9P)->vdev;
	guest.base = guest.bed->next;
	probe();
}

static void clean_up(void)
{
	if (!guest.bed)
		return;
	bed_destroy(guest.bed);
	guest.client.be = NULL;
	client_end(&guest.client);
}

static void check_outside(void)
{
	const char *secret = host_read(&guest.client, "secret");
	DIR *dir = opendir(guest.client.dir);
	unsigned int count = 0;

	check(secret && !strcmp(secret, SECRET), "the secret has changed");
	check(dir, "the directory around the share has gone");
	while (readdir(dir))
		count++;
	closedir(dir);
	check(count == 4, "something new beside the share");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool registered;

	set_up();
	if (!registered)
		registered = !atexit(clean_up);
	in = (struct fuzz_input){data, size};
	furnish();
	reset();
	begin_session();
	while (in.left) {
		uint8_t op = fuzz_u8(&in);

		if (op == 0xff)
			reset();
		else if (op == 0xfe)
			client_clean(&guest.client);
		else if (op >= 0xe0)
			collect();
		else
			send_message();
	}
	collect();
	check_outside();
	return 0;
}
