/* SPDX-License-Identifier: MIT */
/* Kernels, whole and spoiled: where they go, and what is said about those that go nowhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "images.h"
#include "machine/boot/bytes.h"
#include "machine/boot/params.h"

enum { RAM = 8 << 20 };

static uint8_t *ram;
static struct kernel kernel;
static struct error error;

static int make_ram(void **state)
{
	ram = calloc(1, RAM);
	return !ram;
}

static int drop_ram(void **state)
{
	free(ram);
	image_cleanup();
	return 0;
}

static void assert_says(const char *part)
{
	if (!strstr(error.text, part))
		fail_msg("\"%s\" does not say \"%s\"", error.text, part);
}

static void open_image(struct image image)
{
	const char *file = image_file(image.data, image.size);

	if (kernel_open(&kernel, file, &error))
		fail_msg("%s", error.text);
}

/* The image is refused, and the sentence names the file and has @part in it. Frees the image. */
static void assert_refused(struct image image, const char *part)
{
	const char *file = image_file(image.data, image.size);

	error.text[0] = 0;
	assert_true(kernel_open(&kernel, file, &error) < 0);
	assert_int_equal(strncmp(error.text, file, strlen(file)), 0);
	assert_says(part);
	image_free(image);
}

static Elf32_Phdr *segment(struct image image)
{
	return (Elf32_Phdr *)(image.data + sizeof(Elf32_Ehdr));
}

/* --- loading ----------------------------------------------------------------------------------------------------------- */

static void vmlinux_goes_to_its_addresses(void **state)
{
	struct image image = image_vmlinux();

	open_image(image);
	assert_null(kernel.setup);
	assert_int_equal(kernel.place.entry, IMAGE_ENTRY);
	assert_int_equal(kernel.place.start, IMAGE_PADDR);
	assert_int_equal(kernel.place.end, IMAGE_PADDR + IMAGE_TEXT + IMAGE_BSS);
	assert_string_equal(kernel.version, "3.19.8 (somebody@somewhere) #1");
	assert_int_equal(kernel_load(&kernel, ram, RAM, &error), 0);
	assert_memory_equal(ram + IMAGE_PADDR, image.data + 0x1000, IMAGE_TEXT);
	assert_int_equal(ram[IMAGE_PADDR + IMAGE_TEXT], 0);
	assert_true(kernel_contains(&kernel, "lguest", 7));
	assert_false(kernel_contains(&kernel, "lguest!", 8));
	kernel_close(&kernel);
	image_free(image);
}

static void rested_image_loads_again(void **state)
{
	struct image plain = image_vmlinux(), packed = image_pack("xz", plain), image = image_bzimage(0x20c, packed.data, packed.size);

	open_image(image);
	for (int boots = 0; boots < 2; boots++) {
		kernel_rest(&kernel);
		assert_null(kernel.unpacked);
		memset(ram, 0, RAM);
		assert_int_equal(kernel_load(&kernel, ram, RAM, &error), 0);
		assert_memory_equal(ram + IMAGE_PADDR, plain.data + 0x1000, IMAGE_TEXT);
	}
	kernel_close(&kernel);
	image_free(image);
	image_free(packed);
	image_free(plain);
}

static void write_over(const char *path, struct image image)
{
	int fd = open(path, O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, image.data, image.size), image.size);
	close(fd);
}

/* Between two boots somebody writes to the file: another kernel, or nothing that could be one. */
static void changed_image_is_not_loaded(void **state)
{
	struct image image = image_vmlinux(), other = image_vmlinux();
	const char *file = image_file(image.data, image.size);

	assert_int_equal(kernel_open(&kernel, file, &error), 0);
	kernel_rest(&kernel);
	segment(other)->p_memsz += 4096;
	write_over(file, other);
	assert_int_equal(kernel_load(&kernel, ram, RAM, &error), -ENOEXEC);
	assert_says("is another kernel now");
	segment(other)->p_memsz = 0xffffffff;
	write_over(file, other);
	assert_true(kernel_load(&kernel, ram, RAM, &error) < 0);
	kernel_close(&kernel);
	image_free(image);
	image_free(other);
}

