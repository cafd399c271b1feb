/** Files that are too large to be one string: written piece by piece, and whole or not at all. */
import { closeSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { HlsimError, messageOf } from '../common/errors.ts';
import { expectWritable } from './json-file.ts';

export interface PieceFile {
  /** @throws HlsimError `HLSIM_CONFIG` if the system does not take it, a full disk for one */
  write(pieces: Iterable<string | Uint8Array>): void;
}

/**
 * The file that `--flag` names, looked at before the work starts.
 *
 * @throws HlsimError `HLSIM_USAGE` if it could not be written
 */
export function openPieceFile(flag: string, path: string): PieceFile {
  const absolute = expectWritable(flag, path);
  return { write: (pieces) => writeOrThrow(absolute, pieces, flag) };
}

/** Under another name until it is whole: a reader never finds half a file, nor loses the old one. */
function writeOrThrow(absolute: string, pieces: Iterable<string | Uint8Array>, flag: string): void {
  const unfinished = `${absolute}.unfinished`;
  try {
    writeAll(unfinished, pieces);
    renameSync(unfinished, absolute);
  } catch (cause) {
    rmSync(unfinished, { force: true });
    throw new HlsimError(
      'HLSIM_CONFIG',
      `Expected to write the file of --${flag}, ${JSON.stringify(absolute)}, but found: ${messageOf(cause)}; name another file`,
      { cause },
    );
  }
}

function writeAll(path: string, pieces: Iterable<string | Uint8Array>): void {
  const file = openSync(path, 'w');
  try {
    for (const piece of pieces) {
      const bytes = typeof piece === 'string' ? Buffer.from(piece) : piece;
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
    }
  } finally {
    closeSync(file);
  }
}
