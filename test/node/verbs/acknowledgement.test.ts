import { describe, expect, it } from 'vitest';
import { ibv_post_recv, ibv_post_send } from '../../../node/verbs/qp.ts';
import { ACK_DELAY_MS } from '../../../node/verbs/qp-responder.ts';
import { type End, statuses, World } from './world.ts';

async function connected(receives: number): Promise<[World, End, End]> {
  const world = new World();
  const [a, b] = await world.pair();
  for (let id = 0; id < receives; id++) ibv_post_recv(b.qp, { wr_id: id, sg_list: [] });
  await world.wait(2 * ACK_DELAY_MS);
  return [world, a, b];
}

function send({ qp }: End, id: number, ack_later: boolean): void {
  const errno = ibv_post_send(qp, {
    wr_id: id,
    opcode: 'IBV_WR_SEND',
    sg_list: [],
    send_flags: ['IBV_SEND_SIGNALED'],
    ack_later,
  });
  expect(errno).toBeUndefined();
}

describe('requests that nobody waits for (ack_later)', () => {
  it('are acknowledged together, and late', async () => {
    const [world, a] = await connected(64);
    const acks = () => world.a.transport.counters('host-b').framesReceived;
    const before = acks();
    for (let id = 0; id < 10; id++) {
      send(a, id, true);
      await world.wait(ACK_DELAY_MS / 20);
    }
    expect(a.completions).toEqual([]);
    await world.wait(ACK_DELAY_MS);
    expect(statuses(a)).toEqual(Array.from({ length: 10 }, () => 'IBV_WC_SUCCESS'));
    expect(acks() - before).toBe(1);
  });

  it('are acknowledged with a later one that somebody waits for', async () => {
    const [world, a] = await connected(64);
    send(a, 0, true);
    send(a, 1, false);
    await world.wait(ACK_DELAY_MS / 4);
    expect(statuses(a)).toEqual(['IBV_WC_SUCCESS', 'IBV_WC_SUCCESS']);
  });

  it('do not leave the sender without an answer when there are many', async () => {
    const [world, a] = await connected(64);
    for (let id = 0; id < 40; id++) send(a, id, true);
    await world.wait(ACK_DELAY_MS / 4);
    expect(a.completions.length).toBeGreaterThanOrEqual(16);
  });
});
