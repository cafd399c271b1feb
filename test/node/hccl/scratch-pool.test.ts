import { describe, expect, it } from 'vitest';
import type { DeviceSession } from '../../../node/hccl/device-session.ts';
import { ScratchPool } from '../../../node/hccl/scratch-pool.ts';

type Session = Pick<DeviceSession, 'allocate' | 'release'>;
type Allocated = Awaited<ReturnType<DeviceSession['allocate']>>;

/** A session that counts what it has given out. */
function countingSession() {
  const held = new Map<number, number>();
  let next = 0x1000;
  const session: Session = {
    async allocate(bytes) {
      next += 0x1000_0000;
      held.set(next, bytes);
      return { address: next, mr: { address: next, length: bytes } as Allocated['mr'] };
    },
    async release(address) {
      expect(held.delete(address)).toBe(true);
    },
  };
  return { session, held };
}

describe('scratch pool', () => {
  it('grows when more is asked for, and keeps what it has otherwise', async () => {
    const { session, held } = countingSession();
    const pool = new ScratchPool(session);
    const small = await pool.reserve(100);
    expect(small.bytes).toBeGreaterThanOrEqual(100);
    expect(await pool.reserve(small.bytes)).toBe(small);
    const large = await pool.reserve(small.bytes + 1);
    expect(large.bytes).toBeGreaterThan(small.bytes);
    expect([...held]).toEqual([[large.address, large.bytes]]);
  });

  it('gives its memory back, and can be used again', async () => {
    const { session, held } = countingSession();
    const pool = new ScratchPool(session);
    await pool.reserve(1);
    await pool.release();
    await pool.release();
    expect(held.size).toBe(0);
    await pool.reserve(1);
    expect(held.size).toBe(1);
  });
});
