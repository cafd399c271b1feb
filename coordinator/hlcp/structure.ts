/**
 * Looks at the skeleton of a MessagePack value before anything is built from it.
 *
 * A decoder believes the counts that it reads: five bytes can announce an array of 2^32 elements, and
 * a few such arrays inside one another exhaust the memory of the process. This walk allocates nothing;
 * it refuses counts and lengths that the bytes cannot hold, deep nesting, and extension types (HLCP
 * uses none, and a decoder's extensions build dates, errors and record classes).
 *
 * MessagePack specification: github.com/msgpack/msgpack/blob/master/spec.md.
 */

/** Deepest nesting; HLCP's own messages need 5. */
export const STRUCTURE_DEPTH_MAX = 16;
/** Most values in one message; a full rendezvous of 8192 ranks needs about 140 000. */
export const STRUCTURE_VALUES_MAX = 262_144;

/** What one head byte announces: bytes of content, or values of content, or neither. */
interface Head {
  /** Length of the head with its counts and lengths. */
  readonly headBytes: number;
  readonly contentBytes: number;
  readonly values: number;
}

/** Bytes after the head byte of nil, booleans, floats and integers, 0xc0..0xd3. */
const SCALAR_BYTES: Readonly<Record<number, number>> = {
  192: 0,
  194: 0,
  195: 0,
  202: 4,
  203: 8,
  204: 1,
  205: 2,
  206: 4,
  207: 8,
  208: 1,
  209: 2,
  210: 4,
  211: 8,
};

/** Head bytes with a length after them: how wide it is, and what it counts. */
const LENGTHS: Readonly<
  Record<number, readonly [width: number, counts: 'bytes' | 'values' | 'pairs']>
> = {
  196: [1, 'bytes'],
  197: [2, 'bytes'],
  198: [4, 'bytes'],
  217: [1, 'bytes'],
  218: [2, 'bytes'],
  219: [4, 'bytes'],
  220: [2, 'values'],
  221: [4, 'values'],
  222: [2, 'pairs'],
  223: [4, 'pairs'],
};

/** What is wrong with the skeleton, or `undefined` if `bytes` are exactly one well-formed value. */
export function structureFault(bytes: Uint8Array): string | undefined {
  const open: number[] = [1];
  let offset = 0;
  let seen = 0;
  while (open.length > 0) {
    const depth = open.length;
    const left = (open[depth - 1] ?? 0) - 1;
    if (left < 0) {
      open.pop();
      continue;
    }
    open[depth - 1] = left;
    const head = readHead(bytes, offset);
    if (typeof head === 'string') return head;
    offset += head.headBytes + head.contentBytes;
    if (offset + head.values > bytes.byteLength) return `truncated after ${bytes.byteLength} bytes`;
    seen += 1;
    if (seen > STRUCTURE_VALUES_MAX) return `more than ${STRUCTURE_VALUES_MAX} values`;
    if (head.values > 0) open.push(head.values);
    if (open.length > STRUCTURE_DEPTH_MAX) return `nested deeper than ${STRUCTURE_DEPTH_MAX}`;
  }
  return offset === bytes.byteLength
    ? undefined
    : `${bytes.byteLength - offset} bytes after the end of the value`;
}

function readHead(bytes: Uint8Array, offset: number): Head | string {
  const byte = bytes[offset];
  if (byte === undefined) return `truncated after ${bytes.byteLength} bytes`;
  const scalar = SCALAR_BYTES[byte];
  if (scalar !== undefined) return { headBytes: 1, contentBytes: scalar, values: 0 };
  const length = LENGTHS[byte];
  if (length !== undefined) return readLength(bytes, offset, length);
  return (
    readFixed(byte) ?? `type 0x${byte.toString(16)}, which HLCP does not use, at byte ${offset}`
  );
}

/** Types whose value or count is in the head byte itself; `undefined` for extensions and 0xc1. */
function readFixed(byte: number): Head | undefined {
  if (byte < 0x80 || byte >= 0xe0) return { headBytes: 1, contentBytes: 0, values: 0 };
  if (byte < 0x90) return { headBytes: 1, contentBytes: 0, values: 2 * (byte & 0x0f) };
  if (byte < 0xa0) return { headBytes: 1, contentBytes: 0, values: byte & 0x0f };
  if (byte < 0xc0) return { headBytes: 1, contentBytes: byte & 0x1f, values: 0 };
  return undefined;
}

function readLength(
  bytes: Uint8Array,
  offset: number,
  [width, counts]: readonly [number, 'bytes' | 'values' | 'pairs'],
): Head | string {
  if (offset + 1 + width > bytes.byteLength) return `truncated after ${bytes.byteLength} bytes`;
  let length = 0;
  for (let index = 1; index <= width; index++) length = length * 256 + (bytes[offset + index] ?? 0);
  const headBytes = 1 + width;
  if (counts === 'bytes') return { headBytes, contentBytes: length, values: 0 };
  return { headBytes, contentBytes: 0, values: counts === 'pairs' ? 2 * length : length };
}
