/** Makes and keeps the programs and plans of one rank of one communicator. */
import { chunkTable } from '../../collectives/chunks.ts';
import { lower } from '../../collectives/lower.ts';
import type { Program } from '../../collectives/program.ts';
import type { Rank } from '../../collectives/schedule.ts';
import { buildSchedule } from '../../collectives/table.ts';
import type { Topology } from '../../collectives/topology.ts';
import { defined } from '../../common/assert.ts';
import type { CheckedCall } from './collective-call.ts';
import { invalidArgument } from './failure.ts';
import { KeptValues } from './kept-values.ts';
import { LANES_MAX } from './lanes.ts';
import { makePlan, type Plan } from './plan.ts';

/** Plans, and programs, kept per communicator. */
const PLANS_MAX = 64;

export class Planner {
  readonly #rank: Rank;
  readonly #topology: Topology;
  readonly #programs = new KeptValues<Program>(PLANS_MAX);
  readonly #plans = new KeptValues<Plan>(PLANS_MAX);

  constructor(rank: Rank, topology: Topology) {
    this.#rank = rank;
    this.#topology = topology;
  }

  /** Throws `HlsimError` HLSIM_USAGE for an algorithm that does not exist or does not fit. */
  plan(checked: CheckedCall): Plan {
    const { counts, elementBytes, placement } = checked;
    const { sliceBytes } = checked.choice;
    const shape = programKey(checked);
    const key = `${shape} ${placement} ${elementBytes} ${sliceBytes} ${counts.key}`;
    return this.#plans.get(key, () => {
      const program = this.#programs.get(shape, () => this.#program(checked));
      const table = chunkTable(program, counts.table);
      const { loaded } = checked.choice;
      const depth = loaded === undefined ? {} : { depth: loaded.depth };
      return makePlan({ program, table, elementBytes, sliceBytes, placement, ...depth });
    });
  }

  #program({ call, choice, placement }: CheckedCall): Program {
    if (choice.loaded !== undefined) {
      return defined(choice.loaded.program(placement), 'a program for the placement');
    }
    const { collective, root } = call;
    const { algorithm, channels, chunks } = choice;
    const schedule = buildSchedule({
      collective,
      algorithm,
      topology: this.#topology,
      root,
      channels,
      placement,
      ...(chunks !== undefined && { chunks }),
    });
    const program = lower(schedule, this.#rank);
    if (program.channels.length <= LANES_MAX) return program;
    throw invalidArgument(
      `Expected at most ${LANES_MAX} channels in all but ${algorithm} on ${channels} has ${program.channels.length}`,
    );
  }
}

/** Names what a program is made from. */
function programKey({ call, choice, placement }: CheckedCall): string {
  const { algorithm, channels, chunks = '' } = choice;
  return `${call.collective} ${algorithm} ${channels} ${chunks} ${call.root} ${placement}`;
}