static void virtual_entry_is_moved_with_its_segment(void **state)
{
	struct image image = image_vmlinux();

	((Elf32_Ehdr *)image.data)->e_entry += 0xc0000000;
	open_image(image);
	assert_int_equal(kernel.place.entry, IMAGE_ENTRY);
	kernel_close(&kernel);
	image_free(image);
}

static void every_packing_unpacks(void **state)
{
	static const char *const formats[] = {"gzip", "xz", "lzma", "bzip2", "lzo", "lz4", "zstd"};
	struct image plain = image_vmlinux();

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		struct image packed = image_pack(formats[i], plain);
		struct image image = image_bzimage(0x20c, packed.data, packed.size);

		open_image(image);
		assert_string_equal(kernel.unpacker->name, formats[i]);
		assert_string_equal(kernel.version, "3.11.10 (somebody@somewhere) #2 SMP");
		assert_int_equal(kernel.elf_size, plain.size);
		assert_memory_equal(kernel.elf, plain.data, plain.size);
		assert_int_equal(kernel.place.entry, IMAGE_ENTRY);
		kernel_close(&kernel);
		/* A byte in the middle, and the end of it: neither may unpack to something. lz4's own checks see only some of it. */
		memset(image.data + 1536 + 64 + packed.size / 2, 0x55, 32);
		if (strcmp(formats[i], "lz4") && strcmp(formats[i], "lzo"))
			assert_refused(image, "does not unpack");
		else
			image_free(image);
		image = image_bzimage(0x20c, packed.data, packed.size);
		put32(image.data + 1536 + 64 + packed.size - 4, (uint32_t)plain.size + 1);
		assert_refused(image, "does not unpack");
		image_free(packed);
	}
	image_free(plain);
}

static void old_bzimage_is_loaded_as_it_is(void **state)
{
	struct image plain = image_vmlinux(), image = image_bzimage(0x207, plain.data, plain.size);

	open_image(image);
	assert_null(kernel.elf);
	assert_int_equal(kernel.place.entry, 0x100000);
	assert_int_equal(kernel_load(&kernel, ram, RAM, &error), 0);
	assert_memory_equal(ram + 0x100000, image.data + 1536, image.size - 1536);
	/* What cannot be seen is not held against it. */
	assert_true(kernel_contains(&kernel, "anything", 8));
	kernel_close(&kernel);
	image_free(plain);
	image_free(image);
}

static void unknown_packing_is_loaded_as_it_is(void **state)
{
	uint8_t payload[4096] = "what is this?";
	struct image image = image_bzimage(0x20c, payload, sizeof(payload));

	open_image(image);
	assert_null(kernel.elf);
	/* init_size counts from where it moves itself to. */
	assert_int_equal(kernel.place.end, 0x1000000 + 0x400000);
	assert_int_equal(kernel_load(&kernel, ram, RAM, &error), -ENOMEM);
	assert_says("needs at least 20M, the guest has 8M");
	kernel_close(&kernel);
	image_free(image);
}

/* --- refusing ---------------------------------------------------------------------------------------------------------- */

static void files_that_are_no_kernels(void **state)
{
	static const char text[] = "#!/bin/sh\necho hello\n";

	assert_true(kernel_open(&kernel, "/nonexistent/vmlinux", &error) < 0);
	assert_says("/nonexistent/vmlinux: cannot open the kernel: No such file");
	assert_true(kernel_open(&kernel, "/tmp", &error) < 0);
	assert_says("/tmp: is a directory");
	assert_true(kernel_open(&kernel, "/dev/null", &error) < 0);
	assert_says("/dev/null: is not a regular file");
	assert_refused((struct image){calloc(1, 1), 0}, "is empty");
	assert_refused((struct image){(uint8_t *)strdup(text), sizeof(text)}, "is not a kernel");
}

static void elf_files_of_other_kinds(void **state)
{
	struct image image = image_vmlinux();

	image.data[EI_CLASS] = ELFCLASS64;
	assert_refused(image, "64-bit");
	image = image_vmlinux();
	image.data[EI_DATA] = ELFDATA2MSB;
	assert_refused(image, "another processor");
	image = image_vmlinux();
	((Elf32_Ehdr *)image.data)->e_machine = EM_ARM;
	assert_refused(image, "another processor");
	image = image_vmlinux();
	((Elf32_Ehdr *)image.data)->e_type = ET_REL;
	assert_refused(image, "not an executable");
	image = image_vmlinux();
	((Elf32_Ehdr *)image.data)->e_phnum = 0;
	assert_refused(image, "no program headers");
	image = image_vmlinux();
	((Elf32_Ehdr *)image.data)->e_entry = 0x900000;
	assert_refused(image, "entry point 0x900000");
}

