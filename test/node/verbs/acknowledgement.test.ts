import { describe, expect, it } from 'vitest';
import { ibv_post_recv, ibv_post_send } from '../../../node/verbs/qp.ts';
import { ACK_DELAY_MS, ACK_TURN_FRAMES } from '../../../node/verbs/qp-responder.ts';
import { type End, Host, statuses, World } from './world.ts';

async function connected(
  receives: number,
  world = new World(),
  to = world.b,
): Promise<[World, End, End]> {
  const [a, b] = await world.pair({}, world.a, to);
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

/** As `connected`; the host that receives ends a turn of its event loop only when `endTurn` is called. */
async function connectedInTurns(receives: number) {
  const world = new World();
  const { scheduler } = world;
  const turns: (() => void)[] = [];
  const inTurns = {
    clock: scheduler.clock,
    soon: (task: () => void) => scheduler.soon(task),
    after: (delayMs: number, task: () => void) => scheduler.after(delayMs, task),
    nextTurn: (task: () => void) => void turns.push(task),
  };
  const host = new Host(world.network.transport('host-c'), inTurns);
  const [, a] = await connected(receives, world, host);
  const endTurn = async () => {
    for (const task of turns.splice(0)) task();
    await world.wait(ACK_DELAY_MS / 4);
  };
  await endTurn();
  return { world, a, endTurn, acks: () => world.a.transport.counters('host-c').framesReceived };
}

describe('requests that somebody waits for', () => {
  it('are acknowledged together when the turn of the event loop ends', async () => {
    const { world, a, endTurn, acks } = await connectedInTurns(64);
    const before = acks();
    for (let id = 0; id < ACK_TURN_FRAMES - 1; id++) send(a, id, false);
    await world.wait(ACK_DELAY_MS / 4);
    expect(a.completions).toEqual([]);
    await endTurn();
    expect(statuses(a)).toEqual(
      Array.from({ length: ACK_TURN_FRAMES - 1 }, () => 'IBV_WC_SUCCESS'),
    );
    expect(acks() - before).toBe(1);
  });

  it('do not wait for the end of a turn in which many come', async () => {
    const { world, a, endTurn, acks } = await connectedInTurns(64);
    const before = acks();
    for (let id = 0; id < 3 * ACK_TURN_FRAMES; id++) {
      send(a, id, false);
      await world.wait(ACK_DELAY_MS / 20);
    }
    expect(a.completions).toHaveLength(3 * ACK_TURN_FRAMES);
    expect(acks() - before).toBe(3);
    await endTurn();
    expect(acks() - before).toBe(3);
  });
});

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
