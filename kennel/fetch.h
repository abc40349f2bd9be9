/* SPDX-License-Identifier: MIT */
/* fetch.h - guests that can be fetched by name. */
#ifndef KENNEL_KENNEL_FETCH_H
#define KENNEL_KENNEL_FETCH_H

#include <stdbool.h>

/** fetch_knows - is there a script that fetches @name? */
bool fetch_knows(const char *name);

/** fetch_name - run it with no options, and wait; 0 if it went well, else a negative errno, and the script has said why */
int fetch_name(const char *name);

#endif
