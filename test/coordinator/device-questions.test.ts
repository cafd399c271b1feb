/** Questions about devices: whatever happens, each has exactly one end, and there are not too many. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  DEVICE_INQUIRIES_MAX,
  DEVICE_STATUS_TIMEOUT_MS,
  type InquiryEvent,
  NO_INQUIRIES,
  stepInquiries,
} from '../../coordinator/device-inquiries.ts';
import type { OutwardEffect } from '../../coordinator/effect.ts';
import {
  EVICT_SILENCE_MS,
  EVICTIONS_MAX,
  type EvictionEvent,
  NO_EVICTIONS,
  stepEvictions,
} from '../../coordinator/evictions.ts';
import { startMembership, stepMembership } from '../../coordinator/membership.ts';
import { rankData } from './peers.ts';

const HOSTS = ['h0', 'h1', 'h2'];
const failure = { code: 'HLSIM_HOST_LOST', message: 'gone' };

function membership() {
  return HOSTS.reduce((state, peer) => {
    const data = rankData(peer);
    if (data.type !== 'HLCP_RANK_DATA') throw new Error('Expected rank data');
    return stepMembership(state, { type: 'join', peer, data }).state;
  }, startMembership(HOSTS.length));
}

const world = membership();
const ask = (requestId: number): InquiryEvent => ({
  type: 'asked',
  client: 'c',
  message: { type: 'HLCP_DEVICE_STATUS', requestId },
  members: world.members,
});
const evict = (requestId: number, host = 0): EvictionEvent => ({
  type: 'asked',
  client: 'c',
  message: { type: 'HLCP_EVICT', requestId, host, device: 0, graceMs: 0, retries: 0 },
  membership: world,
});

/** The client's numbers of the questions that ended, in order. */
function ends(effects: readonly OutwardEffect[]): number[] {
  return effects.flatMap((effect) => {
    if (effect.type !== 'toClient') return [];
    const { message } = effect;
    const isEnd = message.type === 'HLCP_DEVICE_STATUS_DONE' || message.type === 'HLCP_EVICT_DONE';
    return isEnd ? [message.requestId] : [];
  });
}

const peers = fc.constantFrom(...HOSTS);
/** Also of questions that nobody asked. */
const ids = fc.integer({ min: 1, max: 12 });
const failures = peers.map((peer) => ({ type: 'hostLost', peer, failure }) as const);

describe('stepInquiries', () => {
  const events = fc.oneof(
    fc.constant<'ask'>('ask'),
    fc.record({ peer: peers, id: ids }).map(({ peer, id }): InquiryEvent => {
      const empty = { devices: [], dmaBufs: [], dmaBufsOmitted: 0 };
      const message = { type: 'HLCP_DEVICE_REPORT', requestId: id, ...empty } as const;
      return { type: 'answered', peer, message };
    }),
    failures,
  );

  it('ends every question exactly once, whoever answers, dies or says nothing', () => {
    fc.assert(
      fc.property(fc.array(events, { maxLength: 60 }), (list) => {
        let state = NO_INQUIRIES;
        let asked = 0;
        const effects: OutwardEffect[] = [];
        for (const event of list) {
          const step = stepInquiries(state, event === 'ask' ? ask(++asked) : event, 0);
          state = step.state;
          effects.push(...step.effects);
        }
        const late = stepInquiries(state, { type: 'tick' }, DEVICE_STATUS_TIMEOUT_MS);
        expect(late.state.open).toEqual([]);
        const numbers = ends([...effects, ...late.effects]).toSorted((a, b) => a - b);
        expect(numbers).toEqual(Array.from({ length: asked }, (_, index) => index + 1));
      }),
    );
  });

  it('refuses more questions at once than it keeps', () => {
    let state = NO_INQUIRIES;
    for (let id = 1; id <= DEVICE_INQUIRIES_MAX; id++)
      state = stepInquiries(state, ask(id), 0).state;
    const { state: after, effects } = stepInquiries(state, ask(1_000), 0);
    expect(after).toEqual(state);
    expect(ends(effects)).toEqual([1_000]);
    expect(effects).toMatchObject([
      { message: { failures: HOSTS.map(() => ({ failure: { code: 'HLSIM_JOB_REFUSED' } })) } },
    ]);
  });

  it('forgets the questions of a client that has gone', () => {
    const { state } = stepInquiries(NO_INQUIRIES, ask(1), 0);
    const gone = stepInquiries(state, { type: 'clientGone', client: 'c' }, 0);
    expect(gone).toEqual({ state: { lastId: 1, open: [] }, effects: [] });
  });
});

describe('stepEvictions', () => {
  const events = fc.oneof(
    fc.integer({ min: 0, max: HOSTS.length }),
    fc
      .record({ peer: peers, id: ids, end: fc.boolean() })
      .map(({ peer, id, end }): EvictionEvent => {
        const step = { trial: 1, action: 'found', status: 'OPERATIONAL', text: '' } as const;
        const message = end
          ? ({ type: 'HLCP_EVICT_DONE', requestId: id, outcome: 'free' } as const)
          : ({ type: 'HLCP_EVICT_STEP', requestId: id, step } as const);
        return { type: 'answered', peer, message };
      }),
    failures,
  );

  it('ends every eviction exactly once, also of hosts that do not exist', () => {
    fc.assert(
      fc.property(fc.array(events, { maxLength: 60 }), (list) => {
        let state = NO_EVICTIONS;
        let asked = 0;
        const effects: OutwardEffect[] = [];
        for (const event of list) {
          const next = typeof event === 'number' ? evict(++asked, event) : event;
          const step = stepEvictions(state, next, 0);
          state = step.state;
          effects.push(...step.effects);
        }
        const late = stepEvictions(state, { type: 'tick' }, EVICT_SILENCE_MS);
        expect(late.state.open).toEqual([]);
        const numbers = ends([...effects, ...late.effects]).toSorted((a, b) => a - b);
        expect(numbers).toEqual(Array.from({ length: asked }, (_, index) => index + 1));
      }),
    );
  });

  it('refuses more evictions at once than it keeps', () => {
    let state = NO_EVICTIONS;
    for (let id = 1; id <= EVICTIONS_MAX; id++) state = stepEvictions(state, evict(id), 0).state;
    const { state: after, effects } = stepEvictions(state, evict(1_000), 0);
    expect(after).toEqual(state);
    expect(effects).toMatchObject([
      { message: { requestId: 1_000, outcome: 'failed', failure: { code: 'HLSIM_JOB_REFUSED' } } },
    ]);
  });
});
