/** The files that a prediction reads, with what a manifest says of each. */
import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { MiB } from '../common/bytes.ts';
import { type ErrorCode, HlsimError, messageOf } from '../common/errors.ts';

/** What may be asked of a file. */
export interface TextLimits {
  /** Default: more than any file for people has. */
  readonly bytesMax?: number;
  /** Of the error for what cannot be read; default `HLSIM_CONFIG`. */
  readonly code?: ErrorCode;
}

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
   * @throws HlsimError for what cannot be read, is no plain file, is too large or no UTF-8 text
   */
  async text(path: string, what: string, limits: TextLimits = {}): Promise<string> {
    const { bytesMax = TEXT_BYTES_MAX, code = 'HLSIM_CONFIG' } = limits;
    const bytes = await bytesOf(this.pathOf(path), bytesMax).catch((cause: unknown) => {
      throw new HlsimError(
        code,
        `Expected ${what} that can be read at ${JSON.stringify(path)} but found: ${messageOf(cause)}`,
        { cause },
      );
    });
    this.#read.set(path, {
      path,
      bytes: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
    });
    return bytes.toString('utf8');
  }
}

async function bytesOf(path: string, bytesMax: number): Promise<Buffer> {
  // A pipe that nobody writes to would keep the opening waiting.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const bytes = await plainBytes(file, bytesMax);
    if (!isUtf8(bytes)) throw new Error('bytes that are no UTF-8 text');
    return bytes;
  } finally {
    await file.close();
  }
}

/** No more than the file was said to have, whatever is added meanwhile. */
async function plainBytes(file: FileHandle, bytesMax: number): Promise<Buffer> {
  const found = await file.stat();
  if (!found.isFile()) throw new Error(found.isDirectory() ? 'a folder' : 'no plain file');
  if (found.size > bytesMax) throw new Error(`${found.size} bytes, more than ${bytesMax}`);
  const bytes = Buffer.alloc(found.size);
  const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
  return bytes.subarray(0, bytesRead);
}
