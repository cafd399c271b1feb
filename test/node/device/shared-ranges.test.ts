import { closeSync, openSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { MiB } from '../../../common/bytes.ts';
import {
  APERTURE_BYTES_DEFAULT,
  apertureBytesBeside,
  DRAM_PAGE_BYTES,
  Hbm,
} from '../../../node/device/hbm.ts';
import { FILES_MAX } from '../../../node/device/shared-ranges.ts';
import type { SharedMemory } from '../../../node/os/operating-system.ts';
import { isMissing, openDescriptors, thisSystem, whyMissing } from '../os/this-system.ts';

const PAGE = DRAM_PAGE_BYTES;
const PAGES = 8;

/** The memories of two devices, of which the second imports. */
function world() {
  const os = thisSystem();
  const own = new Hbm(PAGES * PAGE, 0, os);
  const peer = new Hbm(PAGE, PAGES * PAGE, os);
  const allocate = (pages: number) => own.allocate(pages * PAGE, PAGE) as number;
  const share = (offset: number, pages: number) => ok(own.share(offset, pages * PAGE));
  const reach = (file: SharedMemory) => {
    const { offset, bytes } = ok(peer.importShared(file));
    return peer.view(offset, bytes);
  };
  return { os, own, peer, allocate, share, reach };
}

function ok<T>(value: T | string): T {
  if (typeof value === 'string') throw new Error(`expected success but found ${value}`);
  return value;
}

/** In one go. */
function unshare(hbm: Hbm, file: SharedMemory): number {
  return [...hbm.unsharing(file)].length;
}

function isFilled(view: Uint8Array, value: number): boolean {
  return view.every((byte) => byte === value);
}

describe.skipIf(isMissing)(`memory of a device that is shared${whyMissing}`, () => {
  it('keeps its content, and is the same memory on both sides from then on', () => {
    const { own, allocate, share, reach } = world();
    const offset = allocate(2);
    own.view(offset, 2 * PAGE).fill(5);
    const file = share(offset, 2);
    expect(file.bytes).toBe(2 * PAGE);
    const seen = reach(file);
    expect(isFilled(seen, 5)).toBe(true);
    seen[7] = 1;
    own.view(offset, 2 * PAGE)[2 * PAGE - 1] = 2;
    expect([own.view(offset, 8)[7], seen[2 * PAGE - 1]]).toEqual([1, 2]);
  });

  it('shows the range and nothing else, also as a part of an allocation', () => {
    const { own, allocate, share, reach } = world();
    const offset = allocate(4);
    own.view(offset, 4 * PAGE).forEach((_, index, view) => {
      view[index] = 1 + Math.floor(index / PAGE);
    });
    const seen = reach(share(offset + PAGE, 2));
    expect(seen.byteLength).toBe(2 * PAGE);
    expect([seen[0], seen[PAGE - 1], seen[PAGE], seen[2 * PAGE - 1]]).toEqual([2, 2, 3, 3]);
    seen.fill(9);
    const values = [0, 1, 2, 3].map((page) => own.view(offset + page * PAGE, PAGE));
    expect(values.map((view) => [view[0], view[PAGE - 1]])).toEqual([
      [1, 1],
      [9, 9],
      [9, 9],
      [4, 4],
    ]);
  });

  it('is out of the peer’s reach once it is taken back, with its content', () => {
    const { own, allocate, share, reach } = world();
    const offset = allocate(2);
    const file = share(offset, 2);
    const seen = reach(file);
    seen.fill(6);
    unshare(own, file);
    expect(isFilled(own.view(offset, 2 * PAGE), 6)).toBe(true);
    expect(isFilled(seen, 0)).toBe(true);
    seen.fill(7);
    own.view(offset, 2 * PAGE).fill(8);
    expect([own.view(offset, 1)[0], seen[0], own.sharedCount]).toEqual([8, 7, 0]);
    unshare(own, file);
    expect(own.view(offset, 1)[0]).toBe(8);
  });

  it('can be shared again, on another file, with what is in it then', () => {
    const { own, allocate, share, reach } = world();
    const offset = allocate(1);
    const first = share(offset, 1);
    const stale = reach(first);
    unshare(own, first);
    own.view(offset, PAGE).fill(3);
    const again = reach(share(offset, 1));
    expect([again[PAGE - 1], stale[PAGE - 1]]).toEqual([3, 0]);
    stale.fill(4);
    expect(isFilled(again, 3)).toBe(true);
  });

  it('that is larger than what is moved at a time keeps all of its content', () => {
    const os = thisSystem();
    const bytes = 65 * MiB;
    const own = new Hbm(bytes, 0, os);
    const offset = own.allocate(bytes, PAGE) as number;
    const places = [0, 1, 64 * MiB - 1, 64 * MiB, bytes - 1];
    const view = own.view(offset, bytes);
    for (const place of places) view[place] = 1 + (place % 251);
    unshare(own, ok(own.share(offset, bytes)));
    expect(places.map((place) => view[place])).toEqual(places.map((place) => 1 + (place % 251)));
  });

  it('is taken back part by part if it is large, and may be written to or freed in between', () => {
    const os = thisSystem();
    const bytes = 129 * MiB;
    const own = new Hbm(bytes, 0, os);
    const before = openDescriptors();
    const offset = own.allocate(bytes, PAGE) as number;
    const view = own.view(offset, bytes);
    const parts = own.unsharing(ok(own.share(offset, bytes)));
    expect(parts.next().done).toBe(false);
    [view[0], view[bytes - 1]] = [1, 2];
    expect(own.share(offset, bytes)).toBe('EBUSY');
    expect([parts.next().done, parts.next().done]).toEqual([false, true]);
    expect([view[0], view[64 * MiB], view[bytes - 1], own.sharedCount]).toEqual([1, 0, 2, 0]);
    const others = own.unsharing(ok(own.share(offset, bytes)));
    others.next();
    own.free(offset);
    expect([others.next().done, own.sharedCount]).toEqual([true, 0]);
    expect([view[0], openDescriptors()]).toEqual([0, before]);
  });

  it('is zeroed for the peer when it is freed, and is never seen in the hands of the next owner', () => {
    const { own, allocate, share, reach } = world();
    const offset = allocate(2);
    own.view(offset, 2 * PAGE).fill(5);
    const seen = reach(share(offset, 2));
    own.free(offset);
    expect([isFilled(seen, 0), own.sharedCount]).toEqual([true, 0]);
    expect(allocate(2)).toBe(offset);
    expect(isFilled(own.view(offset, 2 * PAGE), 0)).toBe(true);
    own.view(offset, 2 * PAGE).fill(6);
    seen.fill(7);
    expect([isFilled(own.view(offset, 2 * PAGE), 6), isFilled(seen, 7)]).toEqual([true, true]);
  });

  it('that was never an allocation, as of a Gaudi 1, ends with the scrub', () => {
    const { own, reach } = world();
    own.touch(PAGE, 2 * PAGE);
    own.view(PAGE, 2 * PAGE).fill(5);
    const seen = reach(ok(own.share(PAGE, 2 * PAGE)));
    expect(isFilled(seen, 5)).toBe(true);
    expect(own.scrubSlice(PAGES * PAGE)).toBe('done');
    expect([isFilled(seen, 0), isFilled(own.view(PAGE, 2 * PAGE), 0)]).toEqual([true, true]);
    seen.fill(1);
    expect(isFilled(own.view(PAGE, 2 * PAGE), 0)).toBe(true);
  });

  it('is whole pages, shared once', () => {
    const { own, allocate, share } = world();
    const offset = allocate(4);
    for (const [from, bytes] of [
      [offset + 4096, PAGE],
      [offset, PAGE + 4096],
      [offset, 0],
      [offset, -PAGE],
    ] as const) {
      expect(own.share(from, bytes)).toBe('EINVAL');
    }
    const file = share(offset + PAGE, 2);
    for (const [page, pages] of [
      [1, 2],
      [0, 4],
      [0, 2],
      [2, 1],
    ] as const) {
      expect(own.share(offset + page * PAGE, pages * PAGE)).toBe('EBUSY');
    }
    share(offset, 1);
    share(offset + 3 * PAGE, 1);
    unshare(own, file);
    expect(own.sharedCount).toBe(2);
  });

  it('costs descriptors only as long as it is allocated, and not without bound', () => {
    const os = thisSystem();
    const before = openDescriptors();
    const own = new Hbm((FILES_MAX + 2) * PAGE, 0, os);
    const offsets = Array.from({ length: FILES_MAX + 2 }, () => own.allocate(PAGE, PAGE) as number);
    expect(openDescriptors()).toBe(before + FILES_MAX);
    const last = offsets.at(-1) as number;
    own.view(last, PAGE).fill(5);
    const file = ok(own.share(last, PAGE));
    expect([own.view(last, PAGE)[9], openDescriptors()]).toEqual([5, before + FILES_MAX + 1]);
    unshare(own, file);
    expect([own.view(last, PAGE)[9], openDescriptors()]).toEqual([5, before + FILES_MAX]);
    for (const offset of offsets) own.free(offset);
    expect(openDescriptors()).toBe(before);
  });
});

describe.skipIf(isMissing)(`an import aperture${whyMissing}`, () => {
  it('refuses a file whose end could move, or that is not what was announced', () => {
    const { os, peer } = world();
    const fd = os.memoryFile('open', PAGE);
    expect(peer.importShared({ fd, bytes: PAGE })).toBe('EINVAL');
    os.seal(fd);
    for (const bytes of [2 * PAGE, PAGE / 2, 0, -PAGE, Number.NaN, 0.5]) {
      expect(peer.importShared({ fd, bytes })).toBe('EINVAL');
    }
    expect(peer.importCount).toBe(0);
    ok(peer.importShared({ fd, bytes: PAGE }));
    os.closeFile(fd);
    const odd = os.memoryFile('odd', PAGE + 4096);
    os.seal(odd);
    expect(peer.importShared({ fd: odd, bytes: PAGE + 4096 })).toBe('EINVAL');
    expect(peer.importShared({ fd: odd, bytes: PAGE })).toBe('EINVAL');
    os.closeFile(odd);
    expect(peer.importShared({ fd: -1, bytes: PAGE })).toBe('EINVAL');
    const device = openSync('/dev/zero', 'r+');
    expect(peer.importShared({ fd: device, bytes: PAGE })).toBe('EINVAL');
    closeSync(device);
  });

  it('refuses a file that cannot be written, and gives its place back', () => {
    const { os, peer } = world();
    const fd = os.memoryFile('read', PAGES * PAGE);
    os.seal(fd);
    const readable = openSync(`/proc/self/fd/${fd}`, 'r');
    expect(peer.importShared({ fd: readable, bytes: PAGES * PAGE })).toBe('EACCES');
    closeSync(readable);
    const { offset } = ok(peer.importShared({ fd, bytes: PAGES * PAGE }));
    expect(offset).toBe(peer.apertureOffset);
    os.closeFile(fd);
  });

  it('is full at ENOMEM, and has room for who comes after a drop, who sees nothing of it', () => {
    const { own, peer, allocate, share } = world();
    const files = [share(allocate(3), 3), share(allocate(4), 4)] as const;
    const first = ok(peer.importShared(files[0]));
    ok(peer.importShared(files[1]));
    expect(peer.importShared(files[0])).toBe('ENOMEM');
    peer.view(first.offset, PAGE).fill(5);
    peer.dropImport(first.offset);
    expect([peer.importCount, peer.view(first.offset, 1)[0], own.view(PAGE, 1)[0]]).toEqual([
      1, 0, 5,
    ]);
    peer.view(first.offset, 3 * PAGE).fill(6);
    expect(own.view(PAGE, 1)[0]).toBe(5);
    expect(ok(peer.importShared(files[0])).offset).toBe(first.offset);
    expect(() => peer.dropImport(first.offset + PAGE)).toThrow('Expected an import');
  });

  it('holds no descriptor, and lives on without the exporter’s', () => {
    const { own, peer, allocate, share, reach } = world();
    const offset = allocate(1);
    const file = share(offset, 1);
    const before = openDescriptors();
    const seen = reach(file);
    expect(openDescriptors()).toBe(before);
    own.free(offset);
    expect(openDescriptors()).toBe(before - 1);
    seen.fill(1);
    peer.dropImport(seen.byteOffset);
  });

  it.each([
    [256 * MiB, APERTURE_BYTES_DEFAULT],
    [3072 * MiB, 1024 * MiB - 2 * PAGE],
    [65534 * PAGE, 0],
  ])('beside %d bytes of HBM is %d bytes', (hbmBytes, aperture) => {
    expect(apertureBytesBeside(hbmBytes)).toBe(aperture);
  });
});

describe('memory without an operating system', () => {
  it('is neither shared nor imported', () => {
    const hbm = new Hbm(2 * PAGE, PAGE);
    hbm.allocate(PAGE, PAGE);
    expect(hbm.share(PAGE, PAGE)).toBe('EOPNOTSUPP');
    expect(hbm.importShared({ fd: 0, bytes: PAGE })).toBe('EOPNOTSUPP');
    expect([hbm.canShare, hbm.sharedCount, hbm.importCount]).toEqual([false, 0, 0]);
  });
});