static void truncated_elf_files(void **state)
{
	static const size_t sizes[] = {4, 20, 51, 60, 100, 0x1000, 0x2fff};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct image image = image_vmlinux();

		image.size = sizes[i];
		assert_refused(image, "truncated");
	}
}

static void spoiled_segments(void **state)
{
	struct image image = image_vmlinux();

	segment(image)->p_memsz = 16;
	assert_refused(image, "larger in the file");
	image = image_vmlinux();
	segment(image)->p_paddr = 0xffffff00;
	assert_refused(image, "outside memory");
	image = image_vmlinux();
	segment(image)->p_offset = 0xfffffff0;
	assert_refused(image, "truncated");
	image = image_vmlinux();
	((Elf32_Ehdr *)image.data)->e_phoff = 0xfffffff0;
	assert_refused(image, "truncated");
}

/* No bytes in memory, but some in the file, and an address nobody has looked at: nothing may be copied. */
static void segment_without_memory(void **state)
{
	struct image image = image_vmlinux();

	segment(image)[1] = (Elf32_Phdr){.p_type = PT_LOAD, .p_paddr = 0x80000000, .p_filesz = 0x100};
	open_image(image);
	assert_int_equal(kernel_load(&kernel, ram, RAM, &error), 0);
	kernel_close(&kernel);
	image_free(image);
}

static void segments_outside_memory(void **state)
{
	struct image image = image_vmlinux();

	segment(image)->p_memsz = 100 << 20;
	open_image(image);
	assert_int_equal(kernel_load(&kernel, ram, RAM, &error), -ENOMEM);
	assert_says("needs at least 101M, the guest has 8M");
	kernel_close(&kernel);

	/* Begins behind what there is: the same reason, and the same sentence. */
	segment(image)->p_memsz = IMAGE_TEXT;
	segment(image)->p_paddr = 0x1000000;
	((Elf32_Ehdr *)image.data)->e_entry = 0x1000000;
	open_image(image);
	assert_int_equal(kernel_load(&kernel, ram, RAM, &error), -ENOMEM);
	assert_says("needs at least 17M, the guest has 8M");
	kernel_close(&kernel);

	/* No guest has so much. */
	segment(image)->p_paddr = 0xc0000000;
	((Elf32_Ehdr *)image.data)->e_entry = 0xc0000000;
	open_image(image);
	assert_int_equal(kernel_load(&kernel, ram, RAM, &error), -ENOEXEC);
	assert_says("segments outside memory");
	kernel_close(&kernel);

	segment(image)->p_paddr = 0x1000;
	((Elf32_Ehdr *)image.data)->e_entry = 0x1000;
	open_image(image);
	assert_int_equal(kernel_load(&kernel, ram, RAM, &error), -ENOEXEC);
	assert_says("where the boot parameters go");
	kernel_close(&kernel);
	image_free(image);
}

static void spoiled_bzimages(void **state)
{
	struct image plain = image_vmlinux(), packed = image_pack("xz", plain), image;

	image = image_bzimage(0x20c, packed.data, packed.size);
	image.size -= 100;
	assert_refused(image, "truncated");
	image = image_bzimage(0x20c, packed.data, packed.size);
	image.size = 1000;
	assert_refused(image, "truncated");
	image = image_bzimage(0x20c, packed.data, packed.size);
	put32(image.data + 0x24c, 0x7fffffff);
	assert_refused(image, "truncated");
	image = image_bzimage(0x20c, packed.data, packed.size);
	put32(image.data + 0x248, 0xffffffff);
	assert_refused(image, "truncated");
	image = image_bzimage(0x20c, packed.data, packed.size);
	put16(image.data + 0x236, 1);
	assert_refused(image, "64-bit");
	image = image_bzimage(0x20c, packed.data, packed.size);
	put32(image.data + 1536 + 64 + packed.size - 4, 0xffffffff);
	assert_refused(image, "claims to unpack to 4294967295 bytes");
	image_free(packed);

	plain.data[EI_CLASS] = ELFCLASS64;
	packed = image_pack("gzip", plain);
	assert_refused(image_bzimage(0x208, packed.data, packed.size), "64-bit");
	image_free(packed);
	plain.data[1] = 'X';
	packed = image_pack("gzip", plain);
	assert_refused(image_bzimage(0x208, packed.data, packed.size), "no ELF file");
	image_free(packed);

	image = image_bzimage(0x202, plain.data, plain.size);
	image.data[0x211] = 0;
	assert_refused(image, "zImage");
	image_free(plain);
}

