/** Files of memory (memfd_create(2)) and their seals (F_ADD_SEALS of fcntl(2)). */
import { fstatSync } from 'node:fs';
import { assert } from '../../common/assert.ts';
import { type Libc, osError } from './libc.ts';
import type { OperatingSystem } from './operating-system.ts';

const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const F_ADD_SEALS = 1033;
const F_GET_SEALS = 1034;
const F_SEAL_SEAL = 1;
const F_SEAL_SHRINK = 2;
const F_SEAL_GROW = 4;
const SIZE_SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW;
const FALLOC_FL_KEEP_SIZE = 1;
const FALLOC_FL_PUNCH_HOLE = 2;
/** Longest name that memfd_create(2) takes. */
const NAME_BYTES_MAX = 249;
/** `f_type` of what memfd_create() makes, unless of huge pages: those can run out under a mapping. */
const TMPFS_MAGIC = 0x0102_1994;
/** `struct statfs`, with room to spare. */
const STATFS_BYTES = 256;

type MemoryFiles = Pick<
  OperatingSystem,
  'memoryFile' | 'seal' | 'isSealed' | 'sizeOf' | 'punchHole' | 'closeFile'
>;

export function memoryFiles(libc: Libc): MemoryFiles {
  const status = new Uint8Array(STATFS_BYTES);
  const fileSystem = new DataView(status.buffer);

  return {
    memoryFile(name, bytes) {
      assert(name.length <= NAME_BYTES_MAX, `Expected a short name of a memory file: ${name}`);
      assert(bytes > 0, `Expected a memory file of some bytes but found ${bytes}`);
      const fd = libc.memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
      if (fd < 0) throw osError(libc, 'memfd_create', `make a memory file of ${bytes} bytes`);
      if (libc.ftruncate(fd, bytes) === 0) return fd;
      const error = osError(libc, 'ftruncate', `make a memory file of ${bytes} bytes`);
      libc.close(fd);
      throw error;
    },
    seal(fd) {
      if (libc.fcntl(fd, F_ADD_SEALS, SIZE_SEALS) === 0) return;
      throw osError(libc, 'fcntl', 'seal a memory file');
    },
    isSealed(fd) {
      const seals = libc.fcntl(fd, F_GET_SEALS, 0);
      if (seals < 0 || (seals & SIZE_SEALS) !== SIZE_SEALS) return false;
      return libc.fstatfs(fd, status) === 0 && fileSystem.getInt32(0, true) === TMPFS_MAGIC;
    },
    sizeOf: (fd) => fstatSync(fd).size,
    punchHole(fd, bytes) {
      const mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
      if (libc.fallocate(fd, mode, 0, bytes) === 0) return;
      throw osError(libc, 'fallocate', `free ${bytes} bytes of a memory file`);
    },
    closeFile(fd) {
      if (libc.close(fd) !== 0) throw osError(libc, 'close', `close descriptor ${fd}`);
    },
  };
}
