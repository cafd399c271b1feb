/** How a step is cut into slices. Both ends of a message cut it alike: they know the same chunk sizes. */

/** A part of a step. */
export interface Piece {
  readonly window: number;
  /** From the start of the step's bytes. */
  readonly offset: number;
  readonly bytes: number;
}

/**
 * Pieces of consecutive chunks of `chunkBytes` each: by window of each chunk, in it what lies side by
 * side in slices of at most `sliceBytes`.
 */
export function sliceStep(
  chunkBytes: readonly number[],
  sliceBytes: number,
  windowBytes: number,
): Piece[] {
  const pieces: Piece[] = [];
  const longest = chunkBytes.reduce((most, bytes) => Math.max(most, bytes), 0);
  for (let window = 0; window * windowBytes < longest; window++) {
    for (const { offset, bytes } of runsOf(chunkBytes, window, windowBytes)) {
      for (let at = 0; at < bytes; at += sliceBytes) {
        pieces.push({ window, offset: offset + at, bytes: Math.min(sliceBytes, bytes - at) });
      }
    }
  }
  return pieces;
}

/** The bytes of one window of all chunks, joined where they touch. */
function runsOf(
  chunkBytes: readonly number[],
  window: number,
  windowBytes: number,
): { readonly offset: number; readonly bytes: number }[] {
  const runs: { offset: number; bytes: number }[] = [];
  let chunkStart = 0;
  for (const size of chunkBytes) {
    const offset = chunkStart + window * windowBytes;
    const bytes = Math.min(windowBytes, size - window * windowBytes);
    chunkStart += size;
    if (bytes <= 0) continue;
    const last = runs.at(-1);
    if (last !== undefined && last.offset + last.bytes === offset) last.bytes += bytes;
    else runs.push({ offset, bytes });
  }
  return runs;
}
