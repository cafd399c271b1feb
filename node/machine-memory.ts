/**
 * Memory that this host's NIC lets other hosts of the machine map, and maps of theirs: what `node/verbs` needs
 * of devices, operating system and unix sockets. Peers' memory lies in the import aperture of whichever device has
 * room for it.
 */
import { HlsimError } from '../common/errors.ts';
import type { GaudiDevice } from './device/device.ts';
import type { MemoryFile, PeerMemory } from './hccl/shared/shared-machine.ts';
import type { OperatingSystem } from './os/operating-system.ts';
import {
  MACHINE_PAGE_BYTES,
  type MachineMemory,
  type MappedMemory,
} from './verbs/machine-memory.ts';

export interface MachineMemoryInit {
  readonly system: OperatingSystem;
  readonly peers: PeerMemory;
  readonly devices: readonly Pick<GaudiDevice, 'hbm'>[];
  /** A number that nothing else is handed over under. */
  nextNumber(): number;
}

export function machineMemory(init: MachineMemoryInit): MachineMemory {
  const { system, peers, devices, nextNumber } = init;

  function mapped(file: MemoryFile): MappedMemory | undefined {
    for (const { hbm } of devices) {
      const found = hbm.importShared(file);
      if (typeof found === 'string') continue;
      const { offset, bytes } = found;
      return { bytes: hbm.view(offset, bytes), unmap: () => hbm.dropImport(offset) };
    }
    return undefined;
  }

  function offer(nodeId: string, file: MemoryFile) {
    const number = nextNumber();
    return peers.offer(nodeId, number, file) === 'offered' ? { number } : undefined;
  }

  return {
    offer,
    createFor(nodeId) {
      const file = newPage(system);
      if (file === undefined) return undefined;
      try {
        const memory = mapped(file);
        if (memory === undefined) return undefined;
        const handed = offer(nodeId, file);
        if (handed !== undefined) return { ...memory, ...handed };
        memory.unmap();
        return undefined;
      } finally {
        system.closeFile(file.fd);
      }
    },
    map(nodeId, number, leastBytes) {
      const file = peers.take(nodeId, number);
      if (file === undefined) return undefined;
      try {
        return file.bytes < leastBytes ? undefined : mapped(file);
      } finally {
        system.closeFile(file.fd);
      }
    },
    discard(nodeId, number) {
      const file = peers.take(nodeId, number);
      if (file !== undefined) system.closeFile(file.fd);
    },
  };
}

/** A sealed file of a page of zeros, if the system gives one. */
function newPage(system: OperatingSystem): MemoryFile | undefined {
  let fd: number | undefined;
  try {
    fd = system.memoryFile('hlsim-windows', MACHINE_PAGE_BYTES);
    system.seal(fd);
    return { fd, bytes: MACHINE_PAGE_BYTES };
  } catch (reason) {
    if (fd !== undefined) system.closeFile(fd);
    if (reason instanceof HlsimError && reason.code === 'HLSIM_OS') return undefined;
    throw reason;
  }
}
