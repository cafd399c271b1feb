/** What lies under a range of addresses (mmap(2), mremap(2)), and copies between ranges. */
import { assert } from '../../common/assert.ts';
import { type Libc, osError } from './libc.ts';
import type { OperatingSystem } from './operating-system.ts';

const READ_WRITE = 0x1 | 0x2;
const MAP_SHARED = 0x01;
const MAP_PRIVATE = 0x02;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;
const MAP_NORESERVE = 0x4000;
const MAP_POPULATE = 0x8000;
const MREMAP_MAYMOVE = 1;
const MREMAP_FIXED = 2;
const NO_FILE = -1;
/** `MAP_FAILED`, (void *) -1 */
const MAP_FAILED = 0xffff_ffff_ffff_ffffn;

const FRESH = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

type Mappings = Pick<
  OperatingSystem,
  'addressOf' | 'mapFile' | 'mapFresh' | 'moveToFile' | 'moveToFresh' | 'copy'
>;

export function mappings(libc: Libc): Mappings {
  const { memcpy } = libc;

  function map(address: bigint, bytes: number, flags: number, fd: number): void {
    const mapped = libc.mmap(address, bytes, READ_WRITE, flags | MAP_FIXED, fd, 0);
    if (BigInt(mapped) !== address) throw osError(libc, 'mmap', `map ${bytes} bytes of memory`);
  }

  /**
   * The content is copied to new pages elsewhere, which then take the place of the old ones: at no
   * moment are there other bytes to be read at `address`.
   */
  function move(address: bigint, bytes: number, flags: number, fd: number, offset = 0): void {
    const pages = libc.mmap(0, bytes, READ_WRITE, flags | MAP_POPULATE, fd, offset);
    if (pages === MAP_FAILED) throw osError(libc, 'mmap', `map ${bytes} bytes of memory`);
    memcpy(pages, address, bytes);
    const how = MREMAP_MAYMOVE | MREMAP_FIXED;
    const moved = libc.mremap(pages, bytes, bytes, how, address);
    if (BigInt(moved) === address) return;
    const error = osError(libc, 'mremap', `move ${bytes} bytes of memory`);
    libc.munmap(pages, bytes);
    throw error;
  }

  return {
    addressOf(memory) {
      assert(memory.byteLength > 0, 'Expected a memory of some bytes');
      return libc.addressOf(new Uint8Array(memory));
    },
    mapFile: (address, bytes, fd) => map(address, bytes, MAP_SHARED, fd),
    mapFresh: (address, bytes) => map(address, bytes, FRESH, NO_FILE),
    moveToFile: (address, bytes, fd, fileOffset) =>
      move(address, bytes, MAP_SHARED, fd, fileOffset),
    moveToFresh: (address, bytes) => move(address, bytes, FRESH, NO_FILE),
    copy: (destination, source, bytes) => memcpy(destination, source, bytes),
  };
}
