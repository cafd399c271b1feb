import { describe, expect, it } from 'vitest';
import { ranksOf } from '../../../../common/math.ts';
import { CALL_BYTES, DATA_HEAD_BYTES_MAX } from '../../../../node/hccl/wire/wire-frames.ts';
import {
  SLOT_BYTES,
  SMALL_BYTES,
  stageBytes,
  WireStage,
} from '../../../../node/hccl/wire/wire-stage.ts';

describe('a stage', () => {
  it.each([2, 3, 8, 64])('for %i ranks has room for all that is in it at a time', (nranks) => {
    const start = 4096;
    const stage = new WireStage(start, nranks);
    const withHead = (place: number) => place - DATA_HEAD_BYTES_MAX;
    const used = ranksOf(nranks).flatMap((rank) => [
      [stage.outgoing(rank), stage.outgoing(rank) + CALL_BYTES + DATA_HEAD_BYTES_MAX],
      [stage.incoming(rank), stage.incoming(rank) + CALL_BYTES],
      // A call may come where an operand was to come.
      [
        withHead(stage.incomingOperand(rank)),
        stage.incomingOperand(rank) + Math.max(SMALL_BYTES, CALL_BYTES),
      ],
    ]);
    used.push([withHead(stage.operand), stage.operand + SMALL_BYTES]);
    used.push([stage.slot, stage.slot + SLOT_BYTES]);
    const inOrder = used.toSorted(([one = 0], [other = 0]) => one - other);
    let end = start;
    for (const [first = 0, last = 0] of inOrder) {
      expect(first).toBeGreaterThanOrEqual(end);
      end = last;
    }
    expect(end).toBeLessThanOrEqual(start + stageBytes(nranks));
  });

  it('has operands where kernels like them', () => {
    const stage = new WireStage(4096, 5);
    const places = [
      stage.operand,
      stage.slot,
      ...ranksOf(5).map((rank) => stage.incomingOperand(rank)),
    ];
    for (const place of places) expect(place % 64).toBe(0);
  });
});
