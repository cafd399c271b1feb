/** The file of `--json`: opened before the work starts, so that no result is lost to a wrong path. */
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  openSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { resolve } from 'node:path';
import { HlsimError, messageOf } from '../common/errors.ts';
import { usageError } from './flags.ts';

export interface JsonFile {
  /** @throws HlsimError `HLSIM_CONFIG` if the system does not take it, a full disk for one */
  write(value: unknown): void;
}

/** @throws HlsimError `HLSIM_USAGE` if the file could not be written */
export function openJsonFile(path: string): JsonFile {
  const absolute = expectWritable('json', path);
  return { write: (value) => writeOrThrow(absolute, `${JSON.stringify(value, null, 2)}\n`, path) };
}

/**
 * The whole path of a file that a flag names.
 *
 * @throws HlsimError `HLSIM_USAGE` if the file could not be written
 */
export function expectWritable(flag: string, path: string): string {
  const absolute = resolve(path);
  try {
    tryFile(absolute);
  } catch (cause) {
    throw usageError(
      `Expected --${flag} to name a file that can be written but found ${JSON.stringify(path)}: ${messageOf(cause)}`,
    );
  }
  return absolute;
}

/**
 * Opens the file for writing, as only that tells on file systems such as proc(5). What is in it stays;
 * a file that was not there is removed at once, so that no end of the command leaves an empty one.
 */
function tryFile(absolute: string): void {
  if (!existsSync(absolute)) {
    closeSync(openSync(absolute, 'a'));
    // Not a symbolic link that led to it.
    rmSync(realpathSync(absolute));
    return;
  }
  const found = statSync(absolute);
  if (found.isDirectory()) throw new Error('it is a directory');
  accessSync(absolute, constants.W_OK);
  // To open and close a pipe would end its reader.
  if (found.isFile()) closeSync(openSync(absolute, 'a'));
}

function writeOrThrow(absolute: string, text: string, path: string): void {
  const isNew = !existsSync(absolute);
  try {
    writeFileSync(absolute, text);
  } catch (cause) {
    if (isNew) rmSync(absolute, { force: true });
    throw new HlsimError(
      'HLSIM_CONFIG',
      `Expected to write the results to the file of --json, ${JSON.stringify(path)}, but found: ${messageOf(cause)}; name another file`,
      { cause },
    );
  }
}
