import { closeSync, openSync, readSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { KiB } from '../../../common/bytes.ts';
import { isMissing, openDescriptors, thisSystem, whyMissing } from './this-system.ts';

const PAGE = 64 * KiB;
const HLSIM_OS = expect.objectContaining({ code: 'HLSIM_OS' });

function world(pages = 4) {
  const os = thisSystem();
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }).buffer;
  const start = os.addressOf(memory);
  const bytes = new Uint8Array(memory);
  return { os, memory, bytes, address: (offset: number) => start + BigInt(offset) };
}

describe.skipIf(isMissing)(`memory files${whyMissing}`, () => {
  it('have the size that was asked for, and keep it once they are sealed', () => {
    const { os } = world();
    const fd = os.memoryFile('sealed', 2 * PAGE);
    expect([os.sizeOf(fd), os.isSealed(fd)]).toEqual([2 * PAGE, false]);
    os.seal(fd);
    expect([os.sizeOf(fd), os.isSealed(fd)]).toEqual([2 * PAGE, true]);
    expect(() => os.seal(fd)).toThrow(HLSIM_OS);
    os.closeFile(fd);
    expect(() => os.closeFile(fd)).toThrow(HLSIM_OS);
  });

  it('no other file counts as sealed', () => {
    const { os } = world();
    const fd = openSync('/dev/null', 'r+');
    expect(os.isSealed(fd)).toBe(false);
    closeSync(fd);
    const directory = openSync(tmpdir(), 'r');
    expect(os.isSealed(directory)).toBe(false);
    closeSync(directory);
    expect(os.isSealed(-1)).toBe(false);
  });

  it('are mapped over pages of a WebAssembly memory, and show the same bytes twice', () => {
    const { os, bytes, address } = world();
    const fd = os.memoryFile('twice', PAGE);
    os.mapFile(address(PAGE), PAGE, fd);
    os.mapFile(address(3 * PAGE), PAGE, fd);
    bytes[PAGE + 5] = 17;
    expect(bytes[3 * PAGE + 5]).toBe(17);
    expect([bytes[5], bytes[2 * PAGE + 5]]).toEqual([0, 0]);
    os.closeFile(fd);
    bytes[3 * PAGE + 6] = 18;
    expect(bytes[PAGE + 6]).toBe(18);
  });

  it('take over what was there before, or start with zeros', () => {
    const { os, bytes, address } = world();
    const fd = os.memoryFile('moved', PAGE);
    bytes.fill(9);
    os.moveToFile(address(PAGE), PAGE, fd);
    expect(bytes.every((byte) => byte === 9)).toBe(true);
    const read = Buffer.alloc(1);
    bytes[PAGE + 100] = 33;
    readSync(fd, read, 0, 1, 100);
    expect(read[0]).toBe(33);
    os.mapFresh(address(2 * PAGE), PAGE);
    expect([bytes[2 * PAGE - 1], bytes[2 * PAGE], bytes[3 * PAGE - 1], bytes[3 * PAGE]]).toEqual([
      9, 0, 0, 9,
    ]);
    os.closeFile(fd);
  });

  it('no longer reach a range that was moved to fresh pages with its content', () => {
    const { os, bytes, address } = world();
    const fd = os.memoryFile('left', PAGE);
    os.mapFile(address(PAGE), PAGE, fd);
    os.mapFile(address(2 * PAGE), PAGE, fd);
    bytes.fill(4, PAGE, 2 * PAGE);
    os.moveToFresh(address(PAGE), PAGE);
    bytes[2 * PAGE] = 5;
    bytes[PAGE + 1] = 6;
    expect([bytes[PAGE], bytes[PAGE + 1], bytes[2 * PAGE + 1]]).toEqual([4, 6, 4]);
    os.punchHole(fd, PAGE);
    expect([bytes[2 * PAGE], bytes[2 * PAGE + 1], bytes[PAGE], os.sizeOf(fd)]).toEqual([
      0,
      0,
      4,
      PAGE,
    ]);
    os.closeFile(fd);
  });

  it('what the system refuses throws, and leaves no descriptor', () => {
    const { os, address } = world();
    const before = openDescriptors();
    expect(() => os.mapFile(address(0), PAGE, 9999)).toThrow(HLSIM_OS);
    expect(() => os.moveToFile(address(0), PAGE, 9999)).toThrow(HLSIM_OS);
    expect(() => os.mapFresh(address(0) + 1n, PAGE)).toThrow(HLSIM_OS);
    expect(() => os.punchHole(9999, PAGE)).toThrow(HLSIM_OS);
    expect(openDescriptors()).toBe(before);
  });

  it('copies between addresses', () => {
    const { os, bytes, address } = world();
    bytes.set([1, 2, 3], 10);
    os.copy(address(PAGE), address(10), 3);
    expect([...bytes.subarray(PAGE, PAGE + 4)]).toEqual([1, 2, 3, 0]);
  });
});
