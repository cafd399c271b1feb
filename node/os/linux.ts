/** The operating system of Linux, put together from the calls of its C library. */
import { environmentVariable } from '../../common/environment.ts';
import { futex, hasFutex } from './futex.ts';
import { loadLibc } from './libc.ts';
import { mappings } from './mapping.ts';
import { memoryFiles } from './memory-file.ts';
import type { NoOperatingSystem, OperatingSystem } from './operating-system.ts';
import { streamSockets } from './stream-socket.ts';
import { unixSockets } from './unix-channel.ts';

/** Says `off` to do without the operating system, as where koffi is not installed. */
const SWITCH = 'HLSIM_OS';

export function loadLinux(): OperatingSystem | NoOperatingSystem {
  const { platform, arch } = process;
  const choice = environmentVariable(SWITCH);
  if (choice === 'off') return { unavailable: `${SWITCH}=off` };
  if (platform !== 'linux') return { unavailable: `${platform} is not Linux` };
  if (!hasFutex(arch)) return { unavailable: `Linux on ${arch} is not supported` };
  const libc = loadLibc();
  if ('unavailable' in libc) return libc;
  return {
    ...memoryFiles(libc),
    ...mappings(libc),
    ...futex(libc, arch),
    ...unixSockets(libc),
    ...streamSockets(libc),
  };
}
