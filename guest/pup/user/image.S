/* SPDX-License-Identifier: MIT */
/* image.S - the user program, as the kernel carries it. */
	.section .rodata
	.globl user_image, user_image_end
	.align 4096
user_image:
	.incbin USER_IMAGE_FILE
user_image_end:
	.section .note.GNU-stack, "", @progbits
