/** Schedule files (MSCCL XML) on disk: found, and read without trust in their size or content. */
import { isUtf8 } from 'node:buffer';
import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  MSCCL_BYTES_MAX,
  type MscclSchedule,
  readMscclXml,
  tooBig,
} from '../collectives/msccl/read.ts';
import { HlsimError, messageOf } from '../common/errors.ts';

/** What `path` names: itself, or all `.xml` files in and below a folder, in the order of their names. */
export async function scheduleFiles(path: string): Promise<string[]> {
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder) return [path];
  // A folder that cannot be listed is a file that cannot be read: opening it says why.
  const entries = await readdir(path, { recursive: true, withFileTypes: true }).catch(() => null);
  if (entries === null) return [path];
  const files = entries
    .filter((entry) => !entry.isDirectory() && /\.xml$/i.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
  return files.sort();
}

/** @throws HlsimError `HLSIM_PROGRAM_UNREADABLE` for whatever is not a schedule */
export async function readScheduleFile(path: string): Promise<MscclSchedule> {
  return readMscclXml(await readText(path));
}

async function readText(path: string): Promise<string> {
  const refuse = (cause: unknown): never => {
    throw cause instanceof HlsimError ? cause : unreadableFile(messageOf(cause), cause);
  };
  // A pipe that nobody writes to would keep the opening waiting.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(refuse);
  try {
    return decode(await readBytes(file).catch(refuse));
  } finally {
    await file.close();
  }
}

/** Reads no more than a schedule may have, whatever the file's size was said to be. */
async function readBytes(file: FileHandle): Promise<Buffer> {
  const found = await file.stat();
  if (!found.isFile()) throw unreadableFile(`a ${kindOf(found)}`);
  if (found.size > MSCCL_BYTES_MAX) throw tooBig(found.size, MSCCL_BYTES_MAX);
  const bytes = Buffer.alloc(found.size);
  const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
  return bytes.subarray(0, bytesRead);
}

function kindOf(found: Stats): string {
  if (found.isDirectory()) return 'folder that cannot be listed';
  return found.isFIFO() ? 'pipe' : 'device or socket';
}

/** UTF-16 text begins with a byte order mark, which says which of the two it is. */
function decode(bytes: Buffer): string {
  const mark = bytes.subarray(0, 2).toString('hex');
  if (mark === 'fffe' || mark === 'feff') {
    return new TextDecoder(mark === 'fffe' ? 'utf-16le' : 'utf-16be').decode(bytes);
  }
  const decoded = bytes.toString('utf8');
  if (isUtf8(bytes)) return decoded;
  const line = decoded.slice(0, decoded.indexOf('\uFFFD')).split('\n').length;
  throw new HlsimError(
    'HLSIM_PROGRAM_UNREADABLE',
    `Expected UTF-8 text but found other bytes on line ${line} of the schedule`,
    { fields: { line } },
  );
}

function unreadableFile(found: string, cause?: unknown): HlsimError {
  return new HlsimError(
    'HLSIM_PROGRAM_UNREADABLE',
    `Expected a schedule file that can be read but found: ${found}`,
    cause === undefined ? {} : { cause },
  );
}
