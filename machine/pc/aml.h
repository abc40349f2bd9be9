/* SPDX-License-Identifier: MIT */
/*
 * aml.h - just enough of the ACPI machine language to describe a board (ACPI 6.3, chapter 20), and resource descriptors (6.4).
 *
 * Bytes are appended to a buffer of fixed size; what does not fit is counted and not written, so that one look at the end tells.
 * Objects with a length are opened and closed:
 *
 *	size_t device = aml_open_device(&aml, "COM1");
 *	...
 *	aml_close(&aml, device);
 */
#ifndef KENNEL_MACHINE_PC_AML_H
#define KENNEL_MACHINE_PC_AML_H

#include <stddef.h>
#include <stdint.h>

struct aml {
	uint8_t *data;
	size_t size, used;		/* used > size: it did not fit */
};

/* --- objects --------------------------------------------------------------------------------------------------------- */

void aml_number(struct aml *aml, uint32_t value);

/** aml_name - Name(@name, ...): the object follows. Names are four letters, "_S5_", or "\\" and four. */
void aml_name(struct aml *aml, const char *name);

/** aml_id - EisaId(@id): three letters and four hexadecimal digits, "PNP0501" */
void aml_id(struct aml *aml, const char *id);

/* Each returns what to give to aml_close(). */
size_t aml_open_scope(struct aml *aml, const char *name);
size_t aml_open_device(struct aml *aml, const char *name);
size_t aml_open_package(struct aml *aml, uint8_t elements);
void aml_close(struct aml *aml, size_t open);

/* --- resources: ResourceTemplate() {...} ----------------------------------------------------------------------------- */

size_t aml_open_resources(struct aml *aml);
void aml_close_resources(struct aml *aml, size_t open);

void aml_ports(struct aml *aml, uint16_t first, uint8_t count);
void aml_irq(struct aml *aml, unsigned int line);

/* What a bridge passes on: bus numbers, ports, memory; @last inclusive. */
void aml_bus_window(struct aml *aml, uint16_t first, uint16_t last);
void aml_port_window(struct aml *aml, uint16_t first, uint16_t last);
void aml_memory_window(struct aml *aml, uint32_t first, uint32_t last);

#endif
