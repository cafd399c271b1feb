import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HLCP_VERSION } from '../../coordinator/hlcp/messages.ts';
import {
  type Membership,
  type MembershipEvent,
  RANKS_MAX,
  type RankData,
  startMembership,
  stepMembership,
} from '../../coordinator/membership.ts';

function rankData(name: string, devices = 1): RankData {
  return {
    type: 'HLCP_RANK_DATA',
    version: HLCP_VERSION,
    nodeId: name,
    hostname: name,
    pid: 1,
    devices,
    hbmBytes: 1,
    link: { host: 'h', port: 1 },
  };
}

const events = fc.array(
  fc.record({ join: fc.boolean(), host: fc.integer({ min: 0, max: 7 }) }).map(({ join, host }) => {
    const peer = `h${host}`;
    const event: MembershipEvent = join
      ? { type: 'join', peer, data: rankData(peer) }
      : { type: 'leave', peer };
    return event;
  }),
  { maxLength: 60 },
);

describe('membership', () => {
  it('is complete exactly when the expected number of hosts is in, with indices 0 to n - 1', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), events, (expectedHosts, history) => {
        let state = startMembership(expectedHosts);
        for (const event of history) {
          const before: Membership = state;
          state = stepMembership(state, event).state;
          const indices = state.members.map(({ entry }) => entry.index);
          expect(indices.length <= expectedHosts).toBe(true);
          expect(state.phase === 'complete').toBe(indices.length === expectedHosts);
          expect(new Set(indices).size).toBe(indices.length);
          expect(indices.every((index) => index < expectedHosts)).toBe(true);
          // Who stays, stays where it is; the epoch never falls.
          for (const { peer, entry } of before.members) {
            const after = state.members.find((member) => member.peer === peer);
            if (after !== undefined) expect(after.entry.index).toBe(entry.index);
          }
          expect(state.epoch).toBeGreaterThanOrEqual(before.epoch);
          expect(state.epoch > before.epoch).toBe(
            before.phase === 'complete' && state.phase === 'forming',
          );
        }
      }),
    );
  });

  it('refuses a cluster of more ranks than messages have room for', () => {
    const data = rankData('a', RANKS_MAX);
    const join = { type: 'join', peer: 'a', data } as const;
    expect(stepMembership(startMembership(1), join).outcomes[0]?.type).toBe('accepted');
    expect(stepMembership(startMembership(2), join).outcomes[0]?.type).toBe('refused');
  });
});
