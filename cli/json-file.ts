/** The file of `--json`: tried before the work starts, so that no result is lost to a wrong path. */
import { accessSync, constants, existsSync, statSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { messageOf } from '../common/errors.ts';
import { usageError } from './flags.ts';

export interface JsonFile {
  write(value: unknown): void;
}

/** @throws HlsimError `HLSIM_USAGE` if the file could not be written */
export function openJsonFile(path: string): JsonFile {
  const absolute = resolve(path);
  try {
    if (existsSync(absolute)) {
      if (statSync(absolute).isDirectory()) throw new Error('it is a directory');
      accessSync(absolute, constants.W_OK);
    } else {
      accessSync(dirname(absolute), constants.W_OK);
    }
  } catch (cause) {
    throw usageError(
      `Expected --json to name a file that can be written but found ${JSON.stringify(path)}: ${messageOf(cause)}`,
    );
  }
  return { write: (value) => writeFileSync(absolute, `${JSON.stringify(value, null, 2)}\n`) };
}
