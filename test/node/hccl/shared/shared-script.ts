/** The host of a program, and the machine that it runs on, for tests of what it does by itself. */

import {
  type ProgramCommunicator,
  programCommunicator,
} from '../../../../node/hccl/program/program-communicator.ts';
import type { ProgramMachine } from '../../../../node/hccl/program/program-machine.ts';
import { MAILBOX_BYTES } from '../../../../node/hccl/shared/mailbox.ts';
import type { SystemCallChannel, SystemCallValue } from '../../../../node/process/system-call.ts';
import { SharedWorld } from './shared-world.ts';

/** Elements of each call. */
export const COUNT = 4;

type Answer = SystemCallValue | Error | Promise<SystemCallValue>;

/** A host that answers as it is told. Handle `10 + rank` is a communicator of that rank. */
export class Script {
  readonly world = new SharedWorld(2);
  readonly log: string[] = [];
  /** Answers in place of the usual ones. */
  readonly answers = new Map<string, Answer>();
  /** What the other rank does whenever this thread sleeps. */
  other: () => void = () => undefined;
  readonly soon: (() => void)[] = [];
  now = 0;
  /** How often this thread has given its core away, and slept. */
  yields = 0;
  sleeps = 0;
  /** What the other rank does whenever it gets the core. */
  atYield: () => void = () => undefined;
  readonly channel: SystemCallChannel;
  readonly machine: ProgramMachine;

  constructor() {
    this.machine = {
      memories: [this.world.memory],
      waitOn: () => ({
        sleep: () => {
          this.sleeps++;
          this.now += 50;
          this.other();
        },
        giveWay: () => {
          this.yields++;
          this.atYield();
        },
        wake: () => undefined,
        now: () => this.now,
      }),
      socketsOn: () => {
        throw new Error('Expected ranks on shared memory to have no sockets');
      },
      cores: 1,
      soon: (task) => {
        this.soon.push(task);
        setImmediate(() => {
          this.other();
          this.soon.shift()?.();
        });
      },
    };
    this.channel = { call: (name, argument) => this.#call(name, argument) };
  }

  /** The other rank's communicator. */
  async peer(rank = 1): Promise<ProgramCommunicator> {
    const host: SystemCallChannel = { call: async (name, argument) => this.#usual(name, argument) };
    const comm = await programCommunicator(host, this.machine, 10 + rank);
    return comm as ProgramCommunicator;
  }

  input(rank: number): Float32Array {
    return new Float32Array(this.world.memory.buffer, this.world.rank(rank).windows[0], COUNT);
  }

  output(rank: number): number[] {
    const [, start] = this.world.rank(rank).windows;
    return [...new Float32Array(this.world.memory.buffer, start, COUNT)];
  }

  async #call(name: string, argument: SystemCallValue): Promise<SystemCallValue> {
    this.log.push(name);
    const answer = this.answers.get(name);
    if (answer instanceof Error) throw answer;
    return answer === undefined ? this.#usual(name, argument) : answer;
  }

  #usual(name: string, argument: SystemCallValue): SystemCallValue {
    const { comm = 0 } = (argument ?? {}) as { comm?: number };
    const rank = comm - 10;
    if (name === 'hcclProgramPlaces') {
      const mailboxOffsets = this.world.ranks.map(({ mailbox }) => mailbox.doorbellOffset - 4);
      const controlOffset = (mailboxOffsets[rank] as number) + MAILBOX_BYTES;
      return { path: 'p2p', device: 0, rank, nranks: 2, controlOffset, mailboxOffsets };
    }
    if (name === 'hcclProgramPrepare') return this.#offer(rank, argument);
    return null;
  }

  #offer(rank: number, argument: SystemCallValue): SystemCallValue {
    const { count, collective } = argument as { count: number; collective: string };
    const bytes = count * 4;
    const [input, output] = this.world.rank(rank).windows;
    return {
      ...{ mode: 'small', text: `${collective} of ${count}`, collective, algorithm: 'mailbox' },
      ...{ root: 0, count, elementBytes: 4, inputBytes: bytes, outputBytes: bytes },
      input: { offset: input, window: 1, windowOffset: 0 },
      output: { offset: output, window: 2, windowOffset: 0 },
      ...{ reduceKernel: 'reduce_sum_f32', averageKernel: '', averageScalars: [] },
    };
  }
}
