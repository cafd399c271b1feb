/** The files that a prediction reads, with what a manifest says of each. */
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { MiB } from '../common/bytes.ts';
import { HlsimError, messageOf } from '../common/errors.ts';

/** More than any file for people has. */
const TEXT_BYTES_MAX = 64 * MiB;

export interface InputFile {
  /** As it was written where it was named. */
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

export class InputFiles {
  readonly #folder: string;
  readonly #read = new Map<string, InputFile>();

  /** Paths are relative to `folder`. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** In the order in which they were read first. */
  get list(): readonly InputFile[] {
    return [...this.#read.values()];
  }

  pathOf(path: string): string {
    return isAbsolute(path) ? path : join(this.#folder, path);
  }

  /**
   * @param what for the message: `a topology file`
   * @throws HlsimError `HLSIM_CONFIG` for what cannot be read
   */
  async text(path: string, what: string): Promise<string> {
    const bytes = await this.#bytes(path, what);
    this.#read.set(path, {
      path,
      bytes: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
    });
    return bytes.toString('utf8');
  }

  async #bytes(path: string, what: string): Promise<Buffer> {
    const whole = this.pathOf(path);
    try {
      const found = await stat(whole);
      if (!found.isFile())
        throw new Error(found.isDirectory() ? 'it is a folder' : 'it is no file');
      if (found.size > TEXT_BYTES_MAX) throw new Error(`it has ${found.size} bytes`);
      return await readFile(whole);
    } catch (cause) {
      throw new HlsimError(
        'HLSIM_CONFIG',
        `Expected ${what} that can be read at ${JSON.stringify(path)} but found: ${messageOf(cause)}`,
        { cause },
      );
    }
  }
}
