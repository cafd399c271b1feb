/**
 * What two endpoints of provider `p2p` say to each other about windows: memory of a region that a peer of the
 * same machine maps. The body of a WINDOW, little-endian:
 *
 *   0   u64  address: the first that the region's key covers
 *   8   u64  length: bytes that it covers, from the start of the file on
 *   16  u64  file: number under which the host has handed the memory over; not 0
 *   24  u64  page: number under which it has handed over the page with the words of this connection; not 0
 *   32  u32  word: index in the page, below `WINDOW_WORDS`
 *   36  u32  value: what the word says as long as the window is good; 1 to `WINDOW_VALUE_MAX`
 */
import { MACHINE_PAGE_BYTES } from '../verbs/machine-memory.ts';

/** A window that is open. */
export interface WindowGrant {
  readonly address: number;
  readonly length: number;
  readonly file: number;
  readonly page: number;
  readonly word: number;
  readonly value: number;
}

export const WINDOW_BODY_BYTES = 40;
/** Words of a page. */
export const WINDOW_WORDS = MACHINE_PAGE_BYTES / Int32Array.BYTES_PER_ELEMENT;
/** Words are signed. */
export const WINDOW_VALUE_MAX = 2 ** 31 - 1;

export function writeWindowGrant(grant: WindowGrant): Uint8Array {
  const bytes = new Uint8Array(WINDOW_BODY_BYTES);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(grant.address), true);
  view.setBigUint64(8, BigInt(grant.length), true);
  view.setBigUint64(16, BigInt(grant.file), true);
  view.setBigUint64(24, BigInt(grant.page), true);
  view.setUint32(32, grant.word, true);
  view.setUint32(36, grant.value, true);
  return bytes;
}

/** `undefined` if the numbers are none that there can be: nothing is looked for under them. */
export function readWindowGrant(bytes: Uint8Array): WindowGrant | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, WINDOW_BODY_BYTES);
  const [address = 0, length = 0, file = 0, page = 0] = [0, 8, 16, 24].map((offset) =>
    Number(view.getBigUint64(offset, true)),
  );
  const [word, value] = [view.getUint32(32, true), view.getUint32(36, true)];
  const isSafe = [address + length, file, page].every(Number.isSafeInteger);
  if (!isSafe || [length, file, page, value].includes(0) || file === page) return undefined;
  if (word >= WINDOW_WORDS || value > WINDOW_VALUE_MAX) return undefined;
  return { address, length, file, page, word, value };
}
