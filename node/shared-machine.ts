/** The machine that hosts share, as HCCL needs it: other hosts' memory, this host's devices, wake-ups. */
import { defined } from '../common/assert.ts';
import type { GaudiDevice } from './device/device.ts';
import type { PeerMemory, SharedMachine } from './hccl/shared/shared-machine.ts';
import type { WireMachine } from './hccl/wire/wire-machine.ts';
import type { OperatingSystem } from './os/operating-system.ts';

export interface SharedMachineInit {
  readonly system: OperatingSystem;
  readonly peers: PeerMemory;
  readonly devices: readonly GaudiDevice[];
  /** Absent: the links of this host are no sockets. */
  readonly wires: WireMachine | undefined;
  /** A number that nothing else is handed over under. */
  nextNumber(): number;
}

export function sharedMachine(init: SharedMachineInit): SharedMachine {
  const { system, peers, devices, wires, nextNumber } = init;
  return {
    wires,
    peers,
    nextWindow: nextNumber,
    deviceOf(memory) {
      const device = devices.find(({ hbm }) => hbm.holds(memory));
      const found = defined(device, 'the device of a registration');
      return {
        index: found.index,
        importShared(file) {
          try {
            return found.importShared(file);
          } finally {
            system.closeFile(file.fd);
          }
        },
        dropImport: (offset) => found.dropImport(offset),
      };
    },
    wake: (memory, offset) => system.futexWake(system.addressOf(memory) + BigInt(offset)),
  };
}
