/* SPDX-License-Identifier: MIT */
/*
 * clause.h - tests named after clauses of the virtio standard: scripts/clauses looks for them. Include after <cmocka.h>.
 *
 *	CLAUSE("2.1.1-2", bits_are_not_cleared),	in an array of struct CMUnitTest
 */
#ifndef TESTS_CLAUSE_H
#define TESTS_CLAUSE_H

/* @clauses: one or more, as docs/clauses.txt numbers them, separated by blanks. */
#define CLAUSE(clauses, function) { clauses ": " #function, function, NULL, NULL, NULL }
#define CLAUSE_SETUP(clauses, function, setup, teardown) { clauses ": " #function, function, setup, teardown, NULL }

#endif
