# SPDX-License-Identifier: MIT
"""fetched.py - where `kennel fetch` puts a bundle by itself, for benchmarks and tests."""
import os


def fetched(name='debian'):
    """The bundle's directory, or None if there is no kernel in it."""
    cache = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
    bundle = os.path.join(cache, 'kennel', name)
    return bundle if os.path.exists(os.path.join(bundle, 'vmlinuz')) else None
