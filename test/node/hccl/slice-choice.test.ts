import { describe, expect, it } from 'vitest';
import { chunkTable } from '../../../collectives/chunks.ts';
import { lower } from '../../../collectives/lower.ts';
import { buildSchedule } from '../../../collectives/table.ts';
import { KiB, MiB } from '../../../common/bytes.ts';
import { firstLane, LANES_MAX, slotBytes, slotPoolBytes } from '../../../node/hccl/lanes.ts';
import { makePlan } from '../../../node/hccl/plan.ts';
import { longestSlice, type SlicedCall } from '../../../node/hccl/slice-choice.ts';

const STAGING_BYTES_MAX = 16 * MiB;
const FLOAT_BYTES = 4;
const CALL_BYTES = 64 * MiB;

function ring(more: Partial<SlicedCall>): SlicedCall {
  return {
    ...{ collective: 'allReduce', algorithm: 'ring', channels: 1, nranks: 4 },
    ...more,
  };
}

function scratchBytesOf(call: SlicedCall, placement: 'inPlace' | 'outOfPlace'): number {
  const { collective, algorithm, nranks, channels } = call;
  const schedule = buildSchedule({
    ...{ collective, algorithm, channels, placement, root: 0 },
    topology: { boxes: nranks, ranksPerBox: 1 },
  });
  const program = lower(schedule, 0);
  const sliceBytes = longestSlice(call);
  const elements = CALL_BYTES / FLOAT_BYTES / (collective === 'allReduce' ? 1 : nranks);
  const table = chunkTable(program, elements);
  return makePlan({ program, table, elementBytes: FLOAT_BYTES, sliceBytes, placement })
    .scratchBytes;
}

describe('the length of slices', () => {
  it.each([2, 4, 8, 16])(
    'leaves slots and staged messages of %i ranks within 16 MiB of a rank',
    (nranks) => {
      for (const collective of ['allReduce', 'allGather'] as const) {
        for (const channels of [1, 2, 4]) {
          for (const placement of ['inPlace', 'outOfPlace'] as const) {
            const scratch = scratchBytesOf(ring({ collective, nranks, channels }), placement);
            expect(scratch + slotPoolBytes(nranks)).toBeLessThanOrEqual(STAGING_BYTES_MAX);
          }
        }
      }
    },
  );

  it('is more than a slot of the pool for rings of much data, which then use lanes of their own', () => {
    const call = ring({ nranks: 8 });
    expect(longestSlice(call)).toBe(512 * KiB);
    expect(slotBytes(8)).toBeLessThan(512 * KiB);
    expect(firstLane(8, longestSlice(call))).toBeGreaterThan(0);
    expect(firstLane(8, slotBytes(8))).toBe(0);
  });

  it('is that of the slots where ranks hear of many peers, or all lanes are taken', () => {
    for (const call of [ring({ algorithm: 'direct' }), ring({ channels: LANES_MAX })]) {
      expect(longestSlice(call)).toBe(slotBytes(4));
    }
  });
});