/* Whatever bytes a header has, the answer is a sentence, not a crash. */
static void random_headers(void **state)
{
	struct image plain = image_vmlinux(), packed = image_pack("gzip", plain);
	uint32_t seed = 1;

	for (int i = 0; i < 400; i++) {
		struct image image = i & 1 ? image_bzimage(0x20c, packed.data, packed.size) : image_vmlinux();
		size_t from = i & 1 ? 0x1f1 : 4, room = i & 1 ? 0x80 : 110;

		for (int j = 0; j < 3; j++) {
			seed = seed * 1664525 + 1013904223;
			image.data[from + (seed >> 8) % room] = (uint8_t)(seed >> 24);
		}
		if (!kernel_open(&kernel, image_file(image.data, image.size), &error)) {
			kernel_load(&kernel, ram, RAM, &error);
			kernel_close(&kernel);
		}
		image_free(image);
	}
	image_free(packed);
	image_free(plain);
}

/* --- parameters -------------------------------------------------------------------------------------------------------- */

static void command_lines(void **state)
{
	char line[COMMAND_LINE_MAX + 2];

	assert_int_equal(command_line_check("", &error), 0);
	assert_int_equal(command_line_check("quiet mem=64M", &error), 0);
	assert_int_equal(command_line_check_memory("root=/dev/vda mymem=3 memory_hotplug=1", &error), 0);
	assert_int_equal(command_line_check_memory("quiet mem=64M", &error), -EINVAL);
	assert_says("\"mem=64M\"");
	assert_int_equal(command_line_check_memory("memmap=1M$3M rw", &error), -EINVAL);
	assert_says("\"memmap=1M$3M\"");
	assert_int_equal(command_line_check_memory(" highmem=1G", &error), -EINVAL);
	memset(line, 'x', sizeof(line));
	line[COMMAND_LINE_MAX] = 0;
	assert_int_equal(command_line_check(line, &error), 0);
	line[COMMAND_LINE_MAX] = 'x';
	line[COMMAND_LINE_MAX + 1] = 0;
	assert_int_equal(command_line_check(line, &error), -E2BIG);
	assert_says("too long: 2048 bytes");
}

static void parameter_page(void **state)
{
	struct image plain = image_vmlinux(), packed = image_pack("gzip", plain);
	struct image image = image_bzimage(0x20c, packed.data, packed.size);
	struct file_view initrd = {"initrd", (uint8_t *)strdup("some files"), 10};
	struct boot_params params = {.kernel = &kernel, .initrd = &initrd, .command_line = "quiet", .subarch = SUBARCH_LGUEST};

	open_image(image);
	assert_int_equal(kernel_load(&kernel, ram, RAM, &error), 0);
	assert_int_equal(boot_params_write(&params, ram, RAM, &error), 0);
	assert_int_equal(ram[0x1e8], 1);
	assert_int_equal(get16(ram + 0x206), 0x20c);
	assert_int_equal(ram[0x210], 0xff);
	assert_int_equal(ram[0x211], 0x41);		/* KEEP_SEGMENTS in, CAN_USE_HEAP out */
	assert_int_equal(get32(ram + 0x218), RAM - 4096);
	assert_int_equal(get32(ram + 0x21c), 10);
	assert_memory_equal(ram + RAM - 4096, "some files", 10);
	assert_int_equal(get32(ram + 0x228), 0x1000);
	assert_int_equal(get32(ram + 0x230), 0x200000);	/* the kernel's own */
	assert_int_equal(get32(ram + 0x23c), 1);
	assert_int_equal(get32(ram + 0x250), 0);	/* setup_data: not the file's */
	assert_int_equal(get32(ram + 0x2d0), 0);
	assert_int_equal(get32(ram + 0x2d8), RAM);
	assert_int_equal(get32(ram + 0x2e0), 1);
	assert_string_equal((char *)ram + 0x1000, "quiet");
	kernel_close(&kernel);

	open_image(plain);
	params.initrd = NULL;
	assert_int_equal(boot_params_write(&params, ram, RAM, &error), 0);
	assert_int_equal(get16(ram + 0x206), 0x207);
	assert_int_equal(ram[0x211] & 0x40, 0x40);
	assert_int_equal(get32(ram + 0x218), 0);
	assert_int_equal(get32(ram + 0x230), 0x1000000);
	kernel_close(&kernel);
	free(initrd.data);
	image_free(image);
	image_free(packed);
	image_free(plain);
}

