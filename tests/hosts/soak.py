#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""soak.py KENNEL GUEST [SECONDS] - a Debian that does everything at once for an hour, while the host has other things to do as well.

GUEST is what `kennel fetch debian --include stress-ng --to GUEST` leaves. In it stress-ng checks what it computes, processes begin and
end, files are written, copied and compared, and data comes from the host and is summed up. Beside it three loops keep the host's
processors busy. What counts: no sum is wrong, nothing the guest does goes quiet for three minutes, its kernel complains of nothing, and it
ends with status 0. Not part of `make check`, for the time it takes; results in TAP.
"""
import hashlib
import io
import os
import re
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time

BUSY, QUIET = 3, 180
PIECE = hashlib.sha512(b'kennel').digest() * 16384      # 1 MiB
PIECES = 8

SCRIPT = r'''
mount -t sysfs none /sys; mount -t tmpfs none /tmp; mount -t tmpfs none /run
mount -t tmpfs -o size=96m none /mnt
ip link set lo up
for card in /sys/class/net/e*; do ip address add 10.0.2.15/24 dev ${card##*/}; ip link set ${card##*/} up; done
over() { [ "$(cut -d. -f1 /proc/uptime)" -ge @SECONDS@ ]; }
wrong() { echo "soak-wrong $*"; }
beats() {
	n=0
	until over; do echo "soak-beat $1 $n"; n=$((n + 1)); $2 || wrong $1; done
}
programs() {
	for i in 1 2 3 4 5 6 7 8 9 10; do
		[ "$(sh -c 'echo $(expr 6 \* 7) | sed s/42/right/ | tr a-z A-Z')" = RIGHT ] || return 1
	done
}
files() {
	head -c 3000000 /dev/urandom >/mnt/one && cp /mnt/one /mnt/two && cmp /mnt/one /mnt/two && gzip -c /mnt/two >/mnt/three &&
		gzip -dc /mnt/three | cmp - /mnt/one && sync
}
network() {
	exec 3<>/dev/tcp/10.0.2.2/@PORT@
	sum=$(head -c @BYTES@ <&3 | sha256sum)
	exec 3>&-
	[ "${sum%% *}" = @SUM@ ]
}
verify() {
	stress-ng --verify --timeout 20 --temp-path /mnt --cpu 1 --vm 1 --vm-bytes 24M --fork 1 --exec 1 --pipe 1 --mmap 1 --mmap-bytes 8M --memcpy 1 \
		--qsort 1 --matrix 1 --str 1 --switch 1 --malloc 1 --malloc-bytes 8M --signest 1 --timer 1 --hdd 1 --hdd-bytes 4M >/tmp/log 2>&1 && return
	cat /tmp/log
	return 1
}
for what in programs files network verify; do beats $what $what & done
wait
dmesg | grep -E 'rcu.*stall|blocked for more|lockup|BUG:|Oops|unstable|segfault' && wrong dmesg
echo soak-over
echo o >/proc/sysrq-trigger
sleep 60
'''


def serve():
    """The port of somebody who sends PIECE again and again to whoever comes."""
    listener = socket.create_server(('127.0.0.1', 0))

    def give(connection):
        try:
            for _ in range(PIECES):
                connection.sendall(PIECE)
            connection.recv(1)
        except OSError:
            pass
        connection.close()

    def accept():
        while True:
            threading.Thread(target=give, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def archive(path, seconds):
    """The script, on what the guest sees as a disk."""
    script = SCRIPT
    for name, value in dict(SECONDS=seconds, PORT=serve(), BYTES=PIECES * len(PIECE), SUM=hashlib.sha256(PIECE * PIECES).hexdigest()).items():
        script = script.replace(f'@{name}@', str(value))
    with tarfile.open(path, 'w') as tar:
        entry = tarfile.TarInfo('script')
        entry.size = len(script)
        tar.addfile(entry, io.BytesIO(script.encode()))


class Watch:
    """What the guest prints: how often each of its loops came round, how long it was quiet at the most, and what went wrong."""

    def __init__(self):
        self.beats, self.wrong, self.longest, self.over = {}, [], {}, False
        self.last = {}

    def line(self, text):
        now = time.monotonic()
        if found := re.match(r'soak-beat (\w+) (\d+)', text):
            what = found[1]
            self.longest[what] = max(self.longest.get(what, 0), now - self.last.get(what, now))
            self.last[what], self.beats[what] = now, int(found[2]) + 1
        elif 'soak-wrong' in text or re.search(r'rcu.*stall|blocked for more|lockup|Oops|panic', text):
            self.wrong.append(text)
        elif 'soak-over' in text:
            self.over = True


def soak(kennel, guest, seconds):
    watch = Watch()
    with tempfile.TemporaryDirectory() as directory:
        disk = os.path.join(directory, 'script.tar')
        archive(disk, seconds)
        command = [kennel, 'run', '-m', '1G', '--trace', 'stats', '-i', os.path.join(guest, 'initrd.img'), '-d', os.path.join(guest, 'root.ext4') + ',ro',
                   '-d', disk + ',ro', os.path.join(guest, 'vmlinuz'), '--', 'console=ttyS0', 'quiet', 'root=/dev/vda', 'ro', 'init=/bin/bash']
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace') as process:
            process.stdin.write('true; true; mount -t proc none /proc; mount -t tmpfs none /mnt; tar -xf /dev/vdb -C /mnt; bash -c "$(cat /mnt/script)"\n')
            process.stdin.flush()
            for text in process.stdout:
                text = text.strip()
                watch.line(text)
                if not text.startswith('soak-beat'):
                    print('# ' + text, flush=True)
            return watch, process.wait()


def main(kennel, guest, seconds=3600):
    busy = [subprocess.Popen(['sh', '-c', 'while :; do :; done']) for _ in range(BUSY)]
    begun = time.monotonic()
    try:
        watch, status = soak(kennel, guest, int(seconds))
    finally:
        for process in busy:
            process.send_signal(signal.SIGKILL)
            process.wait()
    for what, count in watch.beats.items():
        print(f'# {what}: {count} rounds, the longest {watch.longest[what]:.1f} s')
    print(f'# {time.monotonic() - begun:.0f} s beside {BUSY} busy loops')
    results = [('it came to its end', watch.over), ('status 0', status == 0), ('nothing was wrong', not watch.wrong),
               ('nothing went quiet', len(watch.beats) == 4 and all(v < QUIET for v in watch.longest.values()))]
    for number, (what, good) in enumerate(results, 1):
        print(f'{"ok" if good else "not ok"} {number} - soak: {what}')
    print(f'1..{len(results)}')
    return 0 if all(good for _, good in results) else 1


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
