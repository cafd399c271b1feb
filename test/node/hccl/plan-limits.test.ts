import { describe, expect, it } from 'vitest';
import { chunkTable } from '../../../collectives/chunks.ts';
import { lower } from '../../../collectives/lower.ts';
import { buildSchedule } from '../../../collectives/table.ts';
import { flatTopology } from '../../../collectives/topology.ts';
import { SLICES_MAX } from '../../../node/hccl/lanes.ts';
import { makePlan } from '../../../node/hccl/plan.ts';

describe('a plan', () => {
  it('of more slices than it may have is refused before one of them is made', () => {
    const topology = flatTopology(2);
    const request = { collective: 'allReduce', algorithm: 'ring', topology } as const;
    const program = lower(buildSchedule(request), 0);
    const table = chunkTable(program, 64 * SLICES_MAX);
    const rest = { program, table, elementBytes: 4, placement: 'inPlace' } as const;
    expect(() => makePlan({ ...rest, sliceBytes: 64 })).toThrow(
      /^hcclInvalidArgument: Expected at most \d+ slices of 64 bytes in one operation/,
    );
    expect(makePlan({ ...rest, sliceBytes: 64 * 1024 }).slices.length).toBeLessThan(SLICES_MAX);
  });
});
