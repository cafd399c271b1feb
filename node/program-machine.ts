/** What a program's thread has of the machine for collectives on shared memory; nothing if there is no koffi. */
import { availableParallelism } from 'node:os';
import { wallClock } from '../common/clock.ts';
import { keepAliveTimer } from '../common/scheduler.ts';
import type { ProgramMachine } from './hccl/shared/program-machine.ts';
import type { SharedWait } from './hccl/shared/shared-wait.ts';
import { operatingSystem } from './os/operating-system.ts';

export function programMachine(deviceMemories: readonly WebAssembly.Memory[]): ProgramMachine {
  const system = operatingSystem();
  const cores = availableParallelism();
  const soon = (task: () => void): void => void keepAliveTimer(0, task);
  if ('unavailable' in system) return { memories: [], waitOn: neverShared, cores, soon };
  return {
    memories: deviceMemories,
    waitOn(memory): SharedWait {
      const start = system.addressOf(memory);
      return {
        sleep: (offset, expected, timeoutMs) =>
          system.futexWait(start + BigInt(offset), expected, timeoutMs),
        giveWay: () => system.yieldCpu(),
        wake: (offset) => system.futexWake(start + BigInt(offset)),
        now: () => wallClock.now(),
      };
    },
    cores,
    soon,
  };
}

function neverShared(): never {
  throw new Error('Expected memory to be shared only where the operating system can');
}