/* A PC's: the page somewhere else, holes in memory, and segments that the kernel may load anew. */
static void parameters_of_a_pc(void **state)
{
	static const struct memory_range map[] = {{0, 0x9f000, MEMORY_RAM}, {0xe0000, 0x100000, MEMORY_ACPI}, {0x100000, RAM, MEMORY_RAM}};
	struct image plain = image_vmlinux(), packed = image_pack("gzip", plain);
	struct image image = image_bzimage(0x20f, packed.data, packed.size);
	struct boot_params params = {.kernel = &kernel, .command_line = "quiet", .subarch = SUBARCH_PC, .page = 0x10000, .map = map, .map_count = 3};
	const uint8_t *page = ram + 0x10000;

	open_image(image);
	assert_int_equal(kernel_load(&kernel, ram, RAM, &error), 0);
	assert_int_equal(boot_params_write(&params, ram, RAM, &error), 0);
	assert_int_equal(page[0x211], 0x01);
	assert_int_equal(get32(page + 0x228), 0x11000);
	assert_string_equal((char *)page + 0x1000, "quiet");
	assert_int_equal(get32(page + 0x23c), 0);
	assert_int_equal(page[0x1e8], 3);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(get32(page + 0x2d0 + 20 * i), map[i].start);
		assert_int_equal(get32(page + 0x2d8 + 20 * i), map[i].end - map[i].start);
		assert_int_equal(get32(page + 0x2e0 + 20 * i), map[i].type);
	}
	assert_int_equal(get32(ram + 0x228), 0);	/* nothing at address 0 */
	kernel_close(&kernel);
	image_free(image);
	image_free(packed);
	image_free(plain);
}

static void initrd_that_does_not_fit(void **state)
{
	struct image image = image_vmlinux();
	struct file_view initrd = {"big.cpio", calloc(1, RAM), RAM - (2 << 20)};
	struct boot_params params = {.kernel = &kernel, .initrd = &initrd, .command_line = "", .subarch = SUBARCH_LGUEST};

	open_image(image);
	assert_int_equal(boot_params_write(&params, ram, RAM, &error), 0);
	initrd.size = RAM - kernel.place.end + 1;
	assert_int_equal(boot_params_write(&params, ram, RAM, &error), -ENOMEM);
	assert_says("big.cpio: the initrd does not fit");
	initrd.size = (size_t)1 << 33;
	assert_int_equal(boot_params_write(&params, ram, RAM, &error), -ENOMEM);
	initrd.size = 0;
	assert_int_equal(boot_params_write(&params, ram, RAM, &error), -EINVAL);
	assert_says("big.cpio: is empty");
	kernel_close(&kernel);
	free(initrd.data);
	image_free(image);
}

#define T(test) cmocka_unit_test_setup_teardown(test, make_ram, drop_ram)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(vmlinux_goes_to_its_addresses), T(rested_image_loads_again), T(changed_image_is_not_loaded),
		T(virtual_entry_is_moved_with_its_segment), T(every_packing_unpacks),
		T(old_bzimage_is_loaded_as_it_is), T(unknown_packing_is_loaded_as_it_is), T(files_that_are_no_kernels),
		T(elf_files_of_other_kinds), T(truncated_elf_files), T(spoiled_segments), T(segment_without_memory), T(segments_outside_memory), T(spoiled_bzimages),
		T(random_headers), T(command_lines), T(parameter_page), T(parameters_of_a_pc), T(initrd_that_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
