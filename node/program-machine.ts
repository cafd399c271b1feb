/** What a program's thread has of the machine for collectives on shared memory; nothing if there is no koffi. */
import { availableParallelism } from 'node:os';
import { wallClock } from '../common/clock.ts';
import { keepAliveTimer } from '../common/scheduler.ts';
import type { ProgramMachine } from './hccl/program/program-machine.ts';
import type { ProgramWait } from './hccl/program/program-wait.ts';
import type { ProgramSockets } from './hccl/wire/program-sockets.ts';
import { operatingSystem } from './os/operating-system.ts';

export function programMachine(deviceMemories: readonly WebAssembly.Memory[]): ProgramMachine {
  const system = operatingSystem();
  const cores = availableParallelism();
  const soon = (task: () => void): void => void keepAliveTimer(0, task);
  if ('unavailable' in system)
    return { memories: [], waitOn: neverShared, socketsOn: neverShared, cores, soon };
  return {
    memories: deviceMemories,
    waitOn(memory): ProgramWait {
      const start = system.addressOf(memory);
      return {
        sleep: (offset, expected, timeoutMs) =>
          system.futexWait(start + BigInt(offset), expected, timeoutMs),
        giveWay: () => system.yieldCpu(),
        wake: (offset) => system.futexWake(start + BigInt(offset)),
        now: () => wallClock.now(),
      };
    },
    socketsOn(memory): ProgramSockets {
      // A safe integer on all processors of today; numbers are quicker than what holds any.
      const start = Number(system.addressOf(memory));
      return {
        receive: (fd, offset, bytes) => system.receive(fd, start + offset, bytes),
        transmit: (fd, head, headBytes, body, bodyBytes) =>
          system.transmit(fd, start + head, headBytes, start + body, bodyBytes),
        pollSet: (capacity) => system.pollSet(capacity),
      };
    },
    cores,
    soon,
  };
}

function neverShared(): never {
  throw new Error('Expected memory to be shared only where the operating system can');
}
