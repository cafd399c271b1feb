import { describe, expect, it } from 'vitest';
import {
  InboundLane,
  KEPT_LANES,
  OutboundLane,
  SLOT_BYTES_MIN,
  SLOT_POOL_BYTES_MAX,
  SLOTS_PER_LANE,
  slotBytes,
  slotOffset,
  slotPoolBytes,
} from '../../../node/hccl/lanes.ts';

describe('slots', () => {
  it.each([2, 3, 4, 8, 64, 200])('of %i ranks fit in the pool and do not overlap', (nranks) => {
    const pool = slotPoolBytes(nranks);
    if (slotBytes(nranks) > SLOT_BYTES_MIN) expect(pool).toBeLessThanOrEqual(SLOT_POOL_BYTES_MAX);
    const owner = nranks - 1;
    const starts = new Set<number>();
    for (let source = 0; source < nranks; source++) {
      if (source === owner) continue;
      for (let lane = 0; lane < KEPT_LANES; lane++) {
        for (let index = 0; index < SLOTS_PER_LANE; index++) {
          const start = slotOffset(nranks, owner, source, lane, index);
          expect(start + slotBytes(nranks)).toBeLessThanOrEqual(pool);
          expect(start % slotBytes(nranks)).toBe(0);
          starts.add(start);
        }
      }
    }
    expect(starts.size).toBe((nranks - 1) * KEPT_LANES * SLOTS_PER_LANE);
  });

  it('are used in turn', () => {
    const first = slotOffset(4, 0, 1, 0, 0);
    expect(slotOffset(4, 0, 1, 0, SLOTS_PER_LANE)).toBe(first);
    expect(slotOffset(4, 0, 1, 0, 1)).toBe(first + slotBytes(4));
  });
});

describe('lanes', () => {
  it('the sender stops when every slot is filled and goes on with a credit', () => {
    const lane = new OutboundLane();
    for (let index = 0; index < SLOTS_PER_LANE; index++) {
      expect(lane.hasSlot).toBe(true);
      lane.filled++;
    }
    expect(lane.hasSlot).toBe(false);
    expect(lane.credit(1)).toBe(true);
    expect(lane.hasSlot).toBe(true);
  });

  it('a credit for more than was sent is refused, an old one is ignored', () => {
    const lane = new OutboundLane();
    lane.filled = 2;
    expect(lane.credit(3)).toBe(false);
    expect(lane.credit(2)).toBe(true);
    expect(lane.credit(1)).toBe(true);
    expect(lane.released).toBe(2);
  });

  it('the receiver announces a slot only when all before it are released', () => {
    const lane = new InboundLane();
    lane.arrived = 3;
    lane.release(1);
    expect(lane.released).toBe(0);
    lane.release(0);
    expect(lane.released).toBe(2);
    expect(() => lane.release(1)).toThrow(/to be held/);
    expect(() => lane.release(3)).toThrow(/to be held/);
  });

  it('a credit is announced for a new place, or when half the slots are released', () => {
    const lane = new InboundLane();
    expect(lane.worthAnnouncing(0)).toBe(false);
    expect(lane.worthAnnouncing(1)).toBe(true);
    lane.announce(1);
    expect(lane.worthAnnouncing(1)).toBe(false);
    for (let index = 0; index < SLOTS_PER_LANE / 2; index++) {
      expect(lane.worthAnnouncing(1)).toBe(false);
      lane.arrived++;
      lane.release(index);
    }
    expect(lane.worthAnnouncing(1)).toBe(true);
    lane.announce(1);
    expect(lane.worthAnnouncing(1)).toBe(false);
  });
});
