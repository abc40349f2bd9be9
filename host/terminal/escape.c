/* SPDX-License-Identifier: MIT */
#include "host/terminal/escape.h"

size_t escape_filter(struct escape *escape, char *data, size_t len)
{
	size_t kept = 0;

	for (size_t i = 0; i < len; i++) {
		char c = data[i];

		if (!escape->pending) {
			if (c == ESCAPE_KEY)
				escape->pending = true;
			else
				data[kept++] = c;
			continue;
		}
		escape->pending = false;
		if (c == ESCAPE_KEY || c == 'a')
			data[kept++] = ESCAPE_KEY;
		else
			escape->command(escape->opaque, c);
	}
	return kept;
}
