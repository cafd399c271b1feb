/** Topologies by name, or from files that need not be trusted. */
import { isUtf8 } from 'node:buffer';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { HlsimError, messageOf } from '../common/errors.ts';
import { BUILT_IN_TOPOLOGIES, builtInTopology } from '../timing/topology/built-in.ts';
import type { TopologyFile } from '../timing/topology/file.ts';
import { readTopology, TOPOLOGY_FILE_BYTES_MAX } from '../timing/topology/read.ts';

/**
 * A built-in topology, or what is in the file of that path. A name that is built in is that, whatever files
 * there are: `./hls2` is the file.
 *
 * @throws HlsimError `HLSIM_TOPOLOGY_UNREADABLE`
 */
export async function topologyNamed(nameOrPath: string): Promise<TopologyFile> {
  if (BUILT_IN_TOPOLOGIES.some((name) => name === nameOrPath)) return builtInTopology(nameOrPath);
  return readTopology(await readText(nameOrPath), nameOrPath);
}

async function readText(path: string): Promise<string> {
  const refuse = (cause: unknown): never => {
    throw cause instanceof HlsimError ? cause : unreadable(path, messageOf(cause), cause);
  };
  // A pipe that nobody writes to would keep the opening waiting.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(refuse);
  try {
    const bytes = await readBytes(file, path).catch(refuse);
    if (!isUtf8(bytes)) throw unreadable(path, 'bytes that are no UTF-8 text');
    return bytes.toString('utf8');
  } finally {
    await file.close();
  }
}

/** No more than a topology may have, whatever the file's size was said to be. */
async function readBytes(file: FileHandle, path: string): Promise<Buffer> {
  const found = await file.stat();
  if (!found.isFile()) throw unreadable(path, found.isDirectory() ? 'a folder' : 'no plain file');
  if (found.size > TOPOLOGY_FILE_BYTES_MAX) throw unreadable(path, `${found.size} bytes`);
  const bytes = Buffer.alloc(found.size);
  const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
  return bytes.subarray(0, bytesRead);
}

function unreadable(path: string, found: string, cause?: unknown): HlsimError {
  return new HlsimError(
    'HLSIM_TOPOLOGY_UNREADABLE',
    `Expected one of ${BUILT_IN_TOPOLOGIES.join(', ')}, or a topology file of at most ${TOPOLOGY_FILE_BYTES_MAX} bytes at ${JSON.stringify(path)}, but found: ${found}`,
    cause === undefined ? {} : { cause },
  );
}
